"""Turns plain dicts into V2 requests: checks them, flattens their data, and adds what can be inferred from the data."""

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
    """Make a V2 JSON request from a dict, which is not changed.

    A dict with `inputs` is a request: its inputs are checked, their data is flattened, and a missing `shape` or `datatype` is inferred
    from the data. A dict without `inputs` whose values are all lists or arrays has tensors by name:
    `{"x": [[1.0, 2.0], [3.0, 4.0]]}`.

    Raises:
        InvalidInput: the dict is not a request, or its data does not fit its shape.
    """
    if "inputs" not in data:
        if not data or not all(_is_data(value) for value in data.values()):
            raise InvalidInput("a V2 request has 'inputs', a list of tensors, or names each tensor with its nested lists")
        # An id is added, since KServe 0.21 fails without one on models that pass the request's id on.
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
    """One input with its missing fields added. An entry that is not a tensor with data is sent unchanged, so that the server reports it."""
    if isinstance(entry, InferInput):
        return entry.to_wire(binary=False)[0]
    if isinstance(entry, dict) and entry.get("data", ...) is None and region_of(entry.get("parameters")):
        # Removes the data, since Triton refuses it together with shared memory.
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
        # Removes the size, since the data is in the JSON and a size would make the server look for bytes after it.
        completed["parameters"] = without_size(entry["parameters"])
    return completed
