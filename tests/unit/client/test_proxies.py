"""Which proxy the environment names for a server, and what goes through it."""

from __future__ import annotations

import importlib.util

import httpx
import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from isvcwatch.client.proxies import Proxies
from tests.unit.client.support import http, raw_server

ALIVE = http("200 OK", b'{"status":"alive"}')


def proxy_of(url: str, **environ: str) -> str | None:
    parsed = httpx.URL(url)
    proxy = Proxies.from_environment(environ).of(parsed.scheme, parsed.host, parsed.port or {"http": 80, "https": 443}[parsed.scheme])
    return None if proxy is None else proxy.url


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "http://h", None),
        ({"HTTP_PROXY": ""}, "http://h", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://h", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "http://h", "http://p:1"),
        ({"http_proxy": "http://low", "HTTP_PROXY": "http://up"}, "http://h", "http://low"),
        ({"HTTP_PROXY": "http://p:1"}, "https://h", None),
        ({"HTTPS_PROXY": "https://p:1"}, "https://h", "https://p:1"),
        ({"https_proxy": "p:1"}, "https://h", "http://p:1"),
        ({"HTTP_PROXY": "user:pass@p:1"}, "http://h", "http://user:pass@p:1"),
        ({"ALL_PROXY": "socks5://p"}, "http://h", "socks5://p"),
        ({"all_proxy": "p", "HTTPS_PROXY": "q"}, "https://h", "http://q"),
        ({"HTTP_PROXY": "p", "REQUEST_METHOD": "GET"}, "http://h", None),
        ({"http_proxy": "p", "REQUEST_METHOD": "GET"}, "http://h", "http://p"),
        ({"FTP_PROXY": "p"}, "http://h", None),
    ],
)
def test_the_variables_are_read_as_curl_and_go_read_them(environ: dict[str, str], url: str, expected: str | None) -> None:
    assert proxy_of(url, **environ) == expected


@pytest.mark.parametrize(
    ("no_proxy", "direct", "proxied"),
    [
        (
            "",
            ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10:1", "[::1]", "[::ffff:127.0.0.1]"],
            ["h", "10.0.0.1", "localhost.example"],
        ),
        ("*", ["h", "10.0.0.1", "[fd00::1]"], []),
        ("a, *", ["h"], []),
        ("h", ["h", "H", "h:81", "a.h", "h."], ["ah", "h.a"]),
        (".svc", ["a.svc", "b.a.svc:8080"], ["svc", "asvc"]),
        ("*.svc", ["a.svc"], ["svc", "asvc"]),
        ("svc", ["a.svc", "svc"], ["asvc"]),
        ("svc.", ["a.svc"], ["asvc"]),
        ("h:81", ["h:81", "a.h:81"], ["h", "h:82"]),
        ("a,b c", ["a", "b", "c"], ["d"]),
        (" , ,h", ["h"], ["d"]),
        ("10.0.0.1", ["10.0.0.1", "10.0.0.1:81", "[::ffff:10.0.0.1]"], ["10.0.0.2", "110.0.0.1"]),
        ("10.0.0.1:81", ["10.0.0.1:81"], ["10.0.0.1"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.1.2.3", "h", "[fd00::1]"]),
        ("10.1.2.3/8", ["10.9.9.9"], ["11.1.2.3"]),
        ("fd00::/8", ["[fd00::1]", "[fdff::1]:81"], ["[fe00::1]", "10.0.0.1"]),
        ("fd00::1", ["[fd00::1]", "[FD00:0::1]:81"], ["[fd00::2]"]),
        ("[fd00::1]", ["[fd00::1]:81"], ["[fd00::2]"]),
        ("[fd00::1]:81", ["[fd00::1]:81"], ["[fd00::1]"]),
        ("[::1]", ["[::1]"], ["h"]),
        ("::ffff:10.0.0.1", ["10.0.0.1"], ["10.0.0.2"]),
        ("10.0.0.0/99,[,:81,/,%,h", ["h"], ["10.0.0.1", "d"]),
        (".0.1,0.0.1", [], ["10.0.0.1"]),
    ],
)
def test_no_proxy_names_who_is_asked_directly(no_proxy: str, direct: list[str], proxied: list[str]) -> None:
    for variable in ("no_proxy", "NO_PROXY"):
        environ = {"HTTP_PROXY": "http://p:1", variable: no_proxy}
        assert [host for host in direct if proxy_of(f"http://{host}", **environ)] == []
        assert [host for host in proxied if not proxy_of(f"http://{host}", **environ)] == []


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies, to be changed."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("no_proxy", ["fd00::/8", "[::1]", "::1,10.0.0.0/8"])
async def test_a_request_goes_through_the_proxy(environ: pytest.MonkeyPatch, no_proxy: str, http2: bool) -> None:
    async with raw_server(ALIVE) as proxy:
        environ.setenv("http_proxy", f"user:secret@127.0.0.1:{proxy.port}")
        environ.setenv("NO_PROXY", no_proxy)
        async with InferenceRESTClient(RESTConfig(http2=http2)) as client:
            assert await client.is_server_live("http://model.example") is True
    assert proxy.request_lines == ["GET http://model.example/ HTTP/1.1"]
    assert b"proxy-authorization: basic" in proxy.seen[0].lower()


@pytest.mark.parametrize("value", ["socks://user:secret@p:1", "socks4://p", "http://user:secret@p:port", "socks5://user:secret@p:1"])
async def test_a_proxy_that_can_not_be_used_is_an_error_only_where_it_is_needed(environ: pytest.MonkeyPatch, value: str) -> None:
    if value.startswith("socks5") and importlib.util.find_spec("socksio"):
        pytest.skip("httpx can use it here")
    environ.setenv("ALL_PROXY", value)
    async with raw_server(ALIVE) as wire, InferenceRESTClient() as client:
        assert await client.is_server_live(wire.base_url) is True
        with pytest.raises(httpx.ProxyError, match=r"^ALL_PROXY names a proxy that can't be used: .+") as raised:
            await client.is_server_live("http://model.example")
        with pytest.raises(httpx.ProxyError, match="ALL_PROXY"):
            await client.infer("https://model.example", {}, "m")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value.request.url) == "http://model.example/"


async def test_who_needs_no_proxy_is_asked_by_our_own_transport(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with raw_server(ALIVE) as wire, InferenceRESTClient() as client:
        assert await client.is_server_live(wire.base_url) is True
        ways = client._sender._ways
        assert ways is not None
        assert ways.own.opened_total == 1


async def test_the_environment_is_read_when_the_client_is_made(environ: pytest.MonkeyPatch) -> None:
    async with InferenceRESTClient(RESTConfig(retries=0)) as client, raw_server(ALIVE) as proxy:
        environ.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(httpx.ConnectError):
            await client.is_server_live("http://no.such.invalid")
    assert proxy.seen == []
