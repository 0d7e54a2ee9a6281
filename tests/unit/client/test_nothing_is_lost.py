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
