"""The fleet's servers on real sockets: each kind behaves as it is called."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest

from bench.fleet.places import place as place_of
from bench.fleet.server import FARTHEST, Kind, Server
from isvcwatch.probing.scheduler import TICK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ASKED = b"GET /v2/models/model-0/ready HTTP/1.1\r\nhost: fleet\r\n\r\n"
LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: fleet\r\n\r\n"
PATIENCE = 0.2


def free_place() -> tuple[str, int]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return "127.0.0.1", int(found.getsockname()[1])


@contextlib.asynccontextmanager
async def serving(kind: Kind = Kind.HEALTHY) -> AsyncIterator[tuple[Server, tuple[str, int]]]:
    place = free_place()
    server = Server(place, None)
    await server.open()
    await server.become(kind)
    try:
        yield server, place
    finally:
        await server.become(Kind.REFUSING)
        await asyncio.sleep(0)


async def answer(place: tuple[str, int], *requests: bytes) -> list[bytes]:
    """The first lines of the answers, on one connection; each part is sent by itself."""
    reader, writer = await asyncio.open_connection(*place)
    try:
        lines = []
        for request in requests:
            writer.write(request)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            lines.append(head.partition(b"\r\n")[0])
        return lines
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_healthy_one_answers_request_after_request_on_a_kept_connection() -> None:
    async with serving() as (_, place):
        assert await answer(place, ASKED, ASKED, LIVE) == [b"HTTP/1.1 200 OK"] * 3


async def test_a_model_of_another_name_is_none_of_its_own() -> None:
    async with serving() as (_, place):
        assert await answer(place, ASKED.replace(b"model-0", b"another")) == [b"HTTP/1.1 404 Not Found"]


async def test_a_request_in_pieces_is_one_request() -> None:
    async with serving() as (_, place):
        reader, writer = await asyncio.open_connection(*place)
        for piece in (ASKED[:10], ASKED[10:-2], ASKED[-2:]):
            writer.write(piece)
            await asyncio.sleep(0.01)
        assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await writer.wait_closed()


async def test_a_failing_one_says_503_of_its_model_and_is_live() -> None:
    async with serving(Kind.FAILING) as (_, place):
        assert await answer(place, ASKED, LIVE) == [b"HTTP/1.1 503 Service Unavailable", b"HTTP/1.1 200 OK"]


async def test_a_hanging_one_accepts_and_never_answers() -> None:
    async with serving(Kind.HANGING) as (_, place):
        with pytest.raises(TimeoutError):
            await answer(place, ASKED)


async def test_a_distant_one_is_healthy_and_takes_its_time() -> None:
    async with serving(Kind.DISTANT) as (server, place):
        began = time.monotonic()
        assert await answer(place, ASKED) == [b"HTTP/1.1 200 OK"]
        assert time.monotonic() - began >= server.distance > 0


def test_distant_ones_are_at_many_distances_within_a_tick() -> None:
    distances = {Server(place_of(number, 15000), None).distance for number in range(200)}
    assert len(distances) == FARTHEST
    assert max(distances) < TICK


async def test_a_refusing_one_drops_its_connections_and_lets_nobody_in_until_it_is_healed() -> None:
    async with serving() as (server, place):
        reader, writer = await asyncio.open_connection(*place)
        await answer(place, ASKED)
        await server.become(Kind.REFUSING)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await answer(place, ASKED)
        await server.become(Kind.HEALTHY)
        assert await answer(place, ASKED) == [b"HTTP/1.1 200 OK"]
