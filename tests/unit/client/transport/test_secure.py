"""Connections over TLS: however the bytes are cut, and whatever the server does at its end of TLS."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from isvcwatch.client.protocols import Answer
from isvcwatch.client.transport import AlertError, CertificateWantedError, LostError, TLSError, Transport, UntrustedError
from isvcwatch.client.transport.asks import Endpoint
from isvcwatch.client.transport.secure import SecureConnection
from tests.unit.client.transport.fakes import Owner, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from isvcwatch.client.transport.errors import WireError
    from isvcwatch.client.transport.parser import AnswerParser

TLS = Path(__file__).parents[1] / "tls"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
AFTER_THE_END = b"\x17\x03\x03\x00\x20" + bytes(32)
"""What may come although the server has said that no more would."""

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def server_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(TLS / "cert.pem"))


@dataclass
class Exchange:
    """What was told of one."""

    bodies: list[bytes] = field(default_factory=list)
    errors: list[WireError] = field(default_factory=list)

    def heard(self) -> None:
        pass

    def answered(self, parser: AnswerParser) -> None:
        self.bodies.append(bytes(parser.body))

    def failed(self, error: WireError) -> None:
        self.errors.append(error)


class Peer:
    """The server's end of TLS, in memory."""

    def __init__(self, connection: SecureConnection, wire: Wire, owner: Owner, version: ssl.TLSVersion, cuts: Iterator[int]) -> None:
        self._connection = connection
        self._wire = wire
        self._pipes = owner.pipes
        self._cuts = cuts
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server_context(version).wrap_bio(self._incoming, self._outgoing, server_side=True)

    def turn(self) -> None:
        """Take what was sent."""
        self._incoming.write(bytes(self._wire.sent))
        self._wire.sent.clear()

    def deliver(self) -> None:
        """Send what TLS has to send, in pieces."""
        data = self._outgoing.read()
        while data:
            length = next(self._cuts)
            self._connection.data_received(data[:length])
            data = data[length:]
            assert self._pipes.incoming.pending == self._pipes.outgoing.pending == 0

    def shake(self) -> None:
        for _ in range(4):
            self.turn()
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            self.deliver()


def connected(version: ssl.TLSVersion, cuts: Sequence[int], owner: Owner | None = None) -> tuple[SecureConnection, Peer, Wire, Owner]:
    wire, owner, context = Wire(), owner or Owner(), trusting()
    connection = SecureConnection(Endpoint("localhost", 443, context, own_host=True), owner, context)
    peer = Peer(connection, wire, owner, version, itertools.cycle(cuts))
    connection.connection_made(cast("asyncio.Transport", wire))
    peer.shake()
    connection.ready()
    return connection, peer, wire, owner


@settings(max_examples=40)
@given(
    version=st.sampled_from(VERSIONS),
    cuts=st.lists(st.integers(1, 4000), min_size=1, max_size=8),
    sizes=st.lists(st.integers(0, 40_000), min_size=1, max_size=4),
)
def test_the_outcome_does_not_depend_on_how_the_bytes_are_cut(version: ssl.TLSVersion, cuts: list[int], sizes: list[int]) -> None:
    async def converse() -> None:
        connection, peer, wire, owner = connected(version, cuts)
        await connection.secured()
        for number, size in enumerate(sizes, 1):
            exchange = Exchange()
            connection.carry(REQUEST, exchange, 0)
            peer.turn()
            assert peer.tls.read(4096) == REQUEST
            body = bytes(number) * (size // number)
            peer.tls.write(answer(body))
            peer.deliver()
            assert exchange.bodies == [body]
            assert exchange.errors == []
            assert len(owner.freed) == number
        assert connection.usable
        assert not wire.closed

    asyncio.run(converse())


@settings(max_examples=40)
@given(
    turns=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 400)), max_size=60),
    forged=st.none() | st.tuples(st.integers(0, 2), st.integers(0, 900)),
    ends=st.sets(st.integers(0, 2)),
)
def test_connections_of_one_owner_do_not_mix(turns: list[tuple[int, int]], forged: tuple[int, int] | None, ends: set[int]) -> None:
    """Their bytes go to OpenSSL and back by the same ways, in any order, and whatever becomes of one of them."""

    async def converse() -> None:
        owner = Owner()
        bodies = [b"%d" % number * 700 for number in range(3)]
        exchanges, connections, coming = [], [], []
        for number, body in enumerate(bodies):
            connection, peer, _, _ = connected(VERSIONS[number % 2], [33], owner)
            connection.carry(REQUEST, exchange := Exchange(), 0)
            peer.turn()
            assert peer.tls.read(4096) == REQUEST
            peer.tls.write(answer(body))
            if number in ends:
                with contextlib.suppress(ssl.SSLError):
                    peer.tls.unwrap()
            data = bytearray(peer._outgoing.read()) + (AFTER_THE_END if number in ends else b"")
            if forged and forged[0] == number:
                data[min(forged[1], 700)] ^= 1
            exchanges.append(exchange)
            connections.append(connection)
            coming.append(bytes(data))
        for number, length in [*turns, *((number, 10_000) for number in range(3))]:
            connections[number].data_received(coming[number][:length])
            coming[number] = coming[number][length:]
            assert owner.pipes.incoming.pending == 0
            assert owner.pipes.outgoing.pending == 0
        for number, exchange in enumerate(exchanges):
            if forged is None or forged[0] != number:
                assert exchange.bodies == [bodies[number]]
            else:
                assert exchange.bodies == []

    asyncio.run(converse())


async def test_a_handshake_that_fails_leaves_nothing_to_the_next_connection() -> None:
    owner, context = Owner(), trusting()
    refused = SecureConnection(Endpoint("localhost", 443, context, own_host=True), owner, context)
    refused.connection_made(cast("asyncio.Transport", Wire()))
    refused.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9)
    with pytest.raises(TLSError, match="does not speak TLS"):
        await refused.secured()
    assert owner.pipes.incoming.pending == owner.pipes.outgoing.pending == 0
    connection, *_ = connected(ssl.TLSVersion.TLSv1_3, [10_000], owner)
    await connection.secured()


@pytest.mark.parametrize("cut", [1, 7, 10_000])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_body_without_a_length_ends_with_the_servers_end_of_tls(version: ssl.TLSVersion, cut: int) -> None:
    connection, peer, wire, _ = connected(version, [cut])
    exchange = Exchange()
    connection.carry(REQUEST, exchange, 0)
    peer.turn()
    peer.tls.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    with contextlib.suppress(ssl.SSLError):
        peer.tls.unwrap()
    peer.deliver()
    assert wire.closed
    connection.connection_lost(None)
    assert exchange.bodies == [b"all of it"]


async def test_bytes_that_were_changed_on_their_way_are_no_answer() -> None:
    connection, peer, wire, owner = connected(ssl.TLSVersion.TLSv1_3, [10_000])
    exchange = Exchange()
    connection.carry(REQUEST, exchange, 0)
    peer.turn()
    peer.tls.write(answer(b"true"))
    forged = bytearray(peer._outgoing.read())
    forged[-1] ^= 1
    connection.data_received(bytes(forged))
    assert wire.closed
    connection.connection_lost(None)
    (error,) = exchange.errors
    assert isinstance(error, LostError)
    assert "TLS failed before the answer was complete" in str(error)
    assert owner.freed == []


class Successive(Exchange):
    """An exchange after which the next begins at once, on the same connection if that is free."""

    def __init__(self, connection: SecureConnection, owner: Owner) -> None:
        super().__init__()
        self._connection = connection
        self._owner = owner
        self.next = Exchange()

    def answered(self, parser: AnswerParser) -> None:
        super().answered(parser)
        if self._owner.freed:
            self._connection.carry(REQUEST, self.next, 0)


async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    connection, peer, wire, owner = connected(ssl.TLSVersion.TLSv1_3, [10_000])
    exchange = Successive(connection, owner)
    connection.carry(REQUEST, exchange, 0)
    peer.turn()
    for body in (b"true", b"forged"):
        peer.tls.write(answer(body))
    peer.deliver()
    assert exchange.bodies == [b"true"]
    assert exchange.next.bodies == []
    assert owner.freed == []
    assert wire.closed


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run
    asyncio.set_event_loop(None)


@pytest.mark.parametrize("version", VERSIONS)
def test_large_bodies_go_both_ways(run: Callable[..., Any], version: ssl.TLSVersion) -> None:
    size = 3_000_001

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(0.05)  # the client's socket fills up meanwhile
                writer.write(answer(await reader.readexactly(size)))
        writer.close()

    async def there_and_back() -> None:
        body = bytes(range(256)) * (size // 256 + 1)
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(version)) as server:
            transport = Transport(tls=trusting())
            async with httpx.AsyncClient(transport=transport) as client:
                for _ in range(2):
                    came = await client.post(f"https://localhost:{server.sockets[0].getsockname()[1]}/", content=body[:size])
                    assert came.content == body[:size]
                assert transport.opened_total == 1

    run(there_and_back())


@contextlib.asynccontextmanager
async def openssl_server(*more: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """`openssl s_server`: shows what comes and sends what it is given. `R` and `r` have it negotiate anew, `k` and `K` renew its keys."""
    options = ("-cert", TLS / "cert.pem", "-key", TLS / "key.pem", "-accept", "127.0.0.1:0", *more)
    process = await asyncio.create_subprocess_exec(
        "openssl",
        "s_server",
        *map(str, options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    try:
        line = b""
        while not line.startswith(b"ACCEPT"):
            line = await asyncio.wait_for(process.stdout.readline(), 5)
        yield int(line.rpartition(b":")[2]), process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass
class Talk:
    """A client's requests to `openssl s_server`, which are answered by what it is given."""

    port: int
    process: asyncio.subprocess.Process
    transport: Transport = field(default_factory=lambda: Transport(tls=trusting()))

    async def asked(self) -> asyncio.Future[Answer]:
        """A request that has arrived."""
        came = asyncio.ensure_future(self.transport.get(f"https://localhost:{self.port}/", 5))
        assert self.process.stdout
        await asyncio.wait_for(self.process.stdout.readuntil(b"Accept-Encoding: identity"), 5)
        return came

    async def give(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        await self.process.stdin.drain()


@contextlib.asynccontextmanager
async def talking(*options: str) -> AsyncIterator[Talk]:
    async with openssl_server(*options) as (port, process):
        talk = Talk(port, process)
        yield talk
        assert talk.transport.opened_total == 1
        await talk.transport.aclose()


@pytest.mark.parametrize(("version", "command"), [("-tls1_2", b"R\n"), ("-tls1_2", b"r\n"), ("-tls1_3", b"K\n"), ("-tls1_3", b"k\n")])
async def test_a_server_may_negotiate_anew_at_any_time(version: str, command: bytes) -> None:
    async with talking(version) as talk:
        for number in range(3):
            came = await talk.asked()
            for data in (command, answer(b"%d" % number)):
                await talk.give(data)
                await asyncio.sleep(0.1)
            assert (await came).body == b"%d" % number


async def test_a_request_waits_while_the_server_negotiates_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    flush = SecureConnection._flush
    began = asyncio.Event()

    def flush_and_tell(connection: SecureConnection) -> None:
        if connection._outgoing.pending:
            began.set()
        flush(connection)

    monkeypatch.setattr(SecureConnection, "_flush", flush_and_tell)
    async with talking("-tls1_2") as talk:
        for number in range(3):
            came = await talk.asked()
            await talk.give(answer(b"%d" % number))
            assert (await came).body == b"%d" % number
            began.clear()
            await talk.give(b"R\n")
            await asyncio.wait_for(began.wait(), 5)  # we have begun too, and the server has not answered yet


async def test_a_server_that_wants_a_certificate_says_so() -> None:
    """With TLS 1.3 it does so after the handshake, in place of an answer."""
    async with openssl_server("-tls1_3", "-Verify", "1") as (port, _):
        transport = Transport(tls=trusting())
        with pytest.raises(CertificateWantedError, match="certificate required"):
            await transport.get(f"https://localhost:{port}/", 5)
        await transport.aclose()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("-tls1_2", "-Verify", "1"), CertificateWantedError),
        (("-tls1_2", "-cipher", "AES256-SHA"), AlertError),
        (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), AlertError),
    ],
)
async def test_an_alert_in_the_handshake_tells_a_wanted_certificate_from_other_refusals(
    options: tuple[str, ...], kind: type[TLSError]
) -> None:
    async with openssl_server(*options) as (port, _):
        transport = Transport(tls=trusting())
        with pytest.raises(TLSError) as raised:
            await transport.get(f"https://localhost:{port}/", 5)
        await transport.aclose()
    assert type(raised.value) is kind


async def test_a_request_may_take_any_certificate_and_all_others_do_not() -> None:
    async with openssl_server("-tls1_3", "-www") as (port, _):
        transport = Transport()
        url = f"https://localhost:{port}/"
        for verified, outcome in ((True, UntrustedError), (False, Answer), (True, UntrustedError)):
            came: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            transport.start(transport.ask(url, own_host=True, verified=verified), 5, came.set_result)
            assert type(await came) is outcome
        await transport.aclose()
