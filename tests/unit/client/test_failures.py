"""Every error says what failed, to where and after how long."""

from __future__ import annotations

import re

import httpx
import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from tests.unit.client.support import answering, raw_server


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("limit", [0.05, (1, 0.05)])
async def test_a_silent_server_is_named(http2: bool, limit: float | tuple[float, ...]) -> None:
    async with raw_server(None) as wire, InferenceRESTClient(RESTConfig(http2=http2, timeout=limit)) as client:
        with pytest.raises(httpx.ReadTimeout) as raised:
            await client.is_model_ready(wire.base_url.replace("//", "//u:secret@") + "?token=secret", "m")
    assert re.fullmatch(
        rf"no complete answer from {wire.base_url}/v1/models/m\?… within 0\.05 s \(ReadTimeout\)",
        str(raised.value),
    )
    assert raised.value.request.url.path == "/v1/models/m"


@pytest.mark.parametrize(
    "kind", [httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteTimeout, httpx.PoolTimeout, httpx.RemoteProtocolError]
)
async def test_an_error_without_text_is_given_one(kind: type[httpx.RequestError]) -> None:
    client, _ = answering(kind(""), retries=0)
    with pytest.raises(kind, match=rf"http://h/v1/models/m:predict (within|after) .* s \({kind.__name__}\)$") as raised:
        await client.infer("http://h", {}, "m")
    assert raised.value.request.method == "POST"


@pytest.mark.parametrize("http2", [False, True])
async def test_a_refused_connection_is_named(http2: bool) -> None:
    async with InferenceRESTClient(RESTConfig(http2=http2, retries=0)) as client:
        with pytest.raises(httpx.ConnectError, match=r".+: GET http://127\.0\.0\.1:1/ after .* s \(ConnectError\)$"):
            await client.is_server_live("http://127.0.0.1:1")
