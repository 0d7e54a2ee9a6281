"""A connection that is lost before any answer is no crash until TLS is ruled out: servers on loopback that speak TLS, ask for a client
certificate, or do neither."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isvcwatch.client.transport import Transport
from isvcwatch.core.conditions import Status
from isvcwatch.probing.prober import Plan, Prober
from tests.unit.builders import hop, target
from tests.unit.probing.fakes import FakeMetrics
from tests.unit.probing.loopback import answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from isvcwatch.core.health import Finding, Round
    from isvcwatch.core.targets import Hop

CERTIFICATES = Path(__file__).parents[1] / "client" / "tls"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
READY = answering(b'{"name":"iris","ready":true}')
UNREADY = answering(b'{"error":"Model with name iris is not ready."}', "503 Service Unavailable")
NOTHING = b""
"""In place of an answer: the connection is reset."""

GO = answering(b"Client sent an HTTP request to an HTTPS server.\n", "400 Bad Request")
NGINX = answering(
    b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
    "400 Bad Request",
    Content_Type="text/html",
)
HANDSHAKE = b"\x16"
"""The first byte of a TLS handshake."""


def server_context(version: ssl.TLSVersion | None = None, *, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATES / "cert.pem")
    return context


@dataclass
class Port:
    """A port that answers plain HTTP and TLS differently. Its threads use OpenSSL on the socket, so that alerts are sent as usual.

    Attributes:
        plain: the answer to plain HTTP.
        tls: what speaks TLS; None for nothing.
        inside: the answer by TLS.
        by_tls: how many TLS handshakes were begun.
    """

    plain: bytes
    tls: ssl.SSLContext | None = None
    inside: bytes = READY
    by_tls: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __post_init__(self) -> None:
        self.netloc = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.settimeout(5)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            is_tls = connection.recv(1, socket.MSG_PEEK) == HANDSHAKE
            self.by_tls += is_tls
            if is_tls and self.tls is not None:
                with self.tls.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(self.inside)
                return
            if self.plain and not is_tls:
                connection.recv(4096)
                connection.sendall(self.plain)
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def port(plain: bytes, tls: ssl.SSLContext | None = None, inside: bytes = READY) -> Iterator[Port]:
    server = Port(plain, tls, inside)
    thread = threading.Thread(target=server.accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(5)


class Stage:
    """A prober on real sockets, and one target."""

    def __init__(self, transport: Transport, what: Hop) -> None:
        self.transport = transport
        self.metrics = FakeMetrics()
        self.prober = Prober(transport, self.metrics)
        self.plan: Plan = self.prober.plan(target(hops=[what], timeout=2.0))

    async def round(self) -> Round:
        came: asyncio.Future[Round | None] = asyncio.get_running_loop().create_future()
        self.prober.start(self.plan, came.set_result)
        found = await came
        assert found is not None
        return found

    async def model(self) -> Finding:
        return (await self.round()).model_ready


@contextlib.asynccontextmanager
async def watching(what: Hop, tls: ssl.SSLContext | None = None) -> AsyncIterator[Stage]:
    transport = Transport(tls=tls)
    yield Stage(transport, what)
    await transport.aclose()


def told(found: Finding | None) -> tuple[Status, str]:
    assert found is not None
    return found.status, found.reason


@pytest.mark.parametrize("plain", [NOTHING, GO, NGINX], ids=["reset", "go", "nginx"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_port_that_wants_a_client_certificate_is_a_meshs_and_accuses_no_part_of_the_service(
    version: ssl.TLSVersion, plain: bytes
) -> None:
    with port(plain, server_context(version, mutual=True)) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            found = await stage.round()
            each = [told(found.server_live), told(found.server_ready), told(found.model_ready)]
            assert each == [(Status.UNKNOWN, "MeshTLS")] * 3
            assert "let plain HTTP through" in found.model_ready.message
            assert await stage.round() == found
            assert server.by_tls == 2, "it is looked at once, with the usual trust and without"


async def test_a_mesh_that_lets_plain_connections_through_again_is_asked_plainly() -> None:
    with port(NOTHING, server_context(mutual=True)) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            assert told(await stage.model()) == (Status.UNKNOWN, "MeshTLS")
            server.plain = READY
            assert told(await stage.model()) == (Status.TRUE, "ModelReady")


@pytest.mark.parametrize("plain", [NOTHING, GO, NGINX], ids=["reset", "go", "nginx"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_port_that_speaks_tls_alone_is_asked_so_and_an_unknown_authority_is_told(version: ssl.TLSVersion, plain: bytes) -> None:
    with port(plain, server_context(version)) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            found = await stage.model()
            assert told(found) == (Status.TRUE, "ModelReady")
            assert f"asked at https://{server.netloc}, since the port speaks TLS; its certificate is not verified" in found.message
            before = stage.metrics.inquiries
            assert await stage.model() == found
            assert stage.metrics.inquiries == before


async def test_what_such_a_server_says_counts() -> None:
    with port(NOTHING, server_context(), UNREADY) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            found = await stage.model()
    assert told(found) == (Status.FALSE, "ModelNotReady")
    assert "its certificate is not verified" in found.message


async def test_a_certificate_that_is_trusted_is_verified() -> None:
    trusting = ssl.create_default_context(cafile=str(CERTIFICATES / "cert.pem"))
    with port(NOTHING, server_context()) as server:
        async with watching(hop(f"http://{server.netloc.replace('127.0.0.1', 'localhost')}"), trusting) as stage:
            found = await stage.model()
    assert told(found) == (Status.TRUE, "ModelReady")
    assert "since the port speaks TLS" in found.message
    assert "not verified" not in found.message


async def test_a_server_that_resets_tls_as_well_is_accused() -> None:
    with port(NOTHING) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            assert told(await stage.model()) == (Status.FALSE, "ConnectionLost")
            assert server.by_tls == 1


async def test_a_port_that_wants_tls_and_speaks_none_is_unknown() -> None:
    with port(GO) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            found = await stage.model()
    assert told(found) == (Status.UNKNOWN, "TLSRequired")
    assert "it takes HTTPS alone" in found.message


async def test_a_server_that_refuses_the_handshake_speaks_tls_and_is_not_accused() -> None:
    context = server_context(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES256-SHA")
    with port(NOTHING, context) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            assert told(await stage.model()) == (Status.UNKNOWN, "TLSFailed")


async def test_a_port_that_turns_plain_again_is_asked_plainly_again() -> None:
    with port(NOTHING, server_context()) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            assert told(await stage.model()) == (Status.TRUE, "ModelReady")
            server.tls, server.plain = None, READY
            stage.plan.ladders[0]._looked_at -= 60.0
            found = await stage.model()
    assert told(found) == (Status.TRUE, "ModelReady")
    assert f"asked at http://{server.netloc}" in found.message


async def test_an_https_address_of_kserves_own_is_never_asked_unverified() -> None:
    with port(NOTHING, server_context()) as server:
        async with watching(hop(f"https://{server.netloc}")) as stage:
            assert told(await stage.model()) == (Status.UNKNOWN, "TLSFailed")


async def test_https_that_the_container_speaks_of_may_go_unverified() -> None:
    with port(NOTHING, server_context()) as server:
        async with watching(replace(hop(f"https://{server.netloc}"), tls_by_spec=True)) as stage:
            found = await stage.model()
    assert told(found) == (Status.TRUE, "ModelReady")
    assert "its certificate is not verified" in found.message


async def test_a_healthy_model_over_plain_http_is_never_asked_by_tls() -> None:
    with port(READY, server_context()) as server:
        async with watching(hop(f"http://{server.netloc}")) as stage:
            for _ in range(3):
                assert told(await stage.model()) == (Status.TRUE, "ModelReady")
            assert (server.by_tls, stage.metrics.inquiries) == (0, 0)


async def test_a_plain_answer_that_wants_https_is_none_where_tls_fails() -> None:
    with port(GO) as server:
        there = replace(hop(f"https://{server.netloc}"), tls_by_spec=True, other_urls=(f"http://{server.netloc}",))
        async with watching(there) as stage:
            found = await stage.model()
    assert told(found) == (Status.FALSE, "ConnectionLost")
    assert f"https://{server.netloc}" in found.message
