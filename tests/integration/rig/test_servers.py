"""What the real servers answer, row by row: the table that the prober's protocol logic is built on."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rig.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rig.kserve_server import KServeServer
    from rig.mlserver_server import MLServerServer
    from rig.triton_server import TritonServer

ALL = ["kserve_server", "mlserver_server", "triton_server"]
MODEL_READY = "/v2/models/iris/ready"
UNKNOWN_READY = "/v2/models/nobody/ready"
SERVER_READY = "/v2/health/ready"
SERVER_LIVE = "/v2/health/live"


@pytest.fixture(params=ALL)
def server(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, ModelServer)
    yield found
    found.reset()


def get(server: ModelServer, path: str) -> tuple[int, Any]:
    """Status and body; JSON as it was meant, None for none."""
    answer = httpx.get(server.base_url + path, timeout=5)
    try:
        return answer.status_code, json.loads(answer.content) if answer.content else None
    except ValueError:
        return answer.status_code, answer.text


def infer(server: ModelServer, *tensors: dict[str, Any], model: str = "iris") -> dict[str, Any]:
    body = {"id": "7", "inputs": list(tensors)}
    answer = httpx.post(f"{server.base_url}/v2/models/{model}/infer", json=body, timeout=5).raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


# --- KServe


def test_kserve_says_ready_in_json_on_both_protocols(kserve_server: KServeServer) -> None:
    assert get(kserve_server, "/") == (200, {"status": "alive"})
    assert get(kserve_server, "/v1/models") == (200, {"models": ["iris", "fraud"]})
    assert get(kserve_server, "/v1/models/iris") == (200, {"name": "iris", "ready": True})
    assert get(kserve_server, MODEL_READY) == (200, {"name": "iris", "ready": True})
    assert get(kserve_server, SERVER_LIVE) == (200, {"live": True})
    assert get(kserve_server, SERVER_READY) == (200, {"ready": True})


@pytest.mark.parametrize("how", ["make_unready", "make_loading"])
def test_kserve_says_503_of_an_unready_model_and_is_itself_ready_all_the_same(kserve_server: KServeServer, how: str) -> None:
    getattr(kserve_server, how)()
    unready = (503, {"error": "Model with name iris is not ready."})
    assert get(kserve_server, "/v1/models/iris") == unready
    assert get(kserve_server, MODEL_READY) == unready
    assert get(kserve_server, "/v1/models") == (200, {"models": ["iris", "fraud"]})
    assert get(kserve_server, SERVER_READY) == (200, {"ready": True})


def test_kserve_says_404_of_an_unknown_model_and_is_itself_ready_all_the_same(kserve_server: KServeServer) -> None:
    kserve_server.make_unknown()
    assert get(kserve_server, "/v1/models/iris") == (404, {"error": "Model with name iris does not exist."})
    assert get(kserve_server, MODEL_READY) == (404, {"error": "Model with name iris does not exist."})
    assert get(kserve_server, UNKNOWN_READY) == (404, {"error": "Model with name nobody does not exist."})
    assert get(kserve_server, SERVER_READY) == (200, {"ready": True})


def test_kserve_refuses_head_on_its_root(kserve_server: KServeServer) -> None:
    assert httpx.head(kserve_server.base_url).status_code == 405


def test_kserve_predicts_and_explains_on_v1(kserve_server: KServeServer) -> None:
    url = f"{kserve_server.base_url}/v1/models/iris"
    assert httpx.post(f"{url}:predict", json={"instances": [[1, 2]]}).json() == {"predictions": [[1, 2]]}
    assert httpx.post(f"{url}:explain", json={"instances": [[1, 2]]}).json() == {"explanations": [[1, 2]]}


def test_one_model_of_kserve_can_hang_while_the_other_answers(kserve_server: KServeServer) -> None:
    kserve_server.hang_model("iris")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(kserve_server.base_url + MODEL_READY, timeout=0.3)
    assert get(kserve_server, "/v2/models/fraud/ready")[0] == 200
    assert get(kserve_server, SERVER_READY)[0] == 200


# --- MLServer


def test_mlserver_says_ready_with_empty_bodies_and_has_no_v1(mlserver_server: MLServerServer) -> None:
    assert get(mlserver_server, MODEL_READY) == (200, None)
    assert get(mlserver_server, SERVER_LIVE) == (200, None)
    assert get(mlserver_server, SERVER_READY) == (200, None)
    assert get(mlserver_server, "/")[0] == 404
    assert get(mlserver_server, "/v1/models/iris")[0] == 404


@pytest.mark.parametrize("how", ["make_unready", "make_loading"])
def test_mlserver_says_400_of_an_unready_model_and_of_itself(mlserver_server: MLServerServer, how: str) -> None:
    getattr(mlserver_server, how)()
    assert get(mlserver_server, MODEL_READY) == (400, None)
    assert get(mlserver_server, "/v2/models/fraud/ready") == (200, None)
    assert get(mlserver_server, SERVER_READY) == (400, None)
    assert get(mlserver_server, SERVER_LIVE) == (200, None)


def test_mlserver_says_404_of_an_unknown_model_and_is_itself_ready(mlserver_server: MLServerServer) -> None:
    mlserver_server.make_unknown()
    assert get(mlserver_server, MODEL_READY) == (404, {"error": "Model iris not found"})
    assert get(mlserver_server, UNKNOWN_READY) == (404, {"error": "Model nobody not found"})
    assert get(mlserver_server, SERVER_READY) == (200, None)


# --- Triton


def test_triton_says_ready_with_empty_bodies_and_has_no_v1(triton_server: TritonServer) -> None:
    assert get(triton_server, MODEL_READY) == (200, None)
    assert get(triton_server, SERVER_LIVE) == (200, None)
    assert get(triton_server, SERVER_READY) == (200, None)
    assert get(triton_server, "/")[0] == 404
    assert get(triton_server, "/v1/models/iris")[0] == 404


@pytest.mark.parametrize("how", ["make_unready", "make_loading", "make_unknown"])
def test_triton_says_400_with_json_of_an_unready_model(triton_server: TritonServer, how: str) -> None:
    getattr(triton_server, how)()
    assert get(triton_server, MODEL_READY) == (400, {"error": "Model version not ready"})
    assert get(triton_server, "/v2/models/fraud/ready") == (200, None)
    assert get(triton_server, SERVER_LIVE) == (200, None)


def test_triton_says_the_same_400_of_a_model_that_it_never_knew(triton_server: TritonServer) -> None:
    assert get(triton_server, UNKNOWN_READY) == (400, {"error": "Model version not ready"})
    assert get(triton_server, SERVER_READY) == (200, None)


def test_triton_is_not_ready_when_a_model_of_the_start_failed(triton_server: TritonServer) -> None:
    triton_server.make_unready()
    triton_server.restart()
    assert get(triton_server, MODEL_READY) == (400, {"error": "Model version not ready"})
    assert get(triton_server, SERVER_READY)[0] == 400
    assert get(triton_server, SERVER_LIVE) == (200, None)


# --- all three


def test_a_model_made_unready_is_well_again_when_told_so(server: ModelServer) -> None:
    server.make_unready()
    assert get(server, MODEL_READY)[0] in {400, 503}
    server.make_ready()
    assert get(server, MODEL_READY)[0] == 200


def test_v2_gives_back_each_input_as_an_output_of_the_same_name(server: ModelServer) -> None:
    sent = [
        {"name": "FP32-2d", "shape": [2, 2], "datatype": "FP32", "data": [1.5, 2.0, 3.0, 4.0]},
        {"name": "INT64", "shape": [2], "datatype": "INT64", "data": [1, 2**53]},
        {"name": "BOOL", "shape": [2], "datatype": "BOOL", "data": [True, False]},
        {"name": "BYTES", "shape": [2], "datatype": "BYTES", "data": ["a", "é"]},
    ]
    answer = infer(server, *sent)
    got = [{key: output[key] for key in ("name", "shape", "datatype", "data")} for output in answer["outputs"]]
    assert sorted(got, key=str) == sorted(sent, key=str)
    assert answer["model_name"] == "iris"
    assert answer["id"] == "7"


@pytest.mark.parametrize("server", ["kserve_server", "triton_server"], indirect=True)
def test_v2_takes_and_gives_binary_tensors(server: ModelServer) -> None:
    data = struct.pack("<2f", 1.5, -2.0)
    tensor = {"name": "FP32", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    answer = httpx.post(f"{server.base_url}/v2/models/iris/infer", content=head + data, headers=headers, timeout=5)
    length = int(answer.raise_for_status().headers["inference-header-content-length"])
    assert json.loads(answer.content[:length])["outputs"][0]["parameters"]["binary_data_size"] == len(data)
    assert answer.content[length:] == data


def test_mlserver_takes_no_binary_tensors(mlserver_server: MLServerServer) -> None:
    tensor = {"name": "FP32", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    url = f"{mlserver_server.base_url}/v2/models/iris/infer"
    assert httpx.post(url, content=head + b"\0\0\0\0", headers=headers).status_code in {422, 500}


def test_inference_can_be_slow_or_hang_while_readiness_is_answered(server: ModelServer) -> None:
    tensor = {"name": "FP32", "shape": [1], "datatype": "FP32", "data": [1.0]}
    server.hang_inference()
    body = {"inputs": [tensor]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.base_url}/v2/models/iris/infer", json=body, timeout=0.3)
    assert get(server, MODEL_READY)[0] == 200
    server.slow(0.2)
    assert infer(server, tensor)["outputs"]


def test_a_server_that_hangs_takes_connections_and_answers_nothing(server: ModelServer) -> None:
    server.hang()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(server.base_url + SERVER_LIVE, timeout=0.3)
    server.make_ready()
    assert get(server, SERVER_LIVE)[0] == 200


def test_a_server_that_crashed_refuses_connections_and_comes_back_at_the_same_address(server: ModelServer) -> None:
    server.crash()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url + SERVER_LIVE)
    server.reset()
    assert get(server, MODEL_READY)[0] == 200
