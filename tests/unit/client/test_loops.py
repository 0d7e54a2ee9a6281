"""One client, used in one event loop after another."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from isvcwatch.client.transport import Names, Transport
from isvcwatch.client.transport.names import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


# uvloop warns of each connection that is open when its loop is closed, and never ends where that warning is an error: it is raised in the
# midst of closing them.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")


class Alive(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    closes = False

    def do_GET(self) -> None:
        body = b'{"status":"alive"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.closes:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class AliveOnce(Alive):
    closes = True


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def serving(handler: type[Alive] = Alive) -> Iterator[str]:
    """A server that no event loop's end closes."""
    with Listening(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def connections_to(url: str) -> int:
    """How many connections to a server a client still holds, whether the server has closed its side or not."""
    gc.collect()
    server = f"0100007F:{int(url.rpartition(':')[2]):04X}"  # 127.0.0.1, as the kernel writes it
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(remote == server and state in {ESTABLISHED, CLOSE_WAIT} for _, _, remote, state, *_ in rows)


ESTABLISHED, CLOSE_WAIT = "01", "08"


def test_a_client_is_used_in_one_loop_after_another(run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    client = InferenceRESTClient(RESTConfig(retries=0))
    with serving() as url:
        for _ in range(3):
            assert run(client.is_server_live(url)) is True
        run(client.close())


async def many(client: InferenceRESTClient, url: str) -> list[bool]:
    return await asyncio.gather(*(client.is_server_live(url) for _ in range(20)))


def test_connections_of_a_closed_loop_are_closed_too(run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    client = InferenceRESTClient()
    with serving() as url:
        for _ in range(3):
            assert all(run(many(client, url)))
        assert connections_to(url) <= 20, "those of the loops before are closed"
        run(client.close())
        assert connections_to(url) == 0
        assert client._sender._ways is not None
        assert client._sender._ways.own.open == 0


def test_a_client_for_http2_is_used_in_one_loop_after_another() -> None:
    client = InferenceRESTClient(RESTConfig(http2=True, retries=0))
    with serving(AliveOnce) as url:
        for _ in range(2):
            assert asyncio.run(client.is_server_live(url)) is True
        asyncio.run(client.close())
    asyncio.set_event_loop(None)


def test_a_lookup_that_a_closed_loop_waited_for_holds_up_nobody() -> None:
    hung = threading.Event()
    asked: list[str] = []

    def lookup(host: str) -> Found:
        asked.append(host)
        if len(asked) == 1:
            hung.wait(5)
        return Found(("127.0.0.1",))

    transport = Transport(names=Names(lookup))

    async def given_up(url: str) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await transport.get(url, 5)

    async def asked_again(url: str) -> int:
        answer = await transport.get(url, 2)
        await transport.aclose()
        return answer.status

    with serving() as url:
        named = url.replace("127.0.0.1", "model.example")
        asyncio.run(given_up(named))
        assert asyncio.run(asked_again(named)) == 200
    hung.set()
    asyncio.set_event_loop(None)


def test_two_loops_at_once_are_refused_in_words() -> None:
    client = InferenceRESTClient()

    async def from_another_thread(url: str) -> None:
        await client.is_server_live(url)
        with pytest.raises(RuntimeError, match="in use on another event loop, which is running: make one for each loop"):
            await asyncio.to_thread(asyncio.run, client.is_server_live(url))
        assert await client.is_server_live(url) is True
        await client.close()

    with serving() as url:
        asyncio.run(from_another_thread(url))
    asyncio.set_event_loop(None)
