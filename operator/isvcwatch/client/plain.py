"""Plain dicts as V2 requests: checked, flattened and completed where the data itself tells what is missing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from isvcwatch.client.arrays import datatype_of_array, is_array
from isvcwatch.client.errors import InvalidInput
from isvcwatch.client.shapes import as_lists, datatype_of, flatten, shape_of
from isvcwatch.client.tensors import InferInput, region_of, without_size

if TYPE_CHECKING:
    from collections.abc import Mapping


def v2_request(data: Mapping[str, Any]) -> dict[str, Any]:
    """The V2 JSON request that a dict means; the dict itself is not changed.

    A dict with `inputs` is the request; inputs are checked and their data flattened, and a `shape` or `datatype` that is left out is
    read off the data. A dict without `inputs` whose values are all lists or arrays names its tensors:
    `{"x": [[1.0, 2.0], [3.0, 4.0]]}`.

    Raises:
        InvalidInput: the dict is no request, or its data does not fit its shape.
    """
    if "inputs" not in data:
        if not data or not all(_is_data(value) for value in data.values()):
            raise InvalidInput("a V2 request has 'inputs', a list of tensors, or names each tensor with its nested lists")
        # KServe 0.21 fails on models that hand the request's id on, where there is none.
        return {"id": str(uuid.uuid4()), "inputs": [_tensor({"name": str(name), "data": value}) for name, value in data.items()]}
    inputs = data["inputs"]
    if isinstance(inputs, dict) and inputs and all(_is_data(value) for value in inputs.values()):
        inputs = [{"name": str(name), "data": value} for name, value in inputs.items()]
    if not isinstance(inputs, list | tuple):
        raise InvalidInput("a V2 request's 'inputs' should be a list of tensors")
    return {**data, "inputs": [_tensor(entry) for entry in inputs]}


def _is_data(value: object) -> bool:
    return isinstance(value, list | tuple) or is_array(value)


def _tensor(entry: Any) -> dict[str, Any]:  # noqa: ANN401 - checked here
    """One input, completed; an entry that is no tensor with data goes as it is, for the server to judge."""
    if isinstance(entry, InferInput):
        return entry.to_wire(binary=False)[0]
    if isinstance(entry, dict) and entry.get("data", ...) is None and region_of(entry.get("parameters")):
        # Triton refuses shared memory together with data.
        return {key: value for key, value in entry.items() if key != "data"}
    if not isinstance(entry, dict) or not isinstance(name := entry.get("name"), str) or not _is_data(entry.get("data")):
        return entry  # type: ignore[no-any-return]
    data = entry["data"] if is_array(entry["data"]) else as_lists(entry["data"])
    datatype = entry.get("datatype")
    if is_array(data):
        shape = list(data.shape) if entry.get("shape") is None else entry["shape"]
        datatype = datatype_of_array(data, name) if datatype is None else datatype
    else:
        shape = shape_of(data, name) if entry.get("shape") is None else entry["shape"]
        datatype = datatype_of(flatten(data, shape, name), name) if datatype is None else datatype
    tensor, _ = InferInput(name, shape, str(datatype), data).to_wire(binary=False)
    completed = {**entry, **tensor}
    if isinstance(entry.get("parameters"), dict):
        # The data is in the JSON: a size would send the server to bytes behind it, which there are none of.
        completed["parameters"] = without_size(entry["parameters"])
    return completed
