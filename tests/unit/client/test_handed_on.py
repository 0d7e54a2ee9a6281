"""What a caller's request carries, and what must not pass from one call to the next."""

from __future__ import annotations

import httpx
import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from tests.unit.client.support import http, raw_server

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
