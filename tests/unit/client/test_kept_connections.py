"""Which kept connections a request is sent on that can't be sent again: none that the server has closed, or may be about to close."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from isvcwatch.client import InferenceRESTClient, RESTConfig
from isvcwatch.client.transport.riding import IDLE
from tests.unit.client.support import raw_server
from tests.unit.clock import standing_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
SOON = 5.0


class Closing:
    """A server in a thread that closes each connection after its first answer, without having said so."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self.closed = threading.Semaphore(0)


@contextmanager
def closing_server() -> Iterator[Closing]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = Closing(listening.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                wire, _ = listening.accept()
            except OSError:
                return
            with wire:
                asked = b""
                while (came := wire.recv(65536)) and not (asked := asked + came).endswith((b"}", b"\r\n\r\n")):
                    pass
                wire.sendall(ANSWER)
            server.closed.release()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_an_inference_is_not_sent_on_a_connection_that_was_closed_while_the_program_worked(
    run: Callable[[Coroutine[Any, Any, Any]], Any],
) -> None:
    async def main() -> None:
        with closing_server() as server:
            async with InferenceRESTClient() as client:
                for _ in range(3):
                    assert await client.infer(server.base_url, {"instances": []}, "m") == {}
                    assert server.closed.acquire(timeout=SOON)  # the event loop has no turn meanwhile

    run(main())


async def test_an_inference_is_not_sent_on_a_connection_that_servers_may_be_about_to_close() -> None:
    connections: list[int] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        writers.append(writer)
        number = len(connections) - 1
        while await reader.read(65536):
            connections[number] += 1
            writer.write(ANSWER)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        with standing_clock() as clock:
            await client.infer(base_url, {"instances": []}, "m")
            await clock.move(IDLE - 0.1)
            await client.infer(base_url, {"instances": []}, "m")
            assert connections == [2]
            await clock.move(IDLE + 0.1)
            await client.is_server_live(base_url)  # may be sent again, if need be
            assert connections == [3]
            await clock.move(IDLE + 0.1)
            await client.infer(base_url, {"instances": []}, "m")
            assert connections == [3, 1]
    for writer in writers:
        writer.close()
        await writer.wait_closed()


async def test_a_health_check_is_sent_again_if_its_kept_connection_turns_out_to_be_closed() -> None:
    with closing_server() as server:
        async with InferenceRESTClient() as client:
            for _ in range(3):
                assert await client.is_server_live(server.base_url) in (True, False)
                assert server.closed.acquire(timeout=SOON)


async def test_a_server_that_never_keeps_is_asked_anew_each_time() -> None:
    closing = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
    async with raw_server(closing) as wire, InferenceRESTClient() as client:
        for _ in range(3):
            assert await client.infer(wire.base_url, {"instances": []}, "m") == {}
    assert len(wire.seen) == 3
