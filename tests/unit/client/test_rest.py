"""The client's calls: what is asked, what comes back, what is raised."""

from __future__ import annotations

import inspect
import json
import time
from typing import Any

import httpx
import numpy as np
import pytest
import structlog

import isvcwatch.client as public
from isvcwatch.client import (
    USE_CLIENT_DEFAULT,
    HTTPStatusError,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    InferResponse,
    InvalidInput,
    InvalidURL,
    RequestedOutput,
    RESTConfig,
    UnsupportedProtocol,
)
from tests.unit.client.support import BASE, answering, saying

V2_ANSWER = '{"model_name":"m","id":"1","outputs":[{"name":"y","shape":[2],"datatype":"FP32","data":[1.5,2.5]}]}'
V1_ANSWER = '{"predictions":[1,2]}'


@pytest.mark.parametrize("name", public.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert hasattr(public, name)


SIGNATURES = {
    "infer": ["base_url", "data", "model_name", "headers", "response_headers", "is_graph_endpoint", "timeout"],
    "explain": ["base_url", "model_name", "data", "headers", "timeout"],
    "is_server_ready": ["base_url", "headers", "timeout"],
    "is_server_live": ["base_url", "headers", "timeout"],
    "is_model_ready": ["base_url", "model_name", "headers", "timeout"],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_kserves(name: str) -> None:
    parameters = inspect.signature(getattr(InferenceRESTClient, name)).parameters
    assert list(parameters)[1:] == SIGNATURES[name]
    assert parameters["timeout"].default is USE_CLIENT_DEFAULT


async def test_v1_infer_posts_the_dict_as_it_is() -> None:
    client, server = answering(saying(200, V1_ANSWER))
    assert await client.infer(BASE, {"instances": [[1, 2]], "odd": {"a": None}}, model_name="m") == {"predictions": [1, 2]}
    assert (server.requests[0].method, server.targets) == ("POST", ["/v1/models/m:predict"])
    assert json.loads(server.requests[0].content) == {"instances": [[1, 2]], "odd": {"a": None}}
    assert server.requests[0].headers["content-type"] == "application/json"


async def test_v2_infer_posts_json_and_gives_an_infer_response() -> None:
    client, server = answering(saying(200, V2_ANSWER), protocol="v2")
    request = InferRequest("m", [InferInput("x", [1, 2], "FP32", [[1, 2]])], "1")
    response = await client.infer(BASE, request, model_name="m")
    assert isinstance(response, InferResponse)
    assert response.outputs[0].as_numpy().tolist() == [1.5, 2.5]
    assert server.targets == ["/v2/models/m/infer"]
    assert json.loads(server.requests[0].content)["inputs"] == [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]


async def test_v2_infer_takes_dicts_and_encoded_bodies() -> None:
    client, server = answering(saying(200, V2_ANSWER), protocol="v2")
    await client.infer(BASE, {"x": [[1, 2]]}, "m")
    await client.infer(BASE, b'{"inputs":[]}', "m", headers={"Content-Type": "application/cloudevents+json"})
    assert json.loads(server.requests[0].content)["inputs"] == [{"name": "x", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]}]
    assert server.requests[1].content == b'{"inputs":[]}'
    assert server.requests[1].headers["content-type"] == "application/cloudevents+json"


async def test_v2_infer_sends_and_reads_binary_tensors() -> None:
    array = np.arange(3, dtype=np.float16)
    answer = json.dumps(
        {"model_name": "m", "outputs": [{"name": "y", "shape": [3], "datatype": "FP16", "parameters": {"binary_data_size": 6}}]}
    ).encode()
    client, server = answering(saying(200, answer + array.tobytes(), inference_header_content_length=str(len(answer))), protocol="v2")
    tensor = InferInput("x", [3], "FP16")
    tensor.set_data_from_numpy(array)
    response = await client.infer(BASE, InferRequest("m", [tensor], request_outputs=[RequestedOutput("y", {"binary_data": True})]), "m")
    sent = server.requests[0]
    length = int(sent.headers["inference-header-content-length"])
    assert sent.headers["content-type"] == "application/octet-stream"
    assert sent.content[length:] == array.tobytes()
    assert json.loads(sent.content[:length])["outputs"] == [{"name": "y", "parameters": {"binary_data": True}}]
    assert isinstance(response, InferResponse)
    np.testing.assert_array_equal(response.outputs[0].as_numpy(), array)


async def test_a_models_version_goes_into_the_route() -> None:
    client, server = answering(saying(200, V2_ANSWER), protocol="v2")
    await client.infer(BASE, InferRequest("m", [], model_version="1/2"), "m")
    assert server.targets == ["/v2/models/m/versions/1%2F2/infer"]


@pytest.mark.parametrize("protocol", ["v1", "v2", "grpc-v2", "v3"])
async def test_a_graph_is_asked_by_its_own_url_whatever_the_protocol(protocol: str) -> None:
    client, server = answering(saying(200, '{"any":"thing"}'), protocol=protocol)
    answer = await client.infer("http://graph.example/a//b/?q=1", {"instances": [1]}, is_graph_endpoint=True)
    assert answer == {"any": "thing"}
    assert server.targets == ["/a//b/?q=1"]
    assert json.loads(server.requests[0].content) == {"instances": [1]}


async def test_explain_posts_to_v1s_route() -> None:
    client, server = answering(saying(200, '{"explanations":[1]}'))
    assert await client.explain(BASE + "/base?q=1", "a b", {"instances": [1]}) == {"explanations": [1]}
    assert server.targets == ["/base/v1/models/a%20b:explain?q=1"]


HEALTH = [
    ("v1", "is_server_live", "/", '{"status":"alive"}'),
    ("v1", "is_model_ready", "/v1/models/m", '{"ready":true}'),
    ("v2", "is_server_live", "/v2/health/live", ""),
    ("v2", "is_server_ready", "/v2/health/ready", ""),
    ("v2", "is_model_ready", "/v2/models/m/ready", ""),
]


def arguments(call: str) -> tuple[str, ...]:
    return (BASE, "m") if call == "is_model_ready" else (BASE,)


@pytest.mark.parametrize(("protocol", "call", "target", "body"), HEALTH)
async def test_health_is_asked_by_the_protocols_route_and_answered_by_a_bool(protocol: str, call: str, target: str, body: str) -> None:
    client, server = answering(saying(200, body), saying(503), protocol=protocol)
    assert await getattr(client, call)(*arguments(call), headers={"X-Test": "1"}) is True
    assert await getattr(client, call)(*arguments(call)) is False
    assert (server.requests[0].method, server.targets[0], server.requests[0].headers["x-test"]) == ("GET", target, "1")


@pytest.mark.parametrize(("protocol", "call"), [row[:2] for row in HEALTH])
@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 429, 500, 501, 502, 504])
async def test_what_is_no_answer_about_health_is_an_error_and_not_false(protocol: str, call: str, status: int) -> None:
    client, _ = answering(saying(status, '{"error":"its words"}', location="http://other.example"), protocol=protocol)
    with pytest.raises(HTTPStatusError, match=r"its words|redirect") as raised:
        await getattr(client, call)(*arguments(call))
    assert raised.value.response.status_code == status
    assert raised.value.response.text == '{"error":"its words"}'


@pytest.mark.parametrize("protocol", ["v1", "v2"])
@pytest.mark.parametrize("body", ["<html></html>", '{"ready":"perhaps"}', '{"status":3,"live":[]}'])
async def test_a_200_that_does_not_say_yes_is_false(protocol: str, body: str) -> None:
    client, _ = answering(saying(200, body), protocol=protocol)
    if protocol == "v1" or "ready" in body or "html" in body:
        assert await client.is_model_ready(BASE, "m") is False
    if protocol == "v1" or "live" in body or "html" in body:
        assert await client.is_server_live(BASE) is False


UNSUPPORTED = [
    ("v3", "is_server_live", "v1, v2"),
    ("v3", "is_server_ready", "v1, v2"),
    ("v3", "is_model_ready", "v1, v2"),
    ("grpc-v2", "is_model_ready", "v1, v2"),
    ("openai", "is_model_ready", "v1, v2"),
    ("v1", "is_server_ready", "v2"),
]


@pytest.mark.parametrize(("protocol", "call", "supported"), UNSUPPORTED)
async def test_an_unsupported_protocol_is_refused_at_the_call_and_nothing_is_sent(protocol: str, call: str, supported: str) -> None:
    client, server = answering(saying(200), protocol=protocol)
    with pytest.raises(UnsupportedProtocol, match=rf"^Unsupported protocol {protocol}\. Supported here: {supported}\.$"):
        await getattr(client, call)(*arguments(call))
    assert server.requests == []


@pytest.mark.parametrize("protocol", ["v2", "v3"])
async def test_explain_is_v1_only(protocol: str) -> None:
    client, server = answering(saying(200), protocol=protocol)
    with pytest.raises(UnsupportedProtocol, match=rf"Unsupported protocol {protocol}\. Supported here: v1\."):
        await client.explain(BASE, "m", {})
    with pytest.raises(UnsupportedProtocol) if protocol == "v3" else pytest.raises(ValueError, match="model_name"):
        await client.infer(BASE, {"x": [1]}, "m" if protocol == "v3" else None)
    assert server.requests == []


@pytest.mark.parametrize("name", [None, ""])
@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_a_call_without_a_model_name_is_refused_and_nothing_is_sent(protocol: str, name: Any) -> None:  # noqa: ANN401 - of any type
    client, server = answering(saying(200), protocol=protocol)
    with pytest.raises(ValueError, match="model_name"):
        await client.infer(BASE, {}, name)
    with pytest.raises(ValueError, match="model_name"):
        await client.is_model_ready(BASE, name)
    assert server.requests == []


@pytest.mark.parametrize(
    "base", ["model.example", "model.example:8080", "ftp://model.example", "http://", httpx.URL("/relative"), "http://h:x", "http://a\x00b"]
)
async def test_a_base_url_without_http_is_refused_and_nothing_is_sent(base: str | httpx.URL) -> None:
    client, server = answering(saying(200))
    with pytest.raises(InvalidURL):
        await client.is_server_live(base)
    with pytest.raises(InvalidURL):
        await client.infer(base, {}, is_graph_endpoint=True)
    assert server.requests == []


async def test_data_of_another_type_is_refused_and_nothing_is_sent() -> None:
    client, server = answering(saying(200))
    with pytest.raises(InvalidInput, match="not set"):
        await client.infer(BASE, {1, 2}, "m")  # type: ignore[arg-type] # the point
    assert server.requests == []


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"{", b'{"outputs":'])
@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_a_200_that_is_no_inference_is_invalid_input(protocol: str, body: bytes) -> None:
    client, _ = answering(saying(200, body), protocol=protocol)
    with pytest.raises(InvalidInput, match="the answer is not JSON"):
        await client.infer(BASE, {"x": [1]}, "m")


async def test_response_headers_are_filled_of_errors_too() -> None:
    client, _ = answering(saying(200, V1_ANSWER, x_a="1"), saying(500, x_b="2"))
    headers = {"mine": "kept"}
    await client.infer(BASE, {}, "m", response_headers=headers)
    assert (headers["x-a"], headers["mine"]) == ("1", "kept")
    with pytest.raises(HTTPStatusError):
        await client.infer(BASE, {}, "m", response_headers=headers)
    assert headers["x-b"] == "2"


@pytest.mark.parametrize("base", ["http://user:p%40ss@h:1/a", httpx.URL("http://user:p%40ss@h:1/a")])
async def test_user_info_of_a_url_authenticates_and_stays_out_of_the_url(base: str | httpx.URL) -> None:
    client, server = answering(saying(500))
    with pytest.raises(HTTPStatusError) as raised:
        await client.is_server_live(base)
    sent = server.requests[0]
    assert sent.headers["authorization"] == httpx.BasicAuth("user", "p@ss")._auth_header
    assert str(sent.url) == "http://h:1/a/"
    assert "ss" not in str(raised.value)


async def test_configured_auth_goes_before_user_info() -> None:
    client, server = answering(saying(200, '{"status":"alive"}'), auth=("u", "p"))
    await client.is_server_live("http://other:one@h")
    assert server.requests[0].headers["authorization"] == httpx.BasicAuth("u", "p")._auth_header


async def test_a_query_stays_out_of_error_messages() -> None:
    client, _ = answering(saying(500, "sad"))
    with pytest.raises(HTTPStatusError, match=r"^sad, '500 Internal Server Error' for url 'http://h/v1/models/m\?…'$"):
        await client.is_model_ready("http://h?token=secret", "m")


async def test_verbose_logs_a_line_a_request_without_body_or_credential() -> None:
    client, _ = answering(httpx.ConnectError("refused"), saying(200, V1_ANSWER), verbose=True)
    with structlog.testing.capture_logs() as lines:
        await client.infer("http://user:secret@h?token=secret", {"instances": ["secret"]}, "m", headers={"Authorization": "Bearer secret"})
    durations = [line.pop("duration_ms") for line in lines]
    common = {"event": "request", "log_level": "info", "method": "POST", "url": "http://h/v1/models/m:predict?…"}
    assert lines == [{**common, "error": "ConnectError"}, {**common, "status": 200}]
    assert all(isinstance(duration, float) for duration in durations)


async def test_nothing_is_logged_unless_asked() -> None:
    client, _ = answering(saying(200, V1_ANSWER))
    with structlog.testing.capture_logs() as lines:
        await client.infer(BASE, {}, "m")
    assert lines == []


@pytest.mark.parametrize(
    ("configured", "called", "phases"),
    [
        (None, USE_CLIENT_DEFAULT, {"connect": None, "read": None, "write": None, "pool": None}),
        (60, None, {"connect": None, "read": None, "write": None, "pool": None}),
        (60, (1, 2), {"connect": 1, "read": 2, "write": None, "pool": None}),
        ((1, 2, 3, 4), USE_CLIENT_DEFAULT, {"connect": 1, "read": 2, "write": 3, "pool": 4}),
        (60, httpx.Timeout(7), {"connect": 7, "read": 7, "write": 7, "pool": 7}),
        (60, 5, {"connect": 5, "read": 5, "write": 5, "pool": 5}),
    ],
)
async def test_a_calls_timeout_goes_before_the_configured_one(configured: Any, called: Any, phases: dict[str, Any]) -> None:  # noqa: ANN401 - of any type
    client, server = answering(saying(200, '{"status":"alive"}'), timeout=configured)
    await client.is_server_live(BASE, timeout=called)
    assert server.requests[0].extensions["timeout"] == phases


async def test_a_wrong_timeout_of_a_call_is_refused() -> None:
    client, server = answering(saying(200))
    with pytest.raises(ValueError, match="timeout"):
        await client.is_server_live(BASE, timeout=-1)
    assert server.requests == []


class Closing(httpx.MockTransport):
    closed = False

    async def aclose(self) -> None:
        self.closed = True


async def test_the_client_closes_its_transport() -> None:
    for how in ("close", "aclose", "async with"):
        transport = Closing(lambda _: httpx.Response(200, json={"status": "alive"}))
        client = InferenceRESTClient(RESTConfig(transport))
        if how == "async with":
            async with client as entered:
                assert entered is client
        else:
            await getattr(client, how)()
        assert transport.closed
        with pytest.raises(RuntimeError, match="closed"):
            await client.is_server_live(BASE)


async def test_making_many_clients_is_cheap() -> None:
    await InferenceRESTClient().close()  # the usual certificates are loaded by the first
    started = time.perf_counter()
    clients = [InferenceRESTClient() for _ in range(20)]
    assert (time.perf_counter() - started) / 20 < 0.01  # seconds; 0.027 when each loads them
    for client in clients:
        await client.aclose()


async def test_a_v1_request_may_be_encoded_already_but_is_still_of_a_known_protocol() -> None:
    client, server = answering(saying(200, V1_ANSWER), saying(500, "sad"))
    assert await client.infer(BASE, b"{}", "m") == {"predictions": [1, 2]}
    with pytest.raises(HTTPStatusError, match="sad"):
        await client.explain(BASE, "m", {})
    assert len(server.requests) == 2
