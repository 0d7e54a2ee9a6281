"""Converts tensors to and from numpy's arrays. numpy is imported when it is first needed, since health checks and JSON don't need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isvcwatch.client.datatypes import (
    BF16,
    BYTES,
    DATATYPES,
    Datatype,
    Value,
    check_bytes,
    check_kinds,
    check_whole,
    pack_bytes,
    split_bytes,
)
from isvcwatch.client.errors import InvalidTensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

_QUIET_BIT = 0x0040
"""A bit that is set in every BF16 NaN: without it, a NaN whose payload is only in the half that is cut off would become an infinity."""


_INSTEAD = {
    "c": "send array.real and array.imag as two tensors",
    "M": "send array.astype('int64') as INT64, or numpy.datetime_as_string(array) as BYTES",
    "m": "send array.astype('int64') as INT64",
    "f": "convert it with array.astype('float64') to FP64",
    "fields": "send each field as a tensor of its own",
}
"""Advice on what to send in place of a dtype that the protocol lacks, by numpy's kind."""


def numpy() -> ModuleType:
    """The numpy module.

    Raises:
        ImportError: numpy is not installed; the message says how to install it.
    """
    try:
        import numpy as np  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError("tensors as arrays need numpy: pip install 'isvcwatch[numpy]'") from error
    return np


def is_array(value: object) -> bool:
    """Whether a value is a numpy array or scalar, or of a subclass of them; does not import numpy."""
    return any(kind.__module__.partition(".")[0] == "numpy" for kind in type(value).__mro__) and hasattr(value, "dtype")


def from_raw(datatype: Datatype, raw: bytes, tensor: str) -> Array:
    """The flat array from a binary tensor's bytes: for BYTES an array of bytes objects, for BF16 one of float32.

    Raises:
        InvalidTensor: the bytes do not end where an element ends.
    """
    np = numpy()
    if datatype.name == BYTES:
        return _objects(split_bytes(raw, tensor))
    check_whole(datatype, raw, tensor)
    if datatype.name == BF16:
        halves = np.frombuffer(raw, dtype="<u2").astype("<u4")
        widened: Array = (halves << 16).view("<f4")
        return widened
    if datatype.name == "BOOL":
        array: Array = np.frombuffer(raw, dtype=np.uint8) != 0
        return array
    # Copies the data, since the array that frombuffer makes is read-only.
    return np.frombuffer(raw, dtype=datatype.dtype).astype(np.dtype(datatype.dtype).newbyteorder("="))  # type: ignore[no-any-return]


def from_values(datatype: Datatype, values: Sequence[Value], tensor: str) -> Array:
    """The flat array from JSON's values. A null in a tensor of floats becomes NaN, since servers write NaN as null.

    Raises:
        InvalidTensor: a value is not of the datatype, or out of its range.
    """
    np = numpy()
    if datatype.name == BYTES:
        return _objects(values)
    check_kinds(datatype, values, tensor)
    try:
        with np.errstate(over="ignore"):  # a number beyond the datatype's range becomes infinity, as in every decoder of floats
            return np.array(values, dtype=np.dtype(datatype.dtype).newbyteorder("="))  # type: ignore[no-any-return]
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidTensor(f"tensor '{tensor}': its data is not {datatype.name}: {error}") from error


def to_raw(datatype: Datatype, array: Array, tensor: str) -> bytes:
    """The bytes of an array that `check_array` let through, in row-major order.

    Raises:
        InvalidTensor: an element of BYTES is neither bytes nor text.
    """
    np = numpy()
    if datatype.name == BYTES:
        return pack_bytes(to_bytes(array, tensor))
    if datatype.name == BF16:
        return _to_bf16(array)
    if datatype.name == "BOOL":
        # A view of other bytes may have a true value that is not 1, but the protocol needs 1.
        return (np.ascontiguousarray(array).view(np.uint8) != 0).tobytes()  # type: ignore[no-any-return]
    return np.ascontiguousarray(array, dtype=datatype.dtype).tobytes()  # type: ignore[no-any-return]


def to_bytes(array: Array, tensor: str) -> list[bytes]:
    """The elements of a BYTES array, text as UTF-8.

    Raises:
        InvalidTensor: an element is neither bytes nor text. (KServe's SDK sends Python's `str` of it: "None" for a missing value.)
    """
    elements = array.ravel().tolist()
    check_bytes(elements, tensor)
    return [item.encode() if isinstance(item, str) else bytes(item) for item in elements]


def check_array(datatype: Datatype, given: object, shape: Sequence[int], tensor: str) -> Array:
    """Check that an array has the tensor's type and shape, and return it; one of bfloat16 (ml_dtypes) becomes float32.

    A numpy scalar is an array without dimensions. Arrays of subclasses become plain, since subclasses such as matrix behave differently.

    Raises:
        InvalidTensor: type or shape are not the tensor's.
    """
    np = numpy()
    if not isinstance(given, np.ndarray | np.generic):
        raise InvalidTensor(f"tensor '{tensor}': data should be a numpy array, not {type(given).__name__}")
    if np.ma.is_masked(given):
        raise InvalidTensor(f"tensor '{tensor}': the protocol has no masked elements: send array.filled(value)")
    array: Array = np.asarray(given)
    found = datatype_of_array(array, tensor)
    if found != datatype.name and not (datatype.name == BF16 and found == "FP32"):
        raise InvalidTensor(
            f"tensor '{tensor}': got unexpected datatype {found} from numpy array ({array.dtype}), expected {datatype.name}"
        )
    if list(array.shape) != list(shape):
        raise InvalidTensor(f"tensor '{tensor}': got unexpected numpy array shape {list(array.shape)}, expected {list(shape)}")
    checked: Array = array.astype(np.float32) if found == BF16 else array
    return checked


def datatype_of_array(array: Array, tensor: str) -> str:
    """The protocol's name of an array's dtype.

    Raises:
        InvalidTensor: the protocol has no name for it; the message says what can be sent instead.
    """
    found = name_of(array.dtype)
    if found is None:
        kind = "fields" if array.dtype.names else array.dtype.kind
        instead = _INSTEAD.get(kind, "convert it with astype to a dtype that the protocol has")
        raise InvalidTensor(f"tensor '{tensor}': invalid datatype {array.dtype.name} of a numpy array: {instead}")
    return found


def name_of(dtype: np.dtype[Any]) -> str | None:
    """The protocol's name of a numpy dtype, by its name and kind, so that ml_dtypes is not needed; None if it has none."""
    if dtype.kind in "OSUT":
        return BYTES
    if dtype.name == "bfloat16":
        return BF16
    code = dtype.newbyteorder("<") if dtype.kind in "biuf" else dtype
    np = numpy()
    return next((name for name, known in DATATYPES.items() if name != BF16 and code == np.dtype(known.dtype)), None)


def _objects(values: Sequence[Value]) -> Array:
    array: Array = numpy().empty(len(values), dtype=object)
    array[:] = values
    return array


def _to_bf16(array: Array) -> bytes:
    """The upper half of each float32's bits, rounded to the nearest and ties to even, as accelerators do it."""
    np = numpy()
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4").ravel()
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    nan = np.isnan(bits.view("<f4"))
    return np.where(nan, (bits >> 16) | _QUIET_BIT, rounded).astype("<u2").tobytes()  # type: ignore[no-any-return]
