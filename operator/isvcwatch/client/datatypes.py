"""The Open Inference Protocol's datatypes, and the conversion of a tensor's bytes to and from Python's values, without numpy.

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
"""One element of a tensor; None stands for a JSON null, which servers write for NaN."""


@dataclass(frozen=True, slots=True)
class Datatype:
    """The format of one datatype.

    Attributes:
        name: the protocol's name.
        code: the struct module's code for one element; empty for BYTES.
        size: the bytes of one element; 0 for BYTES, whose elements differ in length.
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
"""Name, code, size and dtype of each datatype. numpy has no dtype for BF16, the upper half of an FP32; float32 can hold all its values."""

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
"""For each datatype, the Python types of which every value fits its kind; for a datatype that is not listed, these are int and bool."""

BYTES: Final = "BYTES"
BF16: Final = "BF16"


def datatype_named(name: str, tensor: str) -> Datatype:
    """The datatype of a tensor.

    Raises:
        InvalidTensor: the protocol has no datatype of that name.
    """
    try:
        return DATATYPES[name]
    except KeyError:
        raise InvalidTensor(f"tensor '{tensor}': invalid datatype {name}; there are {', '.join(DATATYPES)}") from None


def unpack_values(datatype: Datatype, raw: bytes, tensor: str) -> list[Value]:
    """The elements in a binary tensor's bytes, in row-major order; those of BYTES are bytes objects.

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
        InvalidTensor: the last element is not complete.
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
    """Checks that all elements to be sent as BYTES are bytes or text.

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
    """Checks that JSON values are of the kind of a numeric datatype, in which null counts as a float (NaN). Does not check their range.

    Raises:
        InvalidTensor: a value is of another kind.
    """
    if {type(value) for value in values} <= _KINDS.get(datatype.name, {int, bool}):  # cheap, since types are few
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
    """Checks that the datatype can hold the numbers, since some servers silently truncate or wrap those that it can't hold.

    Raises:
        InvalidTensor: a number is of another kind, or out of range.
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
        InvalidTensor: an element is not UTF-8.
    """
    try:
        return [bytes(element).decode() if isinstance(element, bytes | bytearray | memoryview) else str(element) for element in elements]
    except UnicodeDecodeError as error:
        raise InvalidTensor(
            f"tensor '{tensor}': {error.object[:32]!r} is not UTF-8: JSON can't hold it; send it with binary_data=True"
        ) from error
