"""What is sent is what was given: whole, in the shape and datatype that are named, or refused with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isvcwatch.client import InferInput, InvalidTensor
from isvcwatch.client.plain import v2_request


def set_from(array: np.ndarray[Any, Any], datatype: str) -> InferInput:
    tensor = InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def test_an_input_set_for_binary_is_whole_json_in_a_dict() -> None:
    entry = v2_request({"inputs": [set_from(np.ones(2, np.float32), "FP32")]})["inputs"][0]
    assert entry == {"name": "x", "shape": [2], "datatype": "FP32", "data": [1.0, 1.0]}


def test_a_dict_with_data_names_no_size_of_bytes_that_are_not_there() -> None:
    given = set_from(np.ones(2, np.float32), "FP32").to_dict() | {"parameters": {"binary_data_size": 8, "content_type": "np"}}
    entry = v2_request({"inputs": [given]})["inputs"][0]
    assert entry["data"] == [1.0, 1.0]
    assert entry["parameters"] == {"content_type": "np"}
    assert given["parameters"] == {"binary_data_size": 8, "content_type": "np"}


def test_an_input_of_a_dict_keeps_its_parameters() -> None:
    entry = v2_request({"inputs": [InferInput("x", [1], "BYTES", ["a"], {"content_type": "str"})]})["inputs"][0]
    assert entry["parameters"] == {"content_type": "str"}


def test_an_input_of_a_dict_without_data_is_refused() -> None:
    with pytest.raises(InvalidTensor, match="'data' field is missing for tensor 'x'"):
        v2_request({"inputs": [InferInput("x", [1], "FP32")]})


RAWS_THAT_DO_NOT_FIT = [
    ("INT32", [1], b"12345", "no whole number"),
    ("INT32", [1], b"", "got 0 elements"),
    ("INT32", [0], b"1234", "got 1 elements"),
    ("BF16", [1], b"123", "no whole number"),
    ("BYTES", [1], b"\x01\0\0\0a\0\0\0\0", "got 2 elements"),
    ("BYTES", [2], b"\x01\0\0\0a", "got 1 elements"),
    ("BYTES", [1], b"\x02\0\0\0a", "cut short"),
]


@pytest.mark.parametrize(("datatype", "shape", "raw", "hint"), RAWS_THAT_DO_NOT_FIT)
def test_raw_bytes_that_are_not_the_shapes_are_neither_sent_nor_read(datatype: str, shape: list[int], raw: bytes, hint: str) -> None:
    tensor = InferInput("x", shape, datatype)
    tensor.set_raw(raw)
    for use in (tensor.to_wire, lambda: tensor.to_wire(binary=True), lambda: tensor.to_wire(binary=False), tensor.as_numpy):
        with pytest.raises(InvalidTensor, match=hint):
            use()
    with pytest.raises(InvalidTensor, match=hint):
        _ = tensor.data


class OfSomeoneElse(np.ndarray):
    """An array of a class that is not numpy's."""


THE_SAME: list[tuple[str, Any]] = [
    ("a list of arrays", [np.array([1, 2], np.float32), np.array([3, 4], np.float32)]),
    ("a list of lists of scalars", [[np.float32(1), np.float32(2)], [np.int64(3), 4]]),
    ("a tuple of an array and a list", (np.array([1, 2], np.float32), [3, 4.0])),
    ("a flat list of scalars", list(np.array([1, 2, 3, 4], np.float32))),
    ("an array of someone else's class", np.array([[1, 2], [3, 4]], np.float32).view(OfSomeoneElse)),
    ("an array whose rows are not next to each other", np.array([[1, 9, 2, 9], [9, 9, 9, 9], [3, 9, 4, 9]], np.float32)[::2, ::2]),
    ("an array in column-major order", np.asfortranarray(np.array([[1, 2], [3, 4]], np.float32))),
    ("an array that is read backwards", np.array([[4, 3], [2, 1]], np.float32)[::-1, ::-1]),
    ("a masked array with no masked element", np.ma.masked_array([[1, 2], [3, 4]], dtype=np.float32)),
    ("an array that can't be written to", np.broadcast_to(np.array([[1, 2], [3, 4]], np.float32), (2, 2))),
]


@pytest.mark.parametrize("data", [data for _, data in THE_SAME], ids=[name for name, _ in THE_SAME])
def test_the_same_elements_are_sent_however_they_are_held(data: Any) -> None:  # noqa: ANN401 - of any type
    tensor = InferInput("x", [2, 2], "FP32", data)
    assert tensor.to_wire()[0]["data"] == [1, 2, 3, 4]
    assert tensor.to_wire(binary=True)[1] == np.array([1, 2, 3, 4], np.float32).tobytes()
    assert tensor.as_numpy().tolist() == [[1, 2], [3, 4]]
    if tensor.data is not data or not isinstance(data, np.ndarray):
        return
    for binary in (True, False):
        again = InferInput("x", [2, 2], "FP32")
        again.set_data_from_numpy(data, binary_data=binary)
        assert again == tensor


def test_a_matrix_is_sent_row_by_row() -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.asmatrix(np.array([[1, 2], [3, 4]], np.int16))
    tensor = InferInput("x", [2, 2], "INT16", matrix)
    assert tensor.to_wire()[0]["data"] == [1, 2, 3, 4]
    assert tensor.to_wire(binary=True)[1] == b"\x01\0\x02\0\x03\0\x04\0"


@pytest.mark.parametrize("binary", [True, False])
def test_masked_elements_are_refused(binary: bool) -> None:
    array = np.ma.masked_array([1, 2], mask=[False, True], dtype=np.int16)
    with pytest.raises(InvalidTensor, match=r"array\.filled\(value\)"):
        InferInput("x", [2], "INT16").set_data_from_numpy(array, binary_data=binary)
    with pytest.raises(InvalidTensor, match=r"array\.filled\(value\)"):
        InferInput("x", [2], "INT16", array).to_wire(binary)


def test_a_scalar_of_numpy_is_a_tensor_without_dimensions() -> None:
    scalars: list[Any] = [np.float32(1.5), np.array(1.5, np.float32), [np.float32(1.5)], 1.5]
    for data in scalars:
        tensor = InferInput("x", [], "FP32", data)
        assert tensor.to_wire() == ({"name": "x", "shape": [], "datatype": "FP32", "data": [1.5]}, None)
        assert tensor.to_wire(binary=True)[1] == np.float32(1.5).tobytes()


def test_a_list_of_arrays_with_another_number_of_elements_is_refused() -> None:
    with pytest.raises(InvalidTensor, match="nested deeper"):
        InferInput("x", [2], "FP32", [np.zeros(2, np.float32), np.zeros(2, np.float32)]).to_wire()


def test_a_dict_may_hold_lists_of_arrays() -> None:
    given = {"x": [np.array([1, 2]), np.array([3, 4])], "y": [np.str_("a")]}
    assert [(entry["shape"], entry["datatype"], entry["data"]) for entry in v2_request(given)["inputs"]] == [
        ([2, 2], "INT64", [1, 2, 3, 4]),
        ([1], "BYTES", ["a"]),
    ]


def test_lists_nested_without_end_are_refused() -> None:
    endless: list[Any] = []
    endless.extend([endless, endless])
    with pytest.raises(InvalidTensor, match="nested"):
        InferInput("x", [2], "FP32", endless).to_wire()


EMPTY = [("FP32", [0]), ("FP32", [2, 0]), ("BOOL", [0, 3]), ("BF16", [0]), ("INT64", [3, 0, 2]), ("BYTES", [0]), ("BYTES", [2, 0])]


@pytest.mark.parametrize(("datatype", "shape"), EMPTY)
def test_tensors_without_elements_keep_their_shape(datatype: str, shape: list[int]) -> None:
    kind = {"FP32": np.float32, "BF16": np.float32, "BOOL": bool, "INT64": np.int64, "BYTES": object}[datatype]
    array = np.zeros(shape, kind)
    given: list[Any] = [array, array.tolist(), []]
    for data in given:
        tensor = InferInput("x", shape, datatype, data)
        assert tensor.to_wire()[0] == {"name": "x", "shape": shape, "datatype": datatype, "data": []}
        assert tensor.to_wire(binary=True) == (
            {"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": 0}},
            b"",
        )
        assert tensor.as_numpy().shape == tuple(shape)


def test_empty_strings_are_elements() -> None:
    tensor = InferInput("x", [3], "BYTES", ["", "a", b""])
    assert tensor.to_wire()[0]["data"] == ["", "a", ""]
    assert tensor.to_wire(binary=True)[1] == b"\0\0\0\0\x01\0\0\0a\0\0\0\0"


@pytest.mark.parametrize("array", [np.array([True, False, True, True])[::2], np.array([2, 255], np.uint8).view(bool)])
def test_a_true_is_the_byte_1(array: np.ndarray[Any, Any]) -> None:
    assert set_from(array, "BOOL").to_wire()[1] == b"\x01\x01"


NOT_OF_THE_DATATYPE: list[tuple[str, Any]] = [
    ("INT8", 128),
    ("INT8", -129),
    ("UINT8", -1),
    ("UINT16", 2**16),
    ("INT32", 2**31),
    ("INT64", 2**63),
    ("UINT64", 2**64),
    ("INT32", 1.5),
    ("INT32", float("inf")),
    ("INT32", "1"),
    ("INT32", None),
    ("BOOL", 2),
    ("BOOL", "true"),
    ("FP16", 1e6),
    ("FP16", -1e6),
    ("FP32", 1e39),
    ("BF16", 1e39),
    ("FP64", 10**400),
    ("FP32", "1.0"),
    ("FP32", {"a": 1}),
    ("BYTES", None),
    ("BYTES", 1),
]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(("datatype", "value"), NOT_OF_THE_DATATYPE, ids=[f"{row[0]}-{row[1]!r:.9}" for row in NOT_OF_THE_DATATYPE])
def test_a_value_that_the_datatype_cannot_hold_is_not_sent(datatype: str, value: Any, binary: bool) -> None:  # noqa: ANN401 - of any type
    for good in ([], ["a"] if datatype == "BYTES" else [1]):
        with pytest.raises(InvalidTensor, match=r"tensor 'x': (.* is not|BYTES hold bytes or text)"):
            InferInput("x", [len(good) + 1], datatype, [*good, value]).to_wire(binary)


LIMITS: list[tuple[str, list[Any]]] = [
    ("INT8", [-128, 127, True]),
    ("INT8", [1.0, -2.0]),
    ("UINT64", [0, 2**64 - 1]),
    ("FP16", [65504, -65504.0, None]),
    ("FP32", [3.4028234663852886e38, 2**100]),
    ("BOOL", [True, False, 0, 1]),
]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(("datatype", "values"), LIMITS)
def test_a_value_at_the_datatypes_limits_is_sent(datatype: str, values: list[Any], binary: bool) -> None:
    head, raw = InferInput("x", [len(values)], datatype, values).to_wire(binary)
    assert raw is not None if binary else head["data"] == values


def test_infinity_of_a_list_is_sent_in_binary() -> None:
    raw = InferInput("x", [2], "FP16", [float("inf"), float("nan")]).to_wire(binary=True)[1]
    assert raw is not None
    np.testing.assert_array_equal(np.frombuffer(raw, "<f2"), np.array([np.inf, np.nan], np.float16))
