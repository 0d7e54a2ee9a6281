"""One model server of the fleet, as cheap as can be, so that it takes no CPU from what is measured."""

from __future__ import annotations

import asyncio
import socket
import zlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    import ssl

BACKLOG: Final = 64
SLOWNESS: Final = 0.5
"""Seconds that a slow server takes: well within the timeout."""

FARTHEST: Final = 17
"""Milliseconds that the slowest of distant servers takes: less than the engine's tick."""

END: Final = b"\r\n\r\n"


def _answer(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


# As KServe's ModelServer answers: a model that is not ready is 503, and its server is well all the same.
READY: Final = _answer("200 OK", b'{"name":"model","ready":true}')
NOT_READY: Final = _answer("503 Service Unavailable", b'{"error":"Model with name model is not ready."}')
SERVER_READY: Final = _answer("200 OK", b'{"live":true,"ready":true}')
UNKNOWN: Final = _answer("404 Not Found", b'{"error":"Model is not found."}')
OWN: Final = b"/models/model-"
"""What each of its models' routes has in it: `Fleet.models` names them so."""


def _of_none(request: bytes) -> bytes:
    """The answer to what is asked of none of its models."""
    return UNKNOWN if b"/models/" in request else SERVER_READY


class Kind(StrEnum):
    """How a server behaves."""

    HEALTHY = "healthy"
    FAILING = "failing"
    HANGING = "hanging"
    SLOW = "slow"
    DISTANT = "distant"
    """Healthy, and takes a few milliseconds, each server its own, so that of many answers hardly any two come together."""
    REFUSING = "refusing"


class Server:
    """Listens at one place; can be turned from one kind into another at any moment."""

    __slots__ = ("_listener", "_place", "_tls", "connections", "distance", "kind")

    def __init__(self, place: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self._place = place
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self.kind = Kind.HEALTHY
        self.distance = (1 + zlib.crc32(repr(place).encode()) % FARTHEST) / 1000
        self.connections: set[asyncio.Transport] = set()

    async def open(self) -> None:
        """Listen."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(self._place)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        self._listener = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=listening, ssl=self._tls)

    async def become(self, kind: Kind) -> None:
        """Behave so from now on. One that refuses has no listener and drops its connections."""
        self.kind = kind
        if kind is Kind.REFUSING and self._listener:
            self._listener.close()
            self._listener = None
            for connection in tuple(self.connections):
                connection.abort()
        elif kind is not Kind.REFUSING and not self._listener:
            await self.open()


class Connection(asyncio.Protocol):
    """One client's connection; requests come one after another."""

    __slots__ = ("_begun", "_server", "_transport")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self._transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if not data.endswith(END):
            self._begun += data
            if not self._begun.endswith(END):
                return
            data = self._begun
        if self._begun:
            self._begun = b""
        kind = self._server.kind
        if kind is Kind.HEALTHY:
            self._transport.write(READY if OWN in data else _of_none(data))
        elif kind is Kind.FAILING:
            self._transport.write(NOT_READY if OWN in data else _of_none(data))
        elif kind is Kind.SLOW:
            asyncio.get_running_loop().call_later(SLOWNESS, self._answer_late)
        elif kind is Kind.DISTANT:
            asyncio.get_running_loop().call_later(self._server.distance, self._answer_late)

    def _answer_late(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(READY)
