"""What a caller's request carries, and what must not pass from one call to the next."""

from __future__ import annotations

import httpx
import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from tests.unit.client.support import http, raw_server

ALIVE = http("200 OK", b'{"status":"alive"}')
BAKED = http("200 OK", b'{"status":"alive"}', "set-cookie: session=of-the-first; Path=/")


def configured(way: str) -> RESTConfig:
    """A client's configuration whose requests go by our own transport, by httpx's for HTTP/2, or by the caller's."""
    if way == "caller":
        return RESTConfig(transport=httpx.AsyncHTTPTransport())
    return RESTConfig(http2=way == "http2")


@pytest.mark.parametrize("way", ["own", "http2", "caller"])
async def test_a_cookie_given_to_one_caller_is_not_shown_with_the_next_callers_request(way: str) -> None:
    async with raw_server(BAKED) as wire, InferenceRESTClient(configured(way)) as client:
        await client.is_server_live(wire.base_url)
        await client.infer(wire.base_url, {}, "m")
        await client.infer(wire.base_url, {}, "m")
        await client.is_server_live(wire.base_url)
    assert [b"cookie" in head.lower() for head in wire.seen] == [False] * 4


@pytest.mark.parametrize("way", ["own", "http2", "caller"])
async def test_a_callers_own_cookie_is_sent_with_that_call_alone(way: str) -> None:
    async with raw_server(BAKED) as wire, InferenceRESTClient(configured(way)) as client:
        await client.is_server_live(wire.base_url, headers={"Cookie": "mine=1"})
        await client.is_server_live(wire.base_url)
    assert [b"mine=1" in head for head in wire.seen] == [True, False]
    assert not any(b"session" in head for head in wire.seen)


HANDED_ON = {
    "Host": "iris.example",
    "X-Request-Id": "7",
    "content-length": "9999",
    "Transfer-Encoding": "chunked",
    "CONNECTION": "close, Upgrade",
    "Keep-Alive": "timeout=5",
    "TE": "trailers",
    "Trailer": "X-Checksum",
    "Upgrade": "h2c",
    "Proxy-Connection": "keep-alive",
    "Expect": "100-continue",
    "Accept-Encoding": "gzip, br;q=0.9, zstd",
    "Inference-Header-Content-Length": "12",
    "Content-Encoding": "gzip",
}
"""As another request had them that carried a tensor."""


@pytest.mark.parametrize("way", ["own", "http2", "caller"])
async def test_headers_of_another_request_can_be_handed_on(way: str) -> None:
    given = dict(HANDED_ON)
    async with raw_server(ALIVE, http("200 OK", b"{}")) as wire, InferenceRESTClient(configured(way)) as client:
        assert await client.is_server_live(wire.base_url, headers=given, timeout=2) is True
        assert await client.infer(wire.base_url, {"instances": [1]}, "m", headers=given, timeout=2) == {}
    assert given == HANDED_ON
    health, inference = (fields(seen) for seen in wire.seen)
    assert (inference["content-length"], wire.seen[1].partition(b"\r\n\r\n")[2]) == ("17", b'{"instances":[1]}')
    for sent in (health, inference):
        assert (sent["host"], sent["x-request-id"]) == ("iris.example", "7")
        assert sent.keys().isdisjoint({"transfer-encoding", "keep-alive", "te", "trailer", "upgrade", "proxy-connection", "expect"})
        assert sent.get("connection") in (None, "keep-alive")
        assert "zstd" not in sent["accept-encoding"]
    assert "content-length" not in health
    assert inference.keys().isdisjoint({"inference-header-content-length", "content-encoding"})


async def test_headers_that_tell_of_an_encoded_body_stay_with_it() -> None:
    told = {"Inference-Header-Content-Length": "2", "Content-Encoding": "identity", "Accept-Encoding": "identity"}
    async with raw_server(http("200 OK", b"{}")) as wire, InferenceRESTClient() as client:
        await client.infer(wire.base_url, b"{}\0\0", "m", headers=told)
    assert fields(wire.seen[0]).items() >= {name.lower(): value for name, value in told.items()}.items()


def fields(request: bytes) -> dict[str, str]:
    """A request's headers by name in lower case."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
