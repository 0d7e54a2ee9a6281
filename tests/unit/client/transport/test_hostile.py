"""Servers that mean ill, or are merely broken, on real sockets: each ends within the deadline, in bounded memory, as a named outcome."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
import time
import tracemalloc
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from isvcwatch.client.transport import InvalidAnswerError, LostError, Phase, TimedOutError, TLSError, Transport, WireError
from isvcwatch.client.transport.parser import HEADER_LIMIT
from isvcwatch.client.transport.transport import BODY_LIMIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from isvcwatch.client.protocols import Answer

    Script = Callable[["Wire"], Awaitable[None]]

TIMEOUT = 0.3
PATIENCE = 5.0  # of what is not to end by its timeout
SCHEDULED = 1.0
"""Seconds that a busy machine may take to give the test its turn; what never ends takes longer than any of that."""
HOST = "127.0.0.2"  # which the certificate does not name
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"
TLS = Path(__file__).parents[1] / "tls"


@dataclass
class Wire:
    """A connection, as its server has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: int = 0

    async def request(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        self.sent += len(data)
        await self.writer.drain()

    async def send_for_ever(self, data: bytes, pause: float = 0.0) -> None:
        while True:
            await self.send(data)
            if pause:
                await asyncio.sleep(pause)

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()


@dataclass
class Server:
    """What was asked of it, by connection."""

    port: int = 0
    wires: list[Wire] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return sum(wire.sent for wire in self.wires)


@contextlib.asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that carries out the script on each connection."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        wire = Wire(reader, writer)
        server.wires.append(wire)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            await script(wire)
        writer.transport.abort()

    listening = await asyncio.start_server(serve, HOST, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()
        await asyncio.sleep(0.01)


async def outcome_of(
    script: Script,
    scheme: str = "http",
    secured: ssl.SSLContext | None = None,
    trust: ssl.SSLContext | None = None,
    timeout: float = PATIENCE,  # noqa: ASYNC109 -- the exchange's
) -> tuple[Any, Server]:
    """What a GET comes to, and the server; asserts that it ends in time and leaves nothing open."""
    async with serving(script, secured) as server:
        transport = Transport(tls=trust)
        began = time.monotonic()
        result: Answer | WireError
        try:
            result = await transport.get(f"{scheme}://{HOST}:{server.port}/v2/health/live", timeout)
        except WireError as error:
            result = error
        assert time.monotonic() - began < timeout + SCHEDULED
        await transport.aclose()
        await asyncio.sleep(0.01)
        assert transport.open == 0
    return result, server


def answering(*parts: bytes, pause: float = 0.0) -> Script:
    async def script(wire: Wire) -> None:
        await wire.request()
        for part in parts:
            await wire.send(part)
            await asyncio.sleep(pause)
        await wire.reader.read()

    return script


def then_for_ever(start: bytes, again: bytes, pause: float = 0.0) -> Script:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(start)
        await wire.send_for_ever(again, pause)

    return script


def closing(data: bytes, *, reset: bool = False, reads: bool = True) -> Script:
    async def script(wire: Wire) -> None:
        if reads:
            await wire.request()
        await wire.send(data)
        await asyncio.sleep(0.01)
        if reset:
            wire.reset()

    return script


ENDLESS: dict[str, tuple[Script, type[WireError]]] = {
    "slow loris, in the status line": (then_for_ever(b"", b"H", 0.05), InvalidAnswerError),
    "slow loris, in a header": (then_for_ever(HEAD + b"a: ", b"b", 0.05), TimedOutError),
    "slow loris, in the body": (then_for_ever(HEAD + b"Content-Length: 999\r\n\r\n", b"x", 0.05), TimedOutError),
    "never a byte": (answering(b""), TimedOutError),
    "endless header": (then_for_ever(HEAD + b"a: ", b"b" * 4096), InvalidAnswerError),
    "endless headers": (then_for_ever(HEAD, b"a: b\r\n" * 500), InvalidAnswerError),
    "Set-Cookie flood": (then_for_ever(HEAD, b"Set-Cookie: a=b; Path=/\r\n" * 100), InvalidAnswerError),
    "endless 1xx": (then_for_ever(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100), InvalidAnswerError),
    "endless 1xx, slowly": (then_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05), TimedOutError),
    "endless body": (then_for_ever(HEAD + b"\r\n", b"x" * 65536), InvalidAnswerError),
    "endless chunks": (then_for_ever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"), InvalidAnswerError),
    "endless chunk extension": (then_for_ever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;", b"x" * 4096), WireError),
    "endless trailers": (then_for_ever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 500), WireError),
}


@pytest.mark.parametrize(("script", "kind"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_ended(run: Callable[..., Any], script: Script, kind: type[WireError]) -> None:
    outcome, server = run(outcome_of(script, timeout=TIMEOUT if issubclass(TimedOutError, kind) else PATIENCE))
    assert isinstance(outcome, kind), outcome
    assert outcome.phase is Phase.ANSWER
    assert server.sent < 64 * 1024 * 1024  # a kernel's buffers, not memory of ours: the bounds are asserted below


BROKEN: dict[str, tuple[Script, type[WireError]]] = {
    "absurd chunk size": (answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"), InvalidAnswerError),
    "huge chunk size": (closing(HEAD + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nx"), LostError),
    "negative chunk size": (answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n"), InvalidAnswerError),
    "Content-Length too long": (closing(HEAD + b"Content-Length: 9\r\n\r\nok"), LostError),
    "Content-Length absurd": (answering(HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nok"), InvalidAnswerError),
    "Content-Length negative": (answering(HEAD + b"Content-Length: -1\r\n\r\nok"), InvalidAnswerError),
    "two Content-Lengths": (answering(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), InvalidAnswerError),
    "Content-Length and chunked": (
        answering(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        InvalidAnswerError,
    ),
    "HTTP/0.9": (closing(b"<html>ready</html>"), InvalidAnswerError),
    "HTTP/2 preface": (closing(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), InvalidAnswerError),
    "HTTP/2 settings frame": (closing(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), InvalidAnswerError),
    "TLS alert": (closing(b"\x15\x03\x03\x00\x02\x02\x46"), InvalidAnswerError),
    "NULs": (closing(b"\x00" * 100), InvalidAnswerError),
    "NUL in a header": (answering(HEAD + b"a: \x00\r\nContent-Length: 0\r\n\r\n"), InvalidAnswerError),
    "switching protocols": (
        answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
        InvalidAnswerError,
    ),
    "closed before the request": (closing(b"", reads=False), LostError),
    "closed without an answer": (closing(b""), LostError),
    "closed in the head": (closing(HEAD[:9]), LostError),
    "reset without an answer": (closing(b"", reset=True), LostError),
    "reset before the request": (closing(b"", reset=True, reads=False), LostError),
    "reset in the head": (closing(HEAD, reset=True), LostError),
    "reset in the body": (closing(HEAD + b"Content-Length: 9\r\n\r\nok", reset=True), LostError),
    "reset in a body without a length": (closing(HEAD + b"\r\nok", reset=True), LostError),
}


@pytest.mark.parametrize(("script", "kind"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_is_named(run: Callable[..., Any], script: Script, kind: type[WireError]) -> None:
    outcome, _ = run(outcome_of(script))
    assert type(outcome) is kind, outcome


ODD: dict[str, tuple[Script, int, bytes]] = {
    "redirect to itself": (answering(b"HTTP/1.1 302 Found\r\nLocation: /v2/health/live\r\nContent-Length: 0\r\n\r\n"), 302, b""),
    "204 with a body": (answering(b"HTTP/1.1 204 No Content\r\n\r\nbody"), 204, b""),
    "304 with a body": (answering(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody"), 304, b""),
    "1xx before the answer": (answering(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK), 200, b"ok"),
    "Content-Length too short": (answering(HEAD + b"Content-Length: 2\r\n\r\nokay"), 200, b"ok"),
    "two answers": (answering(OK + OK), 200, b"ok"),
    "the answer byte by byte": (answering(*(OK[i : i + 1] for i in range(len(OK)))), 200, b"ok"),
    "no length, ended by closing": (closing(HEAD + b"\r\nok"), 200, b"ok"),
    "HTTP/1.0": (closing(b"HTTP/1.0 200 OK\r\n\r\nok"), 200, b"ok"),
    "trailers": (answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"), 200, b"ok"),
}


@pytest.mark.parametrize(("script", "status", "body"), ODD.values(), ids=ODD)
def test_what_is_odd_but_an_answer_is_taken(run: Callable[..., Any], script: Script, status: int, body: bytes) -> None:
    outcome, server = run(outcome_of(script))
    assert (outcome.status, outcome.body) == (status, body), outcome
    assert len(server.wires) == 1


def test_an_answer_that_comes_before_the_request_is_taken_once(run: Callable[..., Any]) -> None:
    async def script(wire: Wire) -> None:
        await wire.send(OK)
        await wire.reader.read()

    outcome, _ = run(outcome_of(script))
    assert outcome.body == b"ok"


def encoded(coding: str, body: bytes) -> bytes:
    return HEAD + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def raw_deflate(content: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(content) + squeezer.flush()


GZIPPED = gzip.compress(b"ok", mtime=0)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", GZIPPED, id="gzip"),
        pytest.param("X-GZip", GZIPPED, id="x-gzip"),
        pytest.param("deflate", zlib.compress(b"ok"), id="deflate"),
        pytest.param("deflate", raw_deflate(b"ok"), id="deflate without its header"),
        pytest.param("identity", b"ok", id="identity"),
        pytest.param("br", b"ok", id="another"),
    ],
)
def test_what_comes_compressed_unasked_is_inflated_where_it_can_be(run: Callable[..., Any], coding: str, body: bytes) -> None:
    outcome, _ = run(outcome_of(answering(encoded(coding, body))))
    assert outcome.body == b"ok"


def test_a_compressed_body_may_be_empty(run: Callable[..., Any]) -> None:
    outcome, _ = run(outcome_of(answering(encoded("gzip", b""))))
    assert outcome.body == b""


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", b'{"ready":true}', id="plain"),
        pytest.param("deflate", b'{"ready":true}', id="plain, as deflate"),
        pytest.param("gzip", GZIPPED[:-9], id="cut"),
        pytest.param("gzip", GZIPPED[:-8] + b"\0" * 8, id="damaged"),
        pytest.param("deflate", zlib.compress(b"ok")[:5], id="cut, as deflate"),
    ],
)
def test_a_body_that_is_not_what_its_coding_says_is_no_answer(run: Callable[..., Any], coding: str, body: bytes) -> None:
    outcome, _ = run(outcome_of(answering(encoded(coding, body))))
    assert isinstance(outcome, InvalidAnswerError)
    assert coding in str(outcome)


def test_a_bomb_is_inflated_to_the_bound(run: Callable[..., Any]) -> None:
    bomb = gzip.compress(b"\0" * 60_000_000)
    assert len(bomb) < BODY_LIMIT
    tracemalloc.start()
    try:
        outcome, _ = run(outcome_of(answering(encoded("gzip", bomb))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(outcome, InvalidAnswerError)
    assert "longer than 64 KiB" in str(outcome)
    assert peak < 4_000_000


@pytest.mark.parametrize(("excess", "kind"), [(0, None), (1, InvalidAnswerError)])
def test_a_body_is_read_to_its_bound(run: Callable[..., Any], excess: int, kind: type[WireError] | None) -> None:
    size = BODY_LIMIT + excess
    outcome, _ = run(outcome_of(answering(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)))
    assert isinstance(outcome, kind) if kind else len(outcome.body) == size


@pytest.mark.parametrize(("excess", "kind"), [(-64, None), (1, InvalidAnswerError)])
def test_a_head_is_read_to_its_bound(run: Callable[..., Any], excess: int, kind: type[WireError] | None) -> None:
    head = HEAD + b"a: " + b"x" * (HEADER_LIMIT + excess) + b"\r\nContent-Length: 0\r\n\r\n"
    outcome, _ = run(outcome_of(answering(head)))
    assert isinstance(outcome, kind) if kind else outcome.status == 200


class TestTLS:
    @staticmethod
    def context() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        return context

    @staticmethod
    def trusting() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(TLS / "cert.pem"))

    def test_a_self_signed_certificate_is_not_trusted(self, run: Callable[..., Any]) -> None:
        outcome, _ = run(outcome_of(answering(OK), "https", self.context()))
        assert isinstance(outcome, TLSError)
        assert "self-signed" in str(outcome)

    def test_a_certificate_that_has_expired_is_not_trusted(self, run: Callable[..., Any]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "expired.pem", TLS / "key.pem")
        trusting = ssl.create_default_context(cafile=str(TLS / "expired.pem"))
        outcome, _ = run(outcome_of(answering(OK), "https", context, trusting))
        assert isinstance(outcome, TLSError)
        assert "certificate has expired" in str(outcome)

    def test_a_certificate_of_another_host_is_not_trusted(self, run: Callable[..., Any]) -> None:
        outcome, _ = run(outcome_of(answering(OK), "https", self.context(), self.trusting()))
        assert isinstance(outcome, TLSError)
        assert HOST in str(outcome)

    @pytest.mark.parametrize("script", [answering(b""), closing(b"HTTP/1.1 400 Bad Request\r\n\r\n", reads=False)])
    def test_a_plain_port_speaks_no_tls(self, run: Callable[..., Any], script: Script) -> None:
        outcome, _ = run(outcome_of(script, "https", timeout=TIMEOUT))
        assert isinstance(outcome, (TLSError, TimedOutError))
        assert outcome.phase is Phase.TLS

    def test_a_tls_port_speaks_no_plain_http(self, run: Callable[..., Any]) -> None:
        outcome, _ = run(outcome_of(answering(OK), "http", self.context()))
        assert isinstance(outcome, (LostError, InvalidAnswerError))

    def test_a_handshake_that_hangs_is_given_up(self, run: Callable[..., Any]) -> None:
        async def script(wire: Wire) -> None:
            await wire.reader.read()

        outcome, _ = run(outcome_of(script, "https", timeout=TIMEOUT))
        assert type(outcome) is TimedOutError
        assert outcome.phase is Phase.TLS

    @pytest.mark.parametrize("reset", [False, True])
    def test_a_handshake_that_breaks_off_is_named(self, run: Callable[..., Any], reset: bool) -> None:
        outcome, _ = run(outcome_of(closing(b"", reads=False, reset=reset), "https"))
        assert isinstance(outcome, (LostError, TLSError))
        assert outcome.phase is Phase.TLS
