"""A server on loopback that answers one request after the other on each connection, as real ones do."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.unit.probing.loopback import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Steady:
    """What it answers after so many seconds, and what it was asked. An empty answer is none: it hangs."""

    answer: bytes
    takes: float = 0.0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await asyncio.sleep(self.takes)
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.open.discard(writer)


@asynccontextmanager
async def steady_server(answer: bytes) -> AsyncIterator[Steady]:
    async with listening(Steady(answer)) as server:
        yield server
