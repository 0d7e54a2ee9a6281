"""The Open Inference Protocol's datatypes, and how a tensor's bytes become Python's values and back, without numpy.

Source: the protocol's `inference_rest.md` ("Tensor Data Types") and its binary tensor data extension: little-endian, row-major,
BOOL one byte, BYTES a 4-byte length before each element.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from isvcwatch.client.errors import InvalidTensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Value: TypeAlias = bool | int | float | str | bytes | None
"""One element; None is a JSON null, which servers write for NaN."""


@dataclass(frozen=True, slots=True)
class Datatype:
    """How one datatype is written.

    Attributes:
        name: the protocol's name.
        code: struct's code of one element; empty for BYTES.
        size: bytes an element; 0 for BYTES, whose elements differ.
        dtype: numpy's name for it, with its byte order.
    """

    name: str
    code: str
    size: int
    dtype: str


_TABLE: Final = """
    BOOL ? 1 bool      | UINT8 B 1 uint8 | UINT16 H 2 <u2 | UINT32 I 4 <u4 | UINT64 Q 8 <u8
    INT8 b 1 int8      | INT16 h 2 <i2   | INT32 i 4 <i4  | INT64 q 8 <i8
    FP16 e 2 <f2       | FP32 f 4 <f4    | FP64 d 8 <f8   | BF16 H 2 <f4
"""
"""BF16, the upper half of an FP32, has no dtype in numpy: float32 holds its every value."""

DATATYPES: Final[dict[str, Datatype]] = {
    **{
        name: Datatype(name, code, int(size), dtype)
        for name, code, size, dtype in (entry.split() for line in _TABLE.split("\n") for entry in line.split("|") if entry.strip())
    },
    "BYTES": Datatype("BYTES", "", 0, "object"),
}
"""Every datatype by its name."""

FLOATS: Final = frozenset({"FP16", "FP32", "FP64", "BF16"})
_KINDS: Final[dict[str, set[type]]] = {"BOOL": {bool}, **{name: {float, int, bool, type(None)} for name in FLOATS}}
"""Types whose every value is of the datatype's kind; of those that are not here, int and bool."""

BYTES: Final = "BYTES"
BF16: Final = "BF16"


def datatype_named(name: str, tensor: str) -> Datatype:
    """The datatype of a tensor.

    Raises:
        InvalidTensor: the protocol has none of that name.
    """
    try:
        return DATATYPES[name]
    except KeyError:
        raise InvalidTensor(f"tensor '{tensor}': invalid datatype {name}; there are {', '.join(DATATYPES)}") from None


def unpack_values(datatype: Datatype, raw: bytes, tensor: str) -> list[Value]:
    """The elements that the bytes hold, in row-major order; BYTES as bytes.

    Raises:
        InvalidTensor: the bytes do not end where an element ends.
    """
    if datatype.name == BYTES:
        return list(split_bytes(raw, tensor))
    check_whole(datatype, raw, tensor)
    values: Iterable[Any] = chain.from_iterable(struct.iter_unpack(f"<{datatype.code}", raw))
    if datatype.name == BF16:
        values = (struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in values)
    return list(values)


def check_whole(datatype: Datatype, raw: bytes, tensor: str) -> None:
    """Checks that the bytes are a whole number of elements.

    Raises:
        InvalidTensor: they are not.
    """
    if len(raw) % datatype.size:
        raise InvalidTensor(f"tensor '{tensor}': {len(raw)} bytes are no whole number of {datatype.name} elements")


def split_bytes(raw: bytes, tensor: str) -> list[bytes]:
    """The elements of a BYTES tensor: each has its length before it, in 4 bytes.

    Raises:
        InvalidTensor: a length points past the end.
    """
    elements: list[bytes] = []
    at = 0
    while at < len(raw):
        start = at + 4
        end = start + int.from_bytes(raw[at:start], "little")
        if end > len(raw) or start > len(raw):
            raise InvalidTensor(f"tensor '{tensor}': element {len(elements)} of its BYTES is cut short")
        elements.append(raw[start:end])
        at = end
    return elements


def pack_bytes(elements: Sequence[bytes]) -> bytes:
    """A BYTES tensor's bytes: the inverse of `split_bytes`."""
    return b"".join(part for element in elements for part in (struct.pack("<I", len(element)), element))


def check_bytes(elements: Iterable[object], tensor: str) -> None:
    """Checks that what is to be sent as BYTES is bytes or text.

    Raises:
        InvalidTensor: an element is neither.
    """
    for element in elements:
        if not isinstance(element, str | bytes | bytearray | memoryview):
            raise InvalidTensor(
                f"tensor '{tensor}': BYTES hold bytes or text, not {type(element).__name__} ({element!r:.40}): "
                "convert the elements, or send numbers in an array of numbers"
            )


def check_kinds(datatype: Datatype, values: Sequence[object], tensor: str) -> None:
    """Checks that values of JSON are of a datatype of numbers, null in one of floats being NaN; not that they are in its range.

    Raises:
        InvalidTensor: one is not.
    """
    if {type(value) for value in values} <= _KINDS.get(datatype.name, {int, bool}):  # types are few: most tensors are done here
        return
    for value in values:
        if datatype.name in FLOATS:
            fits = value is None or isinstance(value, bool | int | float)
        elif datatype.name == "BOOL":
            fits = isinstance(value, bool) or value in (0, 1)
        else:
            fits = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value.is_integer())
        if not fits:
            raise InvalidTensor(f"tensor '{tensor}': {value!r:.40} is not {datatype.name}")


def check_numbers(datatype: Datatype, values: Sequence[Any], tensor: str) -> None:
    """Checks that the datatype can hold the numbers: some servers cut or wrap what it can't, and say nothing.

    Raises:
        InvalidTensor: one is of another kind, or out of range.
    """
    check_kinds(datatype, values, tensor)
    finite = [value for value in values if value is not None and -math.inf < value < math.inf] if datatype.name in FLOATS else values
    code = "f" if datatype.name == BF16 else datatype.code
    for extreme in (min(finite), max(finite)) if finite and datatype.name != "BOOL" else ():
        try:
            struct.pack(f"<{code}", extreme if datatype.name in FLOATS else int(extreme))
        except (struct.error, OverflowError):
            raise InvalidTensor(f"tensor '{tensor}': {extreme!r:.40} is not {datatype.name}: it is out of range") from None


def as_text(elements: Sequence[Value], tensor: str) -> list[str]:
    """The elements of a BYTES tensor as text.

    Raises:
        InvalidTensor: one is not UTF-8.
    """
    try:
        return [bytes(element).decode() if isinstance(element, bytes | bytearray | memoryview) else str(element) for element in elements]
    except UnicodeDecodeError as error:
        raise InvalidTensor(
            f"tensor '{tensor}': {error.object[:32]!r} is not UTF-8: JSON can't hold it; send it with binary_data=True"
        ) from error
