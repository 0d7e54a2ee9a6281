"""Where KServe's own client (0.21) breaks, row by row, and this one does not.

Each test's docstring is what the SDK does.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest
import structlog

from isvcwatch.client import HTTPStatusError, InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig
from tests.unit.client.support import BASE, Pauses, answering, http, raw_server, saying
from tests.unit.client.test_tls_wire import CERT, KEY, tls_server


async def test_row_1_retries_are_made() -> None:
    """`retries` does nothing: the transport that has it is built, then dropped."""
    client, server = answering(httpx.ConnectError("refused"), saying(200, '{"status":"alive"}'), retries=1)
    assert await client.is_server_live(BASE) is True
    assert len(server.requests) == 2


async def test_row_1_the_clients_certificate_is_shown() -> None:
    """`cert` does nothing."""
    config = RESTConfig(verify=str(CERT), cert=(str(CERT), str(KEY)), retries=0)
    async with tls_server() as (url, shown), InferenceRESTClient(config) as client:
        assert await client.is_server_live(url) is True
    assert shown == ["localhost"]


async def test_row_2_health_checks_are_retried_after_more_than_a_refused_connection() -> None:
    """Retries, where they work at all, cover connection errors only."""
    pauses = Pauses()
    answers = (httpx.ReadError("reset"), saying(429, retry_after="2"), saying(502), saying(200, '{"status":"alive"}'))
    client, server = answering(*answers, pauses=pauses)
    assert await client.is_server_live(BASE) is True
    assert len(server.requests) == 4
    assert pauses.taken == [0.1, 2.0, 0.4]


@pytest.mark.parametrize("call", ["is_server_live", "is_server_ready"])
async def test_row_3_an_empty_200_is_a_yes_in_v2(call: str) -> None:
    """An empty 200 (Triton, MLServer) raises JSONDecodeError."""
    client, _ = answering(saying(200, b""), protocol="v2")
    assert await getattr(client, call)(BASE) is True


@pytest.mark.parametrize(
    ("protocol", "call", "body", "said"),
    [
        ("v2", "is_server_ready", '{"ready":"True"}', True),
        ("v2", "is_server_ready", '{"ready":"False"}', False),
        ("v2", "is_server_live", '{"live":"False"}', False),
        ("v1", "is_model_ready", '{"name":"m","ready":"False"}', False),
        ("v1", "is_model_ready", '{"name":"m"}', False),
        ("v1", "is_model_ready", '{"model_version_status":[{"state":"AVAILABLE"}]}', True),
        ("v1", "is_server_live", "{}", False),
        ("v1", "is_server_live", '{"status":null}', False),
    ],
)
async def test_row_4_a_bool_is_a_bool(protocol: str, call: str, body: str, said: bool) -> None:
    """The bool methods return 'True', 'False' or None; a live answer without `status` raises AttributeError."""
    client, _ = answering(saying(200, body), protocol=protocol)
    answer = await getattr(client, call)(*((BASE, "m") if call == "is_model_ready" else (BASE,)))
    assert answer is said


@pytest.mark.parametrize(
    ("base", "name", "target"),
    [
        ("{}?x=1", "m", "/v2/models/m/ready?x=1"),
        ("{}//", "m", "/v2/models/m/ready"),
        ("{}/serving/?a=b", "m", "/serving/v2/models/m/ready?a=b"),
        ("{}", "..", "/v2/models/%2E%2E/ready"),
        ("{}", "m?x", "/v2/models/m%3Fx/ready"),
        ("{}", "a/b", "/v2/models/a%2Fb/ready"),
    ],
)
async def test_row_5_the_request_goes_to_the_host_that_was_named_with_path_and_query(base: str, name: str, target: str) -> None:
    """`http://h?x=1` and `http://h//` send the request to host `v2`; the query is dropped; names are not escaped."""
    async with raw_server(http()) as wire, InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_model_ready(base.format(wire.base_url), name) is True
    assert wire.request_lines == [f"GET {target} HTTP/1.1"]


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("application/json", b'"a string"', "a string, '500 Internal Server Error'"),
        ("application/json", b"42", "42, '500"),
        ("application/json", b"null", "'500 Internal Server Error' for url"),
        ("application/json", b'["a","b"]', "a; b, '500"),
        ("application/json", b'{"error":', '{"error":, '),
        ("application/json; charset=utf-8", b'{"error":"its words"}', "its words, '500"),
        ("text/html", b"<html><title>Bad Gateway</title></html>", "Bad Gateway, '500"),
        ("application/octet-stream", b"\0\1", "2 bytes that are not text, '500"),
        ("text/plain", b"x" * 10_000, "x" * 511 + "…, '500"),
    ],
)
async def test_row_6_an_error_holds_the_servers_message_whatever_its_body_is(content_type: str, body: bytes, message: str) -> None:
    """The error builder raises on a JSON string, number, null or malformed JSON; a charset loses the message."""
    for protocol in ("v1", "v2"):
        client, _ = answering(saying(500, body, content_type=content_type), protocol=protocol)
        with pytest.raises(HTTPStatusError) as raised:
            await client.infer(BASE, {"x": [1]}, "m")
        assert str(raised.value).startswith(message)


async def test_row_7_the_callers_headers_and_data_are_not_changed() -> None:
    """A binary infer changes the caller's headers."""
    client, _ = answering(saying(200, '{"outputs":[]}'), protocol="v2")
    tensor = InferInput("x", [1], "FP32")
    tensor.set_data_from_numpy(np.zeros(1, np.float32))
    headers = {"X-Mine": "1"}
    data: dict[str, Any] = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [[1.0]]}]}
    before = json.dumps(data)
    await client.infer(BASE, InferRequest("m", [tensor]), "m", headers=headers)
    await client.infer(BASE, data, "m", headers=headers)
    assert headers == {"X-Mine": "1"}
    assert json.dumps(data) == before


async def test_row_7_a_protocol_in_upper_case_asks_by_the_same_routes() -> None:
    """`"V1"` requests `/V1/`."""
    client, server = answering(saying(200, "{}"), protocol="V1")
    await client.infer(BASE, {}, "m")
    assert server.targets == ["/v1/models/m:predict"]


async def test_row_7_an_answer_without_a_model_name_is_read() -> None:
    """A V2 reply without `model_name` is a KeyError."""
    client, _ = answering(saying(200, '{"outputs":[{"name":"y","shape":[1],"datatype":"INT8","data":[1]}]}'), protocol="v2")
    response = await client.infer(BASE, {"x": [1]}, "m")
    assert isinstance(response, InferResponse)
    assert response.model_name is None
    assert response.outputs[0].data == [1]


async def test_row_7_verbose_logs_no_bodies() -> None:
    """Verbose logs bodies."""
    client, _ = answering(saying(200, '{"predictions":["private"]}'), verbose=True)
    with structlog.testing.capture_logs() as lines:
        await client.infer(BASE, {"instances": ["private"]}, "m")
    assert "private" not in repr(lines)
    assert lines[0]["status"] == 200


@pytest.mark.parametrize("status", [302, 401, 500])
async def test_after_the_rows_what_is_no_answer_about_readiness_is_not_read_as_not_ready(status: int) -> None:
    """V2's `is_model_ready` looks at the status code only: a 302, 401 or 500 reads as "not ready"."""
    client, _ = answering(saying(status), protocol="v2")
    with pytest.raises(HTTPStatusError):
        await client.is_model_ready(BASE, "m")
