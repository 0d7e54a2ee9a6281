"""Servers of every kind on loopback: what they answer is bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

Then = Literal["close", "reset", "hang"]


def answering(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """An HTTP answer as it goes over the wire."""
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Server(Protocol):
    """What serves connections, and knows which are open."""

    port: int
    open: set[asyncio.StreamWriter]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to its end."""


AnyServer = TypeVar("AnyServer", bound=Server)


@dataclass
class Loopback:
    """A server that reads one request, sends its bytes, and then closes, resets or hangs."""

    answer: bytes
    then: Then
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.connected.set()
        self.open.add(writer)
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            if self.then == "hang":
                await reader.read()
            if self.then == "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()
            self.open.discard(writer)


@dataclass
class Routed:
    """A server that answers each path with bytes of its own, and any other with `otherwise`.

    Attributes:
        routes: the answers by path.
        key: the text that a request to a path below one of `guarded` must hold; without it, it is answered by `refusal`.
    """

    routes: dict[str, bytes]
    otherwise: bytes
    guarded: tuple[str, ...] = ()
    key: bytes = b""
    refusal: bytes = b""
    requests: list[bytes] = field(default_factory=list)
    port: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(request)
                writer.write(self.answer(request))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()
            self.open.discard(writer)

    def answer(self, request: bytes) -> bytes:
        path = request.split(b" ", 2)[1].decode()
        if path.startswith(self.guarded) and self.key not in request:
            return self.refusal
        return self.routes.get(path, self.otherwise)


@asynccontextmanager
async def listening(server: AnyServer, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[AnyServer]:
    """The server at a port of its own; it leaves no connection open."""
    at = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    server.port = at.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        at.close()
        for writer in list(server.open):
            writer.transport.abort()
        await at.wait_closed()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@asynccontextmanager
async def loopback(
    answer: bytes = OK, then: Then = "close", tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Loopback]:
    async with listening(Loopback(answer, then), host, tls) as server:
        yield server


def has_ipv6_loopback() -> bool:
    """Whether ::1 can be listened at here."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def unused_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
