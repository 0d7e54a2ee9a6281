"""Tensors: every datatype, both ways, and what does not fit."""

from __future__ import annotations

import builtins
import math
import sys
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.client import InferenceError, InferInput, InferOutput, InvalidInput, InvalidTensor, RequestedOutput
from isvcwatch.client.datatypes import DATATYPES

NUMBERS = {
    "BOOL": np.array([True, False, True]),
    "UINT8": np.array([0, 1, 255], dtype=np.uint8),
    "UINT16": np.array([0, 1, 65535], dtype=np.uint16),
    "UINT32": np.array([0, 1, 2**32 - 1], dtype=np.uint32),
    "UINT64": np.array([0, 1, 2**64 - 1], dtype=np.uint64),
    "INT8": np.array([-128, 0, 127], dtype=np.int8),
    "INT16": np.array([-(2**15), 0, 2**15 - 1], dtype=np.int16),
    "INT32": np.array([-(2**31), 0, 2**31 - 1], dtype=np.int32),
    "INT64": np.array([-(2**63), 0, 2**63 - 1], dtype=np.int64),
    "FP16": np.array([-65504, 0.1, 6e-8], dtype=np.float16),
    "FP32": np.array([-3.4e38, 0.1, 1e-45], dtype=np.float32),
    "FP64": np.array([-1.7e308, 0.1, 5e-324]),
    "BF16": np.array([-3.3895314e38, 0.10009765625, 1.0], dtype=np.float32),
}


def test_every_datatype_of_the_protocol_is_tried_here() -> None:
    assert {*NUMBERS, "BYTES"} == set(DATATYPES)


@pytest.mark.parametrize("datatype", NUMBERS)
@pytest.mark.parametrize("binary", [True, False])
def test_every_number_comes_back_as_it_went(datatype: str, binary: bool) -> None:
    array = NUMBERS[datatype].reshape(3, 1)
    tensor = InferInput("x", [3, 1], datatype.lower())
    tensor.set_data_from_numpy(array, binary_data=binary)
    back = tensor.as_numpy()
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert tensor.data == array.ravel().tolist()
    assert (tensor.parameters is None) is not binary


@pytest.mark.parametrize("binary", [True, False])
def test_bytes_come_back_as_they_went(binary: bool) -> None:
    tensor = InferInput("x", [2, 2], "BYTES")
    array = np.array([["a", "ü"], [b"b", ""]], dtype=object)
    tensor.set_data_from_numpy(array, binary_data=binary)
    assert tensor.as_string() == ["a", "ü", "b", ""]
    assert tensor.data == ["a", "ü", "b", ""]
    expected = [[b"a", "ü".encode()], [b"b", b""]] if binary else [["a", "ü"], ["b", ""]]
    assert tensor.as_numpy().tolist() == expected


@pytest.mark.parametrize("array", [np.array(["a", "bc"]), np.array([b"a", b"bc"]), np.array(["a", "bc"], dtype=object)])
def test_bytes_are_taken_from_text_and_bytes_arrays_alike(array: np.ndarray[Any, Any]) -> None:
    tensor = InferInput("x", [2], "BYTES")
    tensor.set_data_from_numpy(array)
    assert tensor.as_numpy().tolist() == [b"a", b"bc"]


def test_bytes_that_are_not_utf8_go_in_binary_and_not_in_json() -> None:
    tensor = InferInput("x", [1], "BYTES")
    array = np.array([b"\xff\x00"], dtype=object)
    tensor.set_data_from_numpy(array)
    assert tensor.as_numpy().tolist() == [b"\xff\x00"]
    assert tensor.data == [b"\xff\x00"]
    with pytest.raises(InvalidInput, match="binary_data=True"):
        tensor.set_data_from_numpy(array, binary_data=False)
    with pytest.raises(InvalidInput, match="UTF-8"):
        tensor.as_string()


def test_bf16_is_rounded_to_the_nearest_and_ties_to_even() -> None:
    values = np.array([1.00390625, 1.01171875, 1.005, np.nan, np.inf, -np.inf, -0.0], dtype=np.float32)
    tensor = InferInput("x", [7], "BF16")
    tensor.set_data_from_numpy(values)
    back = tensor.as_numpy()
    np.testing.assert_array_equal(back, np.array([1.0, 1.015625, 1.0078125, np.nan, np.inf, -np.inf, -0.0], dtype=np.float32))
    assert math.copysign(1, float(back[-1])) == -1
    tensor.shape = [3]
    tensor.set_data_from_numpy(values[:3], binary_data=False)
    assert tensor.data == [1.0, 1.015625, 1.0078125]


def test_a_bf16_nan_whose_payload_is_low_stays_a_nan() -> None:
    tensor = InferInput("x", [1], "BF16")
    tensor.set_data_from_numpy(np.array([0x7F800001], dtype=np.uint32).view(np.float32))
    assert np.isnan(tensor.as_numpy()[0])


def test_scalars_empty_tensors_and_other_memory_layouts_are_sent_in_row_major_order() -> None:
    for array in (np.array(3, np.float32), np.zeros((0, 4), np.float32), np.arange(6, dtype=">f4").reshape(2, 3).T):
        tensor = InferInput("x", list(array.shape), "FP32")
        for binary in (True, False):
            tensor.set_data_from_numpy(array, binary_data=binary)
            np.testing.assert_array_equal(tensor.as_numpy(), array)


def test_nested_lists_are_read_as_the_shape_says() -> None:
    tensor = InferInput("x", [2, 2], "INT32", [[1, 2], [3, 4]])
    assert tensor.as_numpy().tolist() == [[1, 2], [3, 4]]
    assert tensor.to_wire()[0]["data"] == [1, 2, 3, 4]
    assert InferInput("x", [], "INT32", 5).to_wire()[0]["data"] == [5]
    assert InferInput("x", cast("Any", (np.int64(1),)), "INT32", (5,)).to_wire()[0] == {
        "name": "x",
        "shape": [1],
        "datatype": "INT32",
        "data": [5],
    }


MISFITS: list[tuple[Any, str, Any]] = [
    ([3], "INT32", [1, 2]),
    ([2, 2], "INT32", [[1, 2], [3]]),
    ([2, 2], "INT32", [[1, 2, 3, 4]]),
    ([1], "INT32", [[[1]]]),
    ([2], "INT32", [1, [2]]),
    ([-1], "INT32", [1]),
    ([1.0], "INT32", [1]),
    ([True], "INT32", [1]),
    ("1", "INT32", [1]),
    (None, "INT32", [1]),
    ([2**62, 2**62], "INT32", [1]),
    ([1], "INT3", [1]),
    ([1], "INT8", [300]),
    ([1], "INT8", [1.5]),
    ([1], "INT8", ["1"]),
    ([1], "INT8", [None]),
    ([1], "FP32", ["1"]),
    ([1], "FP64", [10**400]),
    ([1], "BOOL", [2]),
    ([1], "FP32", None),
    ([1], "FP32", np.array([1.0])),
    ([2], "FP64", np.array([1.0])),
]


@pytest.mark.parametrize(("shape", "datatype", "data"), MISFITS)
def test_data_that_does_not_fit_is_refused(shape: Any, datatype: str, data: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(InvalidInput, match="'x'") as raised:
        InferOutput("x", shape, datatype, data).as_numpy()
    assert isinstance(raised.value, InferenceError)
    assert raised.value.reason == str(raised.value)


@pytest.mark.parametrize(
    ("shape", "datatype", "array"),
    [
        ([2], "FP32", np.zeros(2)),
        ([2], "FP32", np.zeros(3, np.float32)),
        ([2], "FP32", [1.0, 2.0]),
        ([1], "FP32", np.zeros(1, complex)),
        ([1], "INT32", np.zeros(1, "f2")),
    ],
)
def test_an_array_of_another_type_or_shape_is_refused(shape: list[int], datatype: str, array: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(InvalidTensor, match=r"unexpected|numpy array"):
        InferInput("x", shape, datatype).set_data_from_numpy(array)


def test_an_array_given_as_data_is_sent_as_json() -> None:
    tensor = InferInput("x", [1, 2], "FP32", np.array([[1, 2]], dtype=np.float32))
    assert tensor.to_wire() == ({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}, None)
    assert tensor.as_numpy().tolist() == [[1.0, 2.0]]
    assert tensor.to_dict()["data"] == [[1.0, 2.0]]
    text = InferInput("x", [1], "BYTES", np.array([b"a"]))
    assert text.to_wire()[0]["data"] == ["a"]


def test_nan_and_infinity_are_refused_in_json_and_sent_in_binary() -> None:
    array = np.array([np.nan, np.inf], dtype=np.float32)
    tensor = InferInput("x", [2], "FP32")
    tensor.set_data_from_numpy(array, binary_data=False)
    with pytest.raises(InvalidTensor, match="binary_data=True"):
        tensor.to_wire()
    tensor.set_data_from_numpy(array)
    np.testing.assert_array_equal(tensor.as_numpy(), array)


def test_null_in_a_servers_floats_is_nan_and_beyond_the_range_is_infinity() -> None:
    back = InferOutput("y", [3], "FP16", [None, 1e6, 1]).as_numpy()
    np.testing.assert_array_equal(back, np.array([np.nan, np.inf, 1], dtype=np.float16))


def test_the_callers_parameters_are_not_changed() -> None:
    parameters = {"content_type": "np"}
    tensor = InferInput("x", [1], "FP32", parameters=parameters)
    tensor.set_data_from_numpy(np.zeros(1, np.float32))
    assert parameters == {"content_type": "np"}
    assert tensor.parameters == {"content_type": "np", "binary_data_size": 4}
    tensor.set_data_from_numpy(np.zeros(1, np.float32), binary_data=False)
    assert tensor.parameters == {"content_type": "np"}
    assert tensor.to_wire()[0]["parameters"] == {"content_type": "np"}
    tensor.parameters = None
    assert tensor.parameters is None
    tensor.parameters = parameters
    assert tensor.parameters == parameters


def test_data_set_later_takes_the_place_of_raw_bytes() -> None:
    tensor = InferInput("x", [1], "INT8")
    tensor.set_raw(b"\x05")
    assert tensor.data == [5]
    tensor.data = [6]
    assert tensor.to_wire()[0]["data"] == [6]


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [("INT32", b"123"), ("INT32", b"12345678"), ("BYTES", b"\x05\0\0\0a"), ("BYTES", b"\x05\0"), ("BYTES", b""), ("BF16", b"1")],
)
def test_raw_bytes_that_do_not_fit_are_refused(datatype: str, raw: bytes) -> None:
    tensor = InferOutput("y", [1], datatype)
    tensor.set_raw(raw)
    with pytest.raises(InvalidTensor, match="'y'"):
        tensor.as_numpy()
    with pytest.raises(InvalidTensor, match="'y'"):
        tensor.to_wire(binary=False)
    if datatype == "INT32":
        with pytest.raises(InvalidTensor, match="'y'"):
            tensor.as_numpy()


def test_raw_bytes_of_another_count_are_not_sent() -> None:
    tensor = InferInput("x", [1], "INT32")
    tensor.set_raw(b"12345678")
    with pytest.raises(InvalidTensor, match="got 2 elements"):
        tensor.to_wire()


def test_text_is_read_of_bytes_only() -> None:
    with pytest.raises(InvalidInput, match="invalid datatype INT8"):
        InferOutput("y", [1], "INT8", [1]).as_string()
    assert InferOutput("y", [1, 2], "BYTES", [["a", b"b"]]).as_string() == ["a", "b"]


def test_tensors_are_equal_by_what_they_hold() -> None:
    a = InferInput("x", [1], "BYTES", ["a"])
    b = InferInput("x", [1], "BYTES")
    assert a != b
    assert b == InferInput("x", [1], "BYTES")
    b.set_data_from_numpy(np.array([b"a"]))
    assert a == b
    assert a != InferOutput("x", [1], "BYTES", ["a"])
    assert a != "x"
    assert "'a'" not in repr(a)
    assert (a.name, a.shape, a.datatype) == ("x", [1], "BYTES")


def test_requested_outputs_say_how_they_want_to_be_sent() -> None:
    plain = RequestedOutput("y")
    assert (plain.name, plain.parameters, plain.binary_data, plain.to_wire()) == ("y", None, None, {"name": "y"})
    plain.parameters = {"binary_data": True}
    assert plain.binary_data is True
    assert plain == RequestedOutput("y", {"binary_data": True})
    assert plain != RequestedOutput("y")
    assert plain != "y"
    assert plain.to_wire() == {"name": "y", "parameters": {"binary_data": True}}
    plain.parameters = None
    assert repr(plain) == "RequestedOutput(name='y', parameters=None)"


def test_lists_need_no_numpy_and_arrays_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_numpy(name: str, *rest: Any) -> Any:  # noqa: ANN401 - of any type
        if name == "numpy":
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.delitem(sys.modules, "numpy")
    monkeypatch.setattr(builtins, "__import__", without_numpy)
    tensor = InferInput("x", [1], "BF16")
    tensor.set_raw(b"\x80\x3f")
    assert tensor.data == [1.0]
    assert InferInput("x", [1], "FP32", [1.5]).to_wire()[0]["data"] == [1.5]
    with pytest.raises(ImportError, match=r"pip install 'isvcwatch\[numpy\]'"):
        tensor.as_numpy()


def test_bfloat16_arrays_of_other_packages_are_known_by_name() -> None:
    from isvcwatch.client.arrays import name_of  # noqa: PLC0415 - not public

    class BFloat16:
        kind, name = "V", "bfloat16"

    assert name_of(BFloat16()) == "BF16"  # type: ignore[arg-type] # only its two names count


@given(st.sampled_from(sorted(set(NUMBERS) - {"BF16"})), st.lists(st.integers(0, 4), max_size=3), st.randoms(use_true_random=False))
def test_any_bits_of_any_shape_come_back_from_binary(datatype: str, shape: list[int], chance: Any) -> None:  # noqa: ANN401 - of any type
    count = math.prod(shape)
    kind = DATATYPES[datatype]
    raw = bytes(chance.randrange(2) for _ in range(count)) if datatype == "BOOL" else chance.randbytes(count * kind.size)
    tensor = InferInput("x", shape, datatype)
    tensor.set_raw(raw)
    array = tensor.as_numpy()
    assert list(array.shape) == shape
    again = InferInput("x", shape, datatype)
    again.set_data_from_numpy(array)
    assert again.to_wire()[1] == raw


@given(st.lists(st.binary(max_size=9), max_size=6))
def test_any_bytes_come_back_from_binary(elements: list[bytes]) -> None:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    tensor = InferInput("x", [len(elements)], "BYTES")
    tensor.set_data_from_numpy(array)
    assert tensor.as_numpy().tolist() == elements


@given(st.lists(st.floats(allow_nan=False, width=32), max_size=6), st.sampled_from(["FP32", "FP64"]))
def test_any_finite_float_comes_back_from_json(values: list[float], datatype: str) -> None:
    array = np.array(values, dtype=np.float32 if datatype == "FP32" else np.float64)
    tensor = InferInput("x", [len(values)], datatype)
    tensor.set_data_from_numpy(array, binary_data=False)
    np.testing.assert_array_equal(InferOutput("y", [len(values)], datatype, tensor.data).as_numpy(), array)
