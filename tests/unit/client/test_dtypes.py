"""Every dtype that numpy has is sent as a datatype of the protocol, or refused by its name with what to do."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from isvcwatch.client import InferInput, InvalidTensor
from isvcwatch.client.plain import v2_request

DATATYPES = {
    "bool": "BOOL",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bytes": "BYTES",
    "str": "BYTES",
    "object": "BYTES",
}

REFUSED = {
    "complex64": r"array\.real and array\.imag",
    "complex128": r"array\.real and array\.imag",
    "complex192": r"array\.real and array\.imag",
    "complex256": r"array\.real and array\.imag",
    "float96": r"array\.astype\('float64'\)",
    "float128": r"array\.astype\('float64'\)",
    "datetime64": r"array\.astype\('int64'\) as INT64, or numpy\.datetime_as_string",
    "timedelta64": r"array\.astype\('int64'\) as INT64",
    "void": "convert it with astype",
}

EVERY = sorted({np.dtype(kind).str for kind in [*np.sctypeDict.values(), *np.typecodes["All"]]})


def example(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Two elements of the dtype."""
    return np.array([b"", b"a"], dtype=object) if dtype.kind == "O" else np.zeros(2, dtype)


def sent(array: Any, datatype: str, binary: bool = True) -> Any:  # noqa: ANN401 - of any type
    tensor = InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    head, raw = tensor.to_wire()
    return raw if binary else head["data"]


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("code", EVERY)
def test_every_dtype_of_numpy_is_sent_or_refused_by_its_name(code: str, byte_order: Literal["<", ">"]) -> None:
    little, dtype = np.dtype(code).newbyteorder("<"), np.dtype(code).newbyteorder(byte_order)
    name = dtype.type.__name__.rstrip("_") if dtype.kind in "MmSUOV" else dtype.name  # names of these hold a size or a unit
    if (datatype := DATATYPES.get(name)) is None:
        for attempt in (lambda: v2_request({"x": np.zeros(2, dtype)}), lambda: sent(np.zeros(2, dtype), "FP64")):
            with pytest.raises(InvalidTensor, match=rf"tensor 'x': invalid datatype {name}\d* of a numpy array: .*{REFUSED[name]}"):
                attempt()
        return
    array = example(dtype)
    assert v2_request({"x": array})["inputs"][0]["datatype"] == datatype
    assert sent(array, datatype) == sent(example(little), datatype)
    assert sent(array, datatype, binary=False) == sent(example(little), datatype, binary=False)


@pytest.mark.parametrize("dtype", [">i2", ">u4", ">i8", ">f2", ">f4", ">f8", ">U3"])
def test_big_endian_arrays_are_sent_in_little_endian(dtype: str) -> None:
    array = np.array([1, 2, 3]).astype(dtype)
    datatype = v2_request({"x": array})["inputs"][0]["datatype"]
    little = array.astype(array.dtype.newbyteorder("<"))
    assert sent(array, datatype) == sent(little, datatype)
    if datatype != "BYTES":
        assert sent(array, datatype) == little.tobytes()


def test_structured_arrays_are_refused() -> None:
    with pytest.raises(InvalidTensor, match="send each field as a tensor of its own"):
        sent(np.zeros(1, [("a", "i4"), ("b", "f4")]), "BYTES")


@pytest.mark.skipif(not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"), reason="numpy 1 has no StringDType")
@pytest.mark.parametrize("given", ["set", "data", "dict"])
def test_numpys_strings_of_any_length_are_bytes(given: str) -> None:
    array = np.array([["", "a"], ["ü" * 40, "b"]], dtype=np.dtypes.StringDType())
    text = ["", "a", "ü" * 40, "b"]
    if given == "set":
        assert sent(array, "BYTES", binary=False) == text
        assert sent(array, "BYTES") == sent(array.astype(object), "BYTES")
    elif given == "data":
        assert InferInput("x", [2, 2], "BYTES", array).to_wire()[0]["data"] == text
    else:
        assert v2_request({"x": array})["inputs"] == [{"name": "x", "shape": [2, 2], "datatype": "BYTES", "data": text}]


@pytest.mark.skipif(not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"), reason="numpy 1 has no StringDType")
def test_a_missing_string_is_refused() -> None:
    array = np.array(["a", None], dtype=np.dtypes.StringDType(na_object=None))
    for binary in (True, False):
        with pytest.raises(InvalidTensor, match="not NoneType"):
            sent(array, "BYTES", binary)


@pytest.mark.parametrize("element", [None, 1, 1.5, True, ["a"], {"a": 1}, np.datetime64("2026-01-01")])
def test_objects_that_are_neither_bytes_nor_text_are_refused(element: Any) -> None:  # noqa: ANN401 - of any type
    array = np.empty(2, dtype=object)
    array[:] = ["a", element]
    hint = f"BYTES hold bytes or text, not {type(element).__name__}"
    for binary in (True, False):
        with pytest.raises(InvalidTensor, match=hint):
            sent(array, "BYTES", binary)
        with pytest.raises(InvalidTensor, match=hint):
            InferInput("x", [2], "BYTES", array).to_wire(binary)
    with pytest.raises(InvalidTensor, match=hint):
        v2_request({"x": array})


@pytest.mark.parametrize("element", [b"a", "a", bytearray(b"a"), memoryview(b"a"), np.str_("a"), np.bytes_(b"a")])
def test_objects_that_are_bytes_or_text_are_sent(element: Any) -> None:  # noqa: ANN401 - of any type
    array = np.empty(1, dtype=object)
    array[0] = element
    assert sent(array, "BYTES") == b"\x01\0\0\0a"
    assert sent(array, "BYTES", binary=False) == ["a"]


def test_bfloat16_of_ml_dtypes_is_bf16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([1.5, -2.0], dtype=np.float32).astype(ml_dtypes.bfloat16)
    assert sent(array, "BF16") == array.tobytes()
    assert sent(array, "BF16", binary=False) == [1.5, -2.0]
