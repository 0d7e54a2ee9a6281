"""Joins JSON and raw tensors in one body, and splits them again, by the Open Inference Protocol's binary tensor data extension.

A binary body is JSON, then every binary tensor's bytes in the order of the JSON's tensors. The header
`Inference-Header-Content-Length` tells where the JSON ends, each tensor's parameter `binary_data_size` how long its bytes are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from isvcwatch.client.datatypes import DATATYPES
from isvcwatch.client.errors import InvalidInput
from isvcwatch.client.jsonbody import dump_json, load_json
from isvcwatch.client.shapes import count_of
from isvcwatch.client.tensors import Tensor, region_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_LENGTH_HEADER: Final = "inference-header-content-length"
"""The header that has the length in bytes of a binary body's JSON."""

BINARY_TYPE: Final = "application/octet-stream"

_MOST_DIGITS: Final = 19
"""The most digits of a length that are parsed: a longer number is never valid, and Python is slow with thousands of digits."""

T = TypeVar("T", bound=Tensor)


def frame(
    head: dict[str, Any], key: str, tensors: Iterable[tuple[dict[str, Any], bytes | None]]
) -> tuple[dict[str, Any] | bytes, int | None]:
    """Make a message: a dict and None if all tensors are JSON, else the whole body and the length of its JSON in bytes."""
    parts = list(tensors)
    message = {**head, key: [part for part, _ in parts]}
    raws = [raw for _, raw in parts if raw is not None]
    if not raws:
        return message, None
    written = dump_json(message)
    return b"".join([written, *raws]), len(written)


def json_length_of(header: str | None, body: bytes) -> int:
    """The length of a body's JSON by its header; the whole body's length if there is no header.

    Raises:
        InvalidInput: the header is not a number, or greater than the body's length.
    """
    if header is None:
        return len(body)
    text = header.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS) or int(text) > len(body):
        raise InvalidInput(f"header {CONTENT_LENGTH_HEADER} is {header!r:.40}, and the body has {len(body)} bytes")
    return int(text)


def unframe(body: bytes, json_length: int, what: str) -> tuple[dict[str, Any], bytes]:
    """Split a body into its JSON object and the bytes after it.

    Raises:
        InvalidInput: the length is impossible, or there is no JSON object.
    """
    if not 0 <= json_length <= len(body):
        raise InvalidInput(f"{what}: a JSON length of {json_length} does not fit {len(body)} bytes")
    head = load_json(body[:json_length], what)
    if not isinstance(head, dict):
        raise InvalidInput(f"{what} is a JSON {type(head).__name__}, not an object")
    return head, body[json_length:]


def tensors_from(
    head: dict[str, Any], key: str, rest: bytes, kind: type[T], shared: Mapping[str, Mapping[str, Any]] | None = None
) -> list[T]:
    """Make the tensors that a message's JSON lists, with their bytes.

    Args:
        head: the message's JSON.
        key: "inputs" or "outputs".
        rest: the bytes after the JSON.
        kind: the class of the tensors to make.
        shared: the parameters of tensors that were asked for in shared memory, by name. Triton answers them with name, shape and
            datatype alone (its http_server.cc), so that a tensor without data gets its parameters from here.

    Raises:
        InvalidInput: a tensor lacks a part, or the bytes do not fit the sizes.
    """
    entries = head.get(key)
    if not isinstance(entries, list):
        raise InvalidInput(f"the message has no list of '{key}'")
    tensors = []
    at = 0
    for number, entry in enumerate(entries):
        tensor, size = _tensor_from(entry, f"{key}[{number}]", kind, shared or {})
        if size is not None:
            if size > len(rest) - at:
                raise InvalidInput(f"tensor '{tensor.name}' should have {size} bytes, and {len(rest) - at} are left")
            _check_size(tensor, size)
            tensor.set_raw(rest[at : at + size])
            at += size
        tensors.append(tensor)
    if at != len(rest):
        raise InvalidInput(f"the message has {len(rest) - at} bytes that belong to none of its '{key}'")
    return tensors


def _tensor_from(
    entry: Any,  # noqa: ANN401 - JSON's value
    where: str,
    kind: type[T],
    shared: Mapping[str, Mapping[str, Any]],
) -> tuple[T, int | None]:
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where} is not an object")
    name, shape, datatype, parameters = (entry.get(key) for key in ("name", "shape", "datatype", "parameters"))
    if not isinstance(name, str) or not isinstance(datatype, str) or not isinstance(parameters, dict | None):
        raise InvalidInput(f"{where} lacks a name, a datatype, or proper parameters")
    if not isinstance(shape, list) or not all(type(dimension) is int and dimension >= 0 for dimension in shape):
        raise InvalidInput(f"tensor '{name:.80}': its shape is no list of whole numbers: {shape!r:.80}")
    size = (parameters or {}).get("binary_data_size")
    kept = None if parameters is None else {key: value for key, value in parameters.items() if key != "binary_data_size"}
    tensor = kind(name, shape, datatype, entry.get("data"), kept)
    if size is None:
        _check_data(tensor, shared.get(name))
        return tensor, None
    if type(size) is not int or size < 0:
        raise InvalidInput(f"tensor '{name:.80}': binary_data_size is {size!r:.40}")
    return tensor, size


def _check_data(tensor: Tensor, shared: Mapping[str, Any] | None) -> None:
    """Checks that a tensor without raw bytes has JSON data, or parameters that name its shared memory."""
    if tensor.data is not None or region_of(tensor.parameters) is not None:
        return
    if shared is None:
        raise InvalidInput(
            f"'data' field is missing for tensor '{tensor.name:.80}', and neither binary_data_size nor shared_memory_region "
            "says where it is"
        )
    tensor.parameters = {**(tensor.parameters or {}), **shared}


def _check_size(tensor: Tensor, size: int) -> None:
    datatype = DATATYPES.get(tensor.datatype)
    if datatype is None or not datatype.size:
        return
    if size != count_of(tensor.shape) * datatype.size:
        raise InvalidInput(
            f"tensor '{tensor.name:.80}': {size} bytes are not those of {datatype.name} in the shape {list(tensor.shape)!r:.80}"
        )
