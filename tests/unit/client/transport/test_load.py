"""Many calls at once on one client."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from tests.unit.clock import standing_clock, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"ready":true}'


@dataclass
class Slow:
    url: str = ""
    under_way: int = 0
    most: int = 0
    takes: float = 0.05
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.under_way += 1
                self.most = max(self.most, self.under_way)
                await asyncio.sleep(self.takes)
                await self.free.wait()
                self.under_way -= 1
                writer.write(OK)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def slow(takes: float = 0.05) -> AsyncIterator[Slow]:
    server = Slow(takes=takes)
    server.free.set()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=256)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await asyncio.sleep(max(takes, 0.05) + 0.02)


async def test_a_thousand_calls_at_once_are_all_answered_by_a_hundred_connections() -> None:
    async with slow() as server, InferenceRESTClient() as client:
        began = time.monotonic()
        answers = await asyncio.gather(*(client.is_model_ready(server.url, "m") for _ in range(1000)))
        assert answers == [True] * 1000
        assert time.monotonic() - began < 4
        assert server.most == 100


async def test_cancelled_calls_leave_nothing_open_and_the_next_is_answered() -> None:
    chance = random.Random(7)  # noqa: S311 -- no secret
    async with slow(0.01) as server, InferenceRESTClient(RESTConfig(retries=0)) as client:
        calls = [asyncio.create_task(client.is_model_ready(server.url, "m")) for _ in range(300)]
        for call in chance.sample(calls, len(calls)):
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert await client.is_model_ready(server.url, "m", timeout=2) is True
        await asyncio.sleep(0.05)
        assert client._sender._ways is not None
        own = client._sender._ways.own
        assert own.open == own._pool.free
    assert own.open == 0


async def test_who_waits_too_long_for_a_turn_is_told_so() -> None:
    async with slow() as server, InferenceRESTClient(RESTConfig(retries=0)) as client:
        server.free.clear()
        calls = [asyncio.create_task(client.is_model_ready(server.url, "m")) for _ in range(100)]
        await until(lambda: server.under_way == 100)
        with standing_clock() as clock:
            asked = asyncio.ensure_future(client.is_model_ready(server.url, "m", timeout=5))
            await clock.move(0.0)
            await clock.move(5.0)
            with pytest.raises(httpx.PoolTimeout, match=r"no connection was free for http://.* within 5 s"):
                await asked
        server.free.set()
        assert await asyncio.gather(*calls) == [True] * 100
