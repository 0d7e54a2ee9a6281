"""What really goes over a socket: names, redirects, half responses, floods, drips, TLS."""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
import tracemalloc
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from isvcwatch.client import HTTPStatusError, InferenceRESTClient, RESTConfig
from tests.unit.client.support import http, raw_server
from tests.unit.clock import standing_clock, until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ALIVE = http("200 OK", b'{"status":"alive"}')


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b", "a%20b"),
        ("é", "%C3%A9"),
        ("100%", "100%25"),
        ("%2e%2e", "%252e%252e"),
    ],
)
async def test_a_model_name_goes_over_the_wire_escaped(name: str, segment: str) -> None:
    async with raw_server(http()) as wire, InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_model_ready(f"{wire.base_url}//base/?x=1", name) is True
    assert wire.request_lines == [f"GET /base/v2/models/{segment}/ready?x=1 HTTP/1.1"]


@pytest.mark.parametrize("suffix", ["", "/", "//", "?x=1"])
async def test_odd_endings_of_a_base_url_reach_the_same_host(suffix: str) -> None:
    async with raw_server(ALIVE) as wire, InferenceRESTClient() as client:
        assert await client.is_server_live(wire.base_url + suffix) is True
    assert wire.request_lines == [f"GET /{suffix if '?' in suffix else ''} HTTP/1.1"]


async def test_ipv6_is_spoken() -> None:
    async with raw_server(ALIVE, host="::1") as wire, InferenceRESTClient() as client:
        assert await client.is_server_live(f"http://[::1]:{wire.port}") is True
    assert f"host: [::1]:{wire.port}".encode() in wire.seen[0].lower()


async def test_redirects_are_not_followed() -> None:
    async with (
        raw_server(ALIVE) as other,
        raw_server(http("302 Found", b"", f"location: {other.base_url}")) as wire,
        InferenceRESTClient() as client,
    ):
        with pytest.raises(HTTPStatusError, match="302 Found"):
            await client.is_server_live(wire.base_url)
        with pytest.raises(HTTPStatusError, match="302 Found"):
            await client.infer(wire.base_url, {}, "m")
    assert other.seen == []


async def test_half_a_response_to_a_health_check_is_asked_again_and_to_an_inference_is_not() -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"
    async with raw_server(half, ALIVE) as wire, InferenceRESTClient() as client:
        assert await client.is_server_live(wire.base_url) is True
    async with raw_server(half) as wire, InferenceRESTClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.infer(wire.base_url, {}, "m")
    assert len(wire.seen) == 1


async def test_garbage_instead_of_http_is_a_protocol_error() -> None:
    async with raw_server(b"\x15\x03\x01\x00\x02\x02P") as wire, InferenceRESTClient(RESTConfig(retries=1)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.is_server_live(wire.base_url)
    assert len(wire.seen) == 2


async def test_a_health_checks_headers_and_user_info_go_over_the_wire_each_time() -> None:
    async with raw_server(ALIVE) as wire, InferenceRESTClient() as client:
        for who in ("a", "b", "a"):
            assert await client.is_server_live(wire.base_url, headers={"X-Who": who, "Host": "iris.example"}) is True
        assert await client.is_server_live(wire.base_url) is True
        assert await client.is_server_live(wire.base_url.replace("//", "//ada:lovelace@")) is True
    heads = [head.lower() for head in wire.seen]
    assert [re.findall(rb"x-who: (.)|(authorization: basic)", head) for head in heads] == [
        [(b"a", b"")],
        [(b"b", b"")],
        [(b"a", b"")],
        [],
        [(b"", b"authorization: basic")],
    ]
    assert [b"host: iris.example" in head for head in heads] == [True, True, True, False, False]


async def test_a_health_checks_answer_may_be_compressed() -> None:
    squeezed = http("200 OK", gzip.compress(b'{"status":"alive"}'), "content-encoding: gzip")
    async with raw_server(squeezed) as wire, InferenceRESTClient() as client:
        assert await client.is_server_live(wire.base_url) is True


def test_an_answer_before_all_of_the_request_was_read_is_taken(run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    """The server keeps the connection, but reads no more from it."""
    writers: list[asyncio.StreamWriter] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge")

    async def main() -> None:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, InferenceRESTClient(RESTConfig(timeout=10)) as client:
            for asked in (1, 2):
                with pytest.raises(HTTPStatusError, match="large"):
                    await client.infer(base_url, b"x" * 30_000_000, "m")
                assert len(writers) == asked
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("auth", [None, ("user", "password")])
async def test_a_bomb_in_answer_to_a_health_check_is_inflated_to_a_bound(auth: tuple[str, str] | None) -> None:
    bomb = http("500 Oops", gzip.compress(b"x" * 60_000_000), "content-encoding: gzip")
    async with raw_server(bomb) as wire, InferenceRESTClient(RESTConfig(auth=auth)) as client:
        tracemalloc.start()
        try:
            with pytest.raises(HTTPStatusError) as raised:
                await client.is_server_live(wire.base_url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert raised.value.response.content == b"x" * (1 << 20)
    assert peak < 16_000_000


@pytest.mark.parametrize("auth", [None, ("user", "password")])
async def test_a_health_checks_answer_that_can_not_be_inflated_is_an_error(auth: tuple[str, str] | None) -> None:
    wrong = http("200 OK", b'{"status":"alive"}', "content-encoding: gzip")
    async with raw_server(wrong) as wire, InferenceRESTClient(RESTConfig(auth=auth)) as client:
        with pytest.raises(httpx.DecodingError, match=r"its body is not gzip, as it says: GET http://127\.0\.0\.1"):
            await client.is_server_live(wire.base_url)


async def test_after_the_end_nothing_is_asked() -> None:
    async with raw_server(ALIVE) as wire:
        async with InferenceRESTClient() as client:
            assert await client.is_server_live(wire.base_url) is True
        with pytest.raises(RuntimeError, match="closed"):
            await client.is_server_live(wire.base_url)
    assert len(wire.seen) == 1


async def test_a_flood_in_answer_to_a_health_check_is_read_to_a_bound() -> None:
    flood = b"HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n" + b"x" * (3 << 20)
    async with raw_server(flood) as wire, InferenceRESTClient() as client:
        with pytest.raises(HTTPStatusError) as raised:
            await client.is_server_live(wire.base_url)
    assert len(raised.value.response.content) == 1 << 20
    assert len(str(raised.value)) < 700


async def test_a_server_that_hangs_is_left_at_the_timeout_and_not_asked_again() -> None:
    async with raw_server(None) as wire, InferenceRESTClient(RESTConfig(timeout=60)) as client:
        for asked, call in enumerate((client.is_server_live(wire.base_url), client.infer(wire.base_url, {}, "m")), start=1):
            with standing_clock() as clock:
                task = asyncio.ensure_future(call)
                await until(lambda: len(wire.seen) == asked)  # noqa: B023 -- called at once
                await clock.move(61)
                with pytest.raises(httpx.ReadTimeout):
                    await task
    assert len(wire.seen) == 2


async def test_a_server_that_drips_over_the_wire_is_left_at_the_end_of_the_whole() -> None:
    """Each byte comes within the timeout of the one before."""
    asked: list[asyncio.StreamWriter] = []

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n")
        asked.append(writer)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, InferenceRESTClient(RESTConfig(timeout=60)) as client:
        for number, call in enumerate((client.is_model_ready(base_url, "m"), client.infer(base_url, {}, "m")), start=1):
            with standing_clock() as clock:
                task = asyncio.ensure_future(call)
                await until(lambda: len(asked) == number)  # noqa: B023 -- called at once
                for _ in range(4):
                    asked[-1].write(b"x")
                    await clock.move(15.5)
                assert not task.done()
                asked[-1].write(b"x")
                await clock.move(1.5)
                await until(task.done)
                with pytest.raises(httpx.ReadTimeout):
                    await task
            asked[-1].close()


class Dripping(httpx.AsyncByteStream):
    async def __aiter__(self) -> object:  # type: ignore[override] # an async generator
        while True:
            await asyncio.get_running_loop().run_in_executor(None, bool)
            yield b" "


async def test_a_server_that_drips_is_left_soon_after_the_timeout() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Dripping()))
    async with InferenceRESTClient(RESTConfig(transport, timeout=0.02)) as client:
        with pytest.raises(
            httpx.ReadTimeout, match=r"^no complete answer from http://h/v1/models/m:predict within 0.02 s \(ReadTimeout\)$"
        ):
            await client.infer("http://h", {}, "m")


async def test_a_transports_own_timeout_error_passes_through() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise TimeoutError("its own")

    async with InferenceRESTClient(RESTConfig(httpx.MockTransport(fail))) as client:
        with pytest.raises(TimeoutError, match="its own"):
            await client.is_server_live("http://h")


async def test_cancellation_passes_through() -> None:
    async with raw_server(None) as wire, InferenceRESTClient(RESTConfig(verbose=False)) as client:
        task = asyncio.create_task(client.is_server_live(wire.base_url))
        while not wire.seen:
            await asyncio.get_running_loop().run_in_executor(None, bool)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_one_client_serves_many_base_urls_at_once() -> None:
    async with raw_server(ALIVE) as one, raw_server(http("503 Service Unavailable")) as two, InferenceRESTClient() as client:
        answers = await asyncio.gather(*(client.is_server_live(wire.base_url) for wire in (one, two) * 5))
    assert answers == [True, False] * 5


async def test_a_refused_connection_is_an_error() -> None:
    async with raw_server(ALIVE) as wire:
        pass
    async with InferenceRESTClient(RESTConfig(retries=1)) as client:
        with pytest.raises(httpx.ConnectError):
            await client.is_server_live(wire.base_url)


async def test_a_plain_port_that_is_asked_for_tls_is_an_error_of_tls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http("400 Bad Request"))
        await reader.read()
        writer.close()

    settings = RESTConfig(retries=0, verify=ssl.create_default_context(), http2=True)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, InferenceRESTClient(settings) as client:
        with pytest.raises(httpx.ConnectError):
            await client.is_server_live(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
