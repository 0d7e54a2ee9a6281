"""Requests and answers on the wire, and hostile ones."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.client import InferInput, InferOutput, InferRequest, InferResponse, InvalidInput, RequestedOutput
from isvcwatch.client.framing import json_length_of
from isvcwatch.client.jsonbody import dump_json, load_json
from isvcwatch.client.plain import v2_request


def binary_input(name: str, array: np.ndarray[Any, Any], datatype: str) -> InferInput:
    tensor = InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def whole(response: InferResponse) -> tuple[bytes, int]:
    content, length = response.to_rest()
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return body, len(body) if length is None else length


def test_a_json_request_is_a_dict() -> None:
    request = InferRequest(
        "m", [InferInput("x", [2], "INT8", [1, 2])], request_id="7", parameters={"p": 1}, request_outputs=[RequestedOutput("y")]
    )
    assert request.to_rest() == (
        {
            "id": "7",
            "model_name": "m",
            "outputs": [{"name": "y"}],
            "parameters": {"p": 1},
            "inputs": [{"name": "x", "shape": [2], "datatype": "INT8", "data": [1, 2]}],
        },
        None,
    )


def test_a_request_without_an_id_is_given_one() -> None:
    content, _ = InferRequest("m", []).to_rest()
    assert isinstance(content, dict)
    assert isinstance(UUID(content["id"]), UUID)


def test_binary_and_json_tensors_go_together_and_come_back() -> None:
    tensors = [
        binary_input("a", np.arange(4, dtype=np.int16), "INT16"),
        InferInput("b", [1], "FP64", [0.5]),
        binary_input("c", np.zeros(0, np.float32), "FP32"),
        binary_input("d", np.array([b"x", b"\xff"], dtype=object), "BYTES"),
    ]
    request = InferRequest("m", tensors, "id", request_outputs=[RequestedOutput("y", {"binary_data": True})], parameters={"p": True})
    body, length = request.to_rest()
    assert isinstance(body, bytes)
    assert length is not None
    assert [entry.get("parameters") for entry in json.loads(body[:length])["inputs"]] == [
        {"binary_data_size": n} if n is not None else None for n in (8, None, 0, 10)
    ]
    back = InferRequest.from_bytes(body, length, "m")
    assert back == request
    assert back.get_input_by_name("d") == tensors[3]
    assert back.get_input_by_name("z") is None
    assert back != InferRequest("other", [])
    assert back != 1


def test_the_rest_of_kserves_request_is_there() -> None:
    request = InferRequest("m", [InferInput("x", [1], "INT8")], "i", [b"\x01"], False, {"binary_data_output": True}, model_version="2")
    assert request.use_binary_outputs is True
    assert InferRequest("m", []).use_binary_outputs is False
    assert request.model_version == "2"
    assert request.to_dict() == {
        "id": "i",
        "model_name": "m",
        "inputs": [{"name": "x", "shape": [1], "datatype": "INT8", "data": [1], "parameters": None}],
        "parameters": {"binary_data_output": True},
        "from_grpc": False,
    }
    assert repr(request) == "InferRequest(model_name='m', id='i', inputs=[InferInput(name='x', shape=[1], datatype='INT8')])"
    with pytest.raises(InvalidInput, match="raw tensors"):
        InferRequest("m", [], raw_inputs=[b""])


OUTPUTS = [InferOutput("y", [2], "FP32", [1.5, 2.5]), InferOutput("s", [1], "BYTES", ["é"])]


@pytest.mark.parametrize(
    ("binary", "requested"),
    [
        (False, None),
        (True, None),
        (False, [RequestedOutput("s", {"binary_data": True}), RequestedOutput("y")]),
        (True, [RequestedOutput("s", {"binary_data": False}), RequestedOutput("y")]),
    ],
)
def test_an_answer_comes_back_from_json_and_binary(binary: bool, requested: list[RequestedOutput] | None) -> None:
    response = InferResponse("i", "m", OUTPUTS, "1", parameters={"p": 1}, use_binary_outputs=binary, requested_outputs=requested)
    back = InferResponse.from_bytes(*whole(response))
    assert sorted(output.name for output in back.outputs) == ["s", "y"]
    assert back.get_output_by_name("y") == OUTPUTS[0]
    assert back.get_output_by_name("s") == OUTPUTS[1]
    assert back.get_output_by_name("z") is None
    assert (back.id, back.model_name, back.model_version, back.parameters) == ("i", "m", "1", {"p": 1})


def test_an_output_that_there_is_none_of_cannot_be_sent() -> None:
    with pytest.raises(InvalidInput, match="Unexpected inference output 'z'"):
        InferResponse("i", "m", OUTPUTS, requested_outputs=[RequestedOutput("z")]).to_rest()


def test_an_answer_is_made_of_its_json() -> None:
    plain = {"model_name": "m", "id": "i", "outputs": [{"name": "y", "shape": [1], "datatype": "INT64", "data": [3]}]}
    response = InferResponse.from_rest(plain)
    assert response.to_dict() == {
        "id": "i",
        "model_name": "m",
        "outputs": [{"name": "y", "shape": [1], "datatype": "INT64", "data": [3], "parameters": None}],
        "parameters": None,
        "from_grpc": False,
    }
    assert response == InferResponse.from_rest(plain)
    assert response != InferResponse("i", "m", [])
    assert response != 1
    assert repr(response) == "InferResponse(model_name='m', id='i', outputs=[InferOutput(name='y', shape=[1], datatype='INT64')])"
    assert InferResponse("i", "m", [InferOutput("y", [1], "INT8")], raw_outputs=[b"\x09"]).outputs[0].data == [9]


def test_nan_and_infinity_that_a_server_writes_are_read() -> None:
    body = b'{"outputs":[{"name":"y","shape":[3],"datatype":"FP32","data":[NaN,Infinity,null]}]}'
    np.testing.assert_array_equal(InferResponse.from_bytes(body, len(body)).outputs[0].as_numpy(), np.array([np.nan, np.inf, np.nan]))


def out(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - of any type
    return {"name": "y", "shape": [1], "datatype": "FP32", "data": [1.0]} | changed


HOSTILE: list[tuple[Any, bytes]] = [
    ([], b""),
    ("text", b""),
    ({}, b""),
    ({"outputs": {}}, b""),
    ({"outputs": [1]}, b""),
    ({"outputs": [out(name=1)]}, b""),
    ({"outputs": [out(datatype=None)]}, b""),
    ({"outputs": [out(shape=None)]}, b""),
    ({"outputs": [out(shape=[-1])]}, b""),
    ({"outputs": [out(shape=["1"])]}, b""),
    ({"outputs": [out(shape=[True])]}, b""),
    ({"outputs": [out(parameters=[])]}, b""),
    ({"outputs": [out(data=None)]}, b""),
    ({"outputs": [out(parameters={"binary_data_size": 4})]}, b"123"),
    ({"outputs": [out(parameters={"binary_data_size": 4})]}, b"12345"),
    ({"outputs": [out(parameters={"binary_data_size": 10**30})]}, b"1234"),
    ({"outputs": [out(parameters={"binary_data_size": -4})]}, b"1234"),
    ({"outputs": [out(parameters={"binary_data_size": "4"})]}, b"1234"),
    ({"outputs": [out(parameters={"binary_data_size": 4.0})]}, b"1234"),
    ({"outputs": [out(parameters={"binary_data_size": True})]}, b"1"),
    ({"outputs": [out(shape=[2**40], parameters={"binary_data_size": 4})]}, b"1234"),
    ({"outputs": [out()]}, b"left over"),
]


@pytest.mark.parametrize(("head", "rest"), HOSTILE)
def test_a_hostile_answer_is_refused_and_nothing_else_happens(head: Any, rest: bytes) -> None:  # noqa: ANN401 - of any type
    written = json.dumps(head).encode()
    with pytest.raises(InvalidInput):
        InferResponse.from_bytes(written + rest, len(written))


@pytest.mark.parametrize("length", [-1, 3])
def test_a_json_length_beyond_the_body_is_refused(length: int) -> None:
    with pytest.raises(InvalidInput, match="does not fit 2 bytes"):
        InferResponse.from_bytes(b"{}", length)


@pytest.mark.parametrize("header", ["", "-1", "3", "1e1", "٣", "9" * 5000])
def test_an_absurd_json_length_header_is_refused(header: str) -> None:
    with pytest.raises(InvalidInput, match="inference-header-content-length"):
        json_length_of(header, b"{}")


def test_binary_data_of_an_unknown_datatype_is_kept_but_not_read() -> None:
    head = json.dumps({"outputs": [out(datatype="FP8", data=None, parameters={"binary_data_size": 1})]}).encode()
    response = InferResponse.from_bytes(head + b"1", len(head))
    with pytest.raises(InvalidInput, match="invalid datatype FP8"):
        response.outputs[0].as_numpy()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>x</html>",
        b"\xff",
        b"[" * 100_000,
        b'{"inputs":[],"outputs":1}',
        b'{"inputs":[],"outputs":[1]}',
        b'{"inputs":[],"outputs":[{"name":1}]}',
    ],
)
def test_a_request_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        InferRequest.from_bytes(body, len(body), "m")


@given(st.binary(max_size=60), st.integers(-1, 60))
def test_any_bytes_are_an_answer_or_invalid_input(body: bytes, length: int) -> None:
    with pytest.raises(InvalidInput):
        InferResponse.from_bytes(body, length)


JSON = [
    ({"a": (1, 2)}, b'{"a":[1,2]}'),
    ({"a": np.arange(4).reshape(2, 2)}, b'{"a":[[0,1],[2,3]]}'),
    ({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)}, b'{"a":0.5,"b":3,"c":true}'),
    ({"a": b"text"}, b'{"a":"text"}'),
    ({"a": date(2026, 1, 2), "b": datetime(2026, 1, 2, tzinfo=UTC)}, b'{"a":"2026-01-02","b":"2026-01-02T00:00:00+00:00"}'),
    ({"a": UUID(int=1)}, b'{"a":"00000000-0000-0000-0000-000000000001"}'),
    ({"ü": None}, '{"ü":null}'.encode()),
]


@pytest.mark.parametrize(("value", "written"), JSON)
def test_what_people_put_into_dicts_is_written_as_json(value: object, written: bytes) -> None:
    assert dump_json(value) == written


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (float("nan"), "None for a missing value"),
        ({"a": np.array([np.inf])}, "None for a missing value"),
        (b"\xff", "not UTF-8"),
        ({1, 2}, "set has no JSON form"),
        ("\ud800", "Unicode"),
        ({(1, 2): 3}, "keys must be"),
    ],
)
def test_what_is_no_json_is_refused_with_a_reason(value: object, hint: str) -> None:
    with pytest.raises(InvalidInput, match=hint):
        dump_json(value)


def test_a_dict_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    for _ in range(100_000):
        endless = [endless]
    with pytest.raises(InvalidInput, match="nested too deeply"):
        dump_json(endless)
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(InvalidInput, match="Circular"):
        dump_json(circle)


def test_an_empty_body_is_told_as_empty() -> None:
    with pytest.raises(InvalidInput, match="the answer is not JSON: it is empty"):
        load_json(b"", "the answer")


X = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
PLAIN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"inputs": [X]}, {"inputs": [X]}),
    ({"id": "1", "inputs": [{**X, "data": [[1.0, 2.0], [3.0, 4.0]]}]}, {"id": "1", "inputs": [X]}),
    ({"inputs": [{"name": "x", "data": [[1.0, 2.0], [3.0, 4]]}]}, {"inputs": [X]}),
    ({"x": [[1.0, 2.0], [3.0, 4.0]]}, {"inputs": [X]}),
    ({"x": ((1.0, 2.0), (3.0, 4.0))}, {"inputs": [X]}),
    ({"x": np.array([[1.0, 2.0], [3.0, 4.0]])}, {"inputs": [X]}),
    ({"inputs": {"x": [[1.0, 2.0], [3.0, 4.0]]}}, {"inputs": [X]}),
    ({"inputs": [{**X, "data": np.array([[1.0, 2.0], [3.0, 4.0]])}]}, {"inputs": [X]}),
    ({"inputs": [InferInput("x", [2, 2], "FP64", X["data"])]}, {"inputs": [X]}),
    (
        {"inputs": [{"name": "x", "parameters": {"binary_data_size": 1}}]},
        {"inputs": [{"name": "x", "parameters": {"binary_data_size": 1}}]},
    ),
    ({"inputs": []}, {"inputs": []}),
    ({"x": [1, 2]}, {"inputs": [{"name": "x", "shape": [2], "datatype": "INT64", "data": [1, 2]}]}),
    ({"x": [2**63]}, {"inputs": [{"name": "x", "shape": [1], "datatype": "UINT64", "data": [2**63]}]}),
    ({"x": [True]}, {"inputs": [{"name": "x", "shape": [1], "datatype": "BOOL", "data": [True]}]}),
    ({"x": ["a", "b"]}, {"inputs": [{"name": "x", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]}),
]


@pytest.mark.parametrize(("data", "request_"), PLAIN)
def test_a_dict_of_lists_is_accepted_where_its_shape_allows_it(data: dict[str, Any], request_: dict[str, Any]) -> None:
    before = repr(data)
    made = v2_request(data)
    if "inputs" not in data:
        assert isinstance(UUID(made.pop("id")), UUID)
    assert made == request_
    assert repr(data) == before


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ({"x": [[1, 2], [3]]}, "do not have the shape"),
        ({"x": [1, "a"]}, "write 'datatype'"),
        ({"x": []}, "write 'datatype'"),
        ({"x": 1}, "names each tensor"),
        ({}, "names each tensor"),
        ({"inputs": "text"}, "list of tensors"),
        ({"inputs": {}}, "list of tensors"),
        ({"inputs": [{**X, "shape": [3]}]}, "got 4 elements"),
        ({"inputs": [{**X, "shape": "wide"}]}, "shape"),
        ({"inputs": [{"name": "x", "data": np.zeros(1, complex)}]}, "invalid datatype"),
    ],
)
def test_a_dict_that_cannot_be_a_request_is_refused(data: dict[str, Any], hint: str) -> None:
    with pytest.raises(InvalidInput, match=hint):
        v2_request(data)
