"""Tensors in memory that client and server share: Triton's extension, docs/protocol/extension_shared_memory.md."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from isvcwatch.client import InferInput, InferOutput, InferRequest, InferResponse, InvalidInput, InvalidTensor, RequestedOutput
from isvcwatch.client.plain import v2_request
from tests.unit.client.support import BASE, answering, saying

SHARED: dict[str, Any] = {"shared_memory_region": "in", "shared_memory_byte_size": 64, "shared_memory_offset": 8}
RESULT: dict[str, Any] = {"shared_memory_region": "out", "shared_memory_byte_size": 64}


def shared(**changed: Any) -> InferInput:  # noqa: ANN401 - of any type
    return InferInput("x", [1, 16], "FP32", parameters=SHARED | changed)


def binary() -> InferInput:
    tensor = InferInput("b", [2], "INT8")
    tensor.set_data_from_numpy(np.array([1, 2], dtype=np.int8))
    return tensor


def test_an_input_in_shared_memory_is_sent_without_data_in_json() -> None:
    content, length = InferRequest("m", [shared()], "1", request_outputs=[RequestedOutput("y", RESULT)]).to_rest()
    assert length is None
    assert content == {
        "id": "1",
        "model_name": "m",
        "outputs": [{"name": "y", "parameters": RESULT}],
        "inputs": [{"name": "x", "shape": [1, 16], "datatype": "FP32", "parameters": SHARED}],
    }


def test_an_input_in_shared_memory_has_no_bytes_in_a_binary_request() -> None:
    request = InferRequest("m", [shared(), binary()], "1")
    content, length = request.to_rest()
    assert isinstance(content, bytes)
    assert length is not None
    assert content[length:] == b"\x01\x02"
    assert json.loads(content[:length])["inputs"][0] == {"name": "x", "shape": [1, 16], "datatype": "FP32", "parameters": SHARED}
    assert InferRequest.from_bytes(content, length, "m") == request


@pytest.mark.parametrize("binary_outputs", [True, False])
def test_an_output_in_shared_memory_stays_there_however_the_others_are_sent(binary_outputs: bool) -> None:
    outputs = [InferOutput("y", [1, 16], "FP32", parameters=RESULT), InferOutput("z", [1], "INT8", [1])]
    content, length = InferResponse("1", "m", outputs, use_binary_outputs=binary_outputs).to_rest()
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    back = InferResponse.from_bytes(body, len(body) if length is None else length)
    assert [(output.parameters, output.data) for output in back.outputs] == [(RESULT, None), ({} if binary_outputs else None, [1])]


def test_an_answer_whose_output_is_in_shared_memory_is_read_and_says_where_its_data_is() -> None:
    entry = {"name": "y", "shape": [1, 16], "datatype": "FP32", "parameters": RESULT}
    response = InferResponse.from_rest({"outputs": [entry]})
    output = response.outputs[0]
    assert (output.name, output.shape, output.parameters, output.data) == ("y", [1, 16], RESULT, None)
    assert response.to_dict()["outputs"][0]["data"] is None
    assert response == InferResponse.from_rest({"outputs": [entry]})
    with pytest.raises(ValueError, match="tensor 'y': its data is in the shared memory region 'out'"):
        output.as_numpy()
    with pytest.raises(ValueError, match="shared memory region 'out'"):
        InferOutput("y", [1], "BYTES", parameters=RESULT).as_string()


REQUESTS: list[Any] = [
    InferRequest("m", [shared()], request_outputs=[RequestedOutput("y", RESULT | {"other": 1}), RequestedOutput("z")]),
    InferRequest("m", [shared(), binary()], request_outputs=[RequestedOutput("y", RESULT)]),
    {"inputs": [shared()], "outputs": [{"name": "y", "parameters": RESULT}]},
    json.dumps({"inputs": [], "outputs": [{"name": "y", "parameters": RESULT}]}).encode(),
]


@pytest.mark.parametrize("request_", REQUESTS)
async def test_tritons_answer_without_data_and_parameters_is_read_by_what_was_asked(request_: Any) -> None:  # noqa: ANN401 - of any type
    answer = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 16]}]}
    client, server = answering(saying(200, json.dumps(answer)), protocol="v2")
    response = await client.infer(BASE, request_, "m")
    assert isinstance(response, InferResponse)
    assert response.outputs[0].parameters == RESULT
    with pytest.raises(ValueError, match="shared memory region 'out'"):
        response.outputs[0].as_numpy()
    assert b'"data":null' not in server.requests[0].content


NOT_ASKED: list[Any] = [
    InferRequest("m", [shared()], request_outputs=[RequestedOutput("z", RESULT), RequestedOutput("y")]),
    b'{"inputs":[],"outputs":"shared_memory_region"}',
    b"shared_memory_region",
]


@pytest.mark.parametrize("request_", NOT_ASKED)
@pytest.mark.parametrize("length", [None, "wrong"])
async def test_an_answer_without_data_that_was_not_asked_for_in_shared_memory_is_refused(request_: Any, length: str | None) -> None:  # noqa: ANN401 - of any type
    answer = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 16]}]}
    client, _ = answering(saying(200, json.dumps(answer)), protocol="v2")
    headers = None if length is None else {"Inference-Header-Content-Length": length}
    with pytest.raises(InvalidInput, match="'data' field is missing for tensor 'y', and neither binary_data_size nor shared_memory_region"):
        await client.infer(BASE, request_, "m", headers=headers)


@pytest.mark.parametrize(
    "parameters", [None, {}, {"shared_memory_byte_size": 4}, {"shared_memory_region": 3}, {"shared_memory_region": ""}]
)
def test_a_tensor_with_neither_data_nor_a_region_is_refused(parameters: Any) -> None:  # noqa: ANN401 - of any type
    entry = {"name": "y", "shape": [1], "datatype": "FP32", "data": None, "parameters": parameters}
    with pytest.raises(InvalidInput, match="'data' field is missing for tensor 'y'"):
        InferResponse.from_rest({"outputs": [entry]})
    with pytest.raises(InvalidTensor, match="'y'"):
        InferOutput("y", [1], "FP32", parameters=parameters).to_wire()


@pytest.mark.parametrize("size", [None, "64", -1, True, 1.5])
def test_an_input_in_shared_memory_needs_its_size(size: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(InvalidTensor, match=r"tensor 'x': shared_memory_byte_size should be a number of bytes"):
        shared(shared_memory_byte_size=size).to_wire()


def test_data_together_with_a_region_is_refused_as_triton_refuses_it() -> None:
    with pytest.raises(InvalidTensor, match="leave out one of the two"):
        InferInput("x", [1], "INT8", [1], SHARED).to_wire()


def test_data_set_later_takes_the_place_of_shared_memory() -> None:
    for as_binary in (True, False):
        tensor = shared(other=1)
        tensor.set_data_from_numpy(np.zeros((1, 16), np.float32), binary_data=as_binary)
        head, raw = tensor.to_wire()
        assert head["parameters"] == ({"other": 1, "binary_data_size": 64} if as_binary else {"other": 1})
        assert (raw is None) is not as_binary
    tensor = shared()
    tensor.data = None
    assert tensor.parameters == SHARED
    tensor.data = [0.0] * 16
    assert "parameters" not in tensor.to_wire()[0]


def test_a_dict_with_inputs_in_shared_memory_is_sent_without_data() -> None:
    written = {"name": "x", "shape": [1, 16], "datatype": "FP32", "parameters": SHARED}
    assert v2_request({"inputs": [shared(), written, shared().to_dict()]})["inputs"] == [written] * 3
