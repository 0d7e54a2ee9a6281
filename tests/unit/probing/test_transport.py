"""One request to a server of any kind, on loopback: an answer or a named cause, within the deadline."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import httpcore
import pytest

from isvcwatch.core.reasons import Reason
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.failures import ProbeError, translate
from isvcwatch.probing.transport import BODY_LIMIT, Transport
from tests.unit.probing.loopback import Loopback, Then, answering, has_ipv6_loopback, loopback, unused_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from isvcwatch.client.protocols import Answer

LOOPBACK = AddressPolicy([ip_network("127.0.0.0/8"), ip_network("::1/128")])
TLS_FILES = Path(__file__).parents[1] / "client" / "tls"
TRUSTING_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: to read the system's authorities takes longer than a test."""


@asynccontextmanager
async def transport(policy: AddressPolicy = LOOPBACK) -> AsyncIterator[Transport]:
    made = Transport(policy, verify=TRUSTING_NOBODY)
    try:
        yield made
    finally:
        await made.aclose()


async def get(url: str, timeout: float = 2.0, policy: AddressPolicy = LOOPBACK, *, own_host: bool = True) -> Answer:  # noqa: ASYNC109
    async with transport(policy) as made:
        return await made.get(url, timeout, own_host=own_host)


async def failure(url: str, timeout: float = 2.0, policy: AddressPolicy = LOOPBACK, *, own_host: bool = True) -> ProbeError:  # noqa: ASYNC109
    with pytest.raises(ProbeError) as failed:
        await get(url, timeout, policy, own_host=own_host)
    assert failed.value.message.isprintable()
    assert len(failed.value.message) < 600
    return failed.value


class TestAnswers:
    async def test_status_headers_and_body_are_as_they_came(self) -> None:
        async with loopback(answering(b"words", "503 Service Unavailable", Content_Type="text/plain")) as server:
            answer = await get(server.url + "/v2/models/m/ready?a=b")
        assert (answer.status, answer.body, answer.headers["content-type"]) == (503, b"words", "text/plain")

    async def test_the_request_is_plain_and_asks_for_no_second(self) -> None:
        async with loopback() as server:
            await get(f"{server.url}/a%2Fb?c=d")
            (request,) = server.requests
        lines = request.decode().split("\r\n")
        assert lines[0] == "GET /a%2Fb?c=d HTTP/1.1"
        assert f"Host: 127.0.0.1:{server.port}" in lines
        assert "User-Agent: isvcwatch" in lines
        assert "Connection: close" in lines

    @pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no IPv6 loopback")
    async def test_an_ipv6_address_stands_in_brackets(self) -> None:
        async with loopback(host="::1") as server, transport() as made:
            await made.get(f"http://[::1]:{server.port}/", 1.0, own_host=True)
            (request,) = server.requests
        assert f"Host: [::1]:{server.port}" in request.decode().split("\r\n")

    async def test_each_request_has_a_connection_of_its_own(self) -> None:
        async with loopback(then="hang") as server, transport() as made:
            for _ in range(3):
                await made.get(server.url, 2.0, own_host=True)
            assert server.connections == 3

    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
    async def test_a_redirect_is_an_answer_and_not_followed(self, status: str) -> None:
        async with loopback() as elsewhere, loopback(answering(b"", status, Location=elsewhere.url)) as server:
            answer = await get(server.url)
            assert answer.headers["location"] == elsewhere.url
            assert elsewhere.connections == 0

    @pytest.mark.parametrize("body", [b"", bytes(range(256)) * 16, b"x" * BODY_LIMIT])
    async def test_a_body_of_any_kind_is_read_up_to_the_bound(self, body: bytes) -> None:
        async with loopback(answering(body)) as server:
            assert (await get(server.url)).body == body

    async def test_a_body_in_chunks_or_without_a_length_is_read(self) -> None:
        async with loopback(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n") as server:
            assert (await get(server.url)).body == b"abc"
        async with loopback(b"HTTP/1.0 200 OK\r\n\r\nabc") as server:
            assert (await get(server.url)).body == b"abc"

    async def test_many_at_once_do_not_hold_up_each_other(self) -> None:
        async with loopback(b"", "hang") as hanging, loopback() as server, transport() as made:
            late = [asyncio.create_task(made.get(hanging.url, 0.2, own_host=True)) for _ in range(20)]
            answers = await asyncio.gather(*(made.get(server.url, 2.0, own_host=True) for _ in range(20)))
            assert {answer.status for answer in answers} == {200}
            assert {type(error) for error in await asyncio.gather(*late, return_exceptions=True)} == {ProbeError}


class TestFailures:
    async def test_a_port_that_nothing_listens_at(self) -> None:
        failed = await failure(f"http://127.0.0.1:{unused_port()}/x")
        assert failed.reason is Reason.CONNECTION_REFUSED
        assert failed.message.endswith("refused the connection: nothing listens there")

    @pytest.mark.parametrize(
        ("answer", "then", "reason"),
        [
            (b"", "close", Reason.CONNECTION_LOST),
            (b"", "reset", Reason.CONNECTION_LOST),
            (b"HTTP/1.1 200 OK\r\nContent-Len", "close", Reason.CONNECTION_LOST),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "close", Reason.CONNECTION_LOST),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "reset", Reason.CONNECTION_LOST),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "close", Reason.CONNECTION_LOST),
            (b"SSH-2.0-OpenSSH_9.7\r\n\r\n", "close", Reason.INVALID_ANSWER),
            (b"\x00\x01\x02\xff" * 100 + b"\r\n\r\n", "close", Reason.INVALID_ANSWER),
            (b"HTTP/1.1 abc OK\r\n\r\n", "close", Reason.INVALID_ANSWER),
            (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "close", Reason.INVALID_ANSWER),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "close", Reason.INVALID_ANSWER),
            (answering(b"x" * (BODY_LIMIT + 1)), "close", Reason.INVALID_ANSWER),
            (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000_000, "close", Reason.INVALID_ANSWER),
        ],
    )  # fmt: skip
    async def test_each_kind_of_no_answer_has_its_name(self, answer: bytes, then: Then, reason: Reason) -> None:
        async with loopback(answer, then) as server:
            assert (await failure(server.url)).reason is reason

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
    async def test_a_server_that_hangs_at_any_point_is_given_up_at_the_deadline(self, answer: bytes) -> None:
        async with loopback(answer, "hang") as server:
            began = asyncio.get_running_loop().time()
            failed = await failure(server.url, 0.05)
            took = asyncio.get_running_loop().time() - began
        assert failed.reason is Reason.TIMED_OUT
        assert failed.message == f"no answer from {server.url} within the timeout"
        assert 0.04 < took < 1.0

    async def test_a_server_that_never_shakes_hands_is_given_up_at_the_deadline(self) -> None:
        async with loopback(b"", "hang") as server:
            assert (await failure(f"https://127.0.0.1:{server.port}", 0.05)).reason is Reason.TIMED_OUT

    async def test_a_plain_port_speaks_no_tls(self) -> None:
        listening = await asyncio.start_server(_says_http, "127.0.0.1", 0)
        async with listening:
            failed = await failure(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        assert failed.reason is Reason.TLS_FAILED

    async def test_a_certificate_that_nobody_vouches_for(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS_FILES / "cert.pem", TLS_FILES / "key.pem")
        async with loopback(tls=context) as server:
            failed = await failure(f"https://127.0.0.1:{server.port}")
        assert failed.reason is Reason.TLS_FAILED
        assert "certificate" in failed.message

    async def test_to_be_cancelled_is_no_failure(self) -> None:
        async with loopback(b"", "hang") as server:
            task = asyncio.create_task(get(server.url, 30.0))
            await server.connected.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def _says_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(64)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()
    await writer.wait_closed()


class TestGuard:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"])  # noqa: S104
    @pytest.mark.parametrize("own_host", [True, False])
    async def test_an_address_that_may_not_be_connected_to_is_refused_whatever_its_name(self, host: str, own_host: bool) -> None:
        async with loopback() as server:
            failed = await failure(f"http://{host}:{server.port}", policy=AddressPolicy(), own_host=own_host)
            assert server.connections == 0
        assert failed.reason is Reason.TARGET_REFUSED
        assert "--allow-cidr" in failed.message

    async def test_another_host_is_refused_where_its_own_would_not_be(self) -> None:
        failed = await failure("http://10.0.0.1:1", policy=AddressPolicy(), own_host=False)
        assert failed.reason is Reason.TARGET_REFUSED
        assert "not a Service in the object's own namespace" in failed.message

    async def test_one_requests_right_is_not_anothers(self) -> None:
        async with transport(AddressPolicy()) as made:
            outcomes = await asyncio.gather(
                *(made.get("http://10.255.255.1:1", 0.05, own_host=own) for own in (True, False) * 5), return_exceptions=True
            )
        assert [isinstance(o, ProbeError) and o.reason is Reason.TARGET_REFUSED for o in outcomes] == [False, True] * 5

    async def test_a_name_that_resolves_to_what_is_allowed_is_asked(self) -> None:
        async with loopback() as server:
            assert (await get(f"http://localhost:{server.port}")).status == 200

    @pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b", "x" * 64, "x" * 300, "ä" * 64 + ".invalid", "bücher.invalid"])
    async def test_a_name_that_does_not_exist_is_no_crash(self, host: str) -> None:
        assert (await failure(f"http://{host}:80/x")).reason in {Reason.NAME_NOT_FOUND, Reason.RESOLVER_FAILED}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProbeError(Reason.TARGET_REFUSED, "no"), Reason.TARGET_REFUSED),
        (TimeoutError(), Reason.TIMED_OUT),
        (httpcore.ReadTimeout(), Reason.TIMED_OUT),
        (OSError(113, "No route to host"), Reason.UNREACHABLE),
        (OSError(101, "Network is unreachable"), Reason.UNREACHABLE),
        (ConnectionRefusedError(111, "refused"), Reason.CONNECTION_REFUSED),
        (ConnectionResetError(104, "reset"), Reason.CONNECTION_LOST),
        (httpcore.ReadError(), Reason.CONNECTION_LOST),
        (httpcore.RemoteProtocolError("Server disconnected without sending a response."), Reason.CONNECTION_LOST),
        (httpcore.RemoteProtocolError("illegal status line"), Reason.INVALID_ANSWER),
        (ssl.SSLError(1, "[SSL] handshake"), Reason.TLS_FAILED),
        (ssl.SSLCertVerificationError(1, "verify failed"), Reason.TLS_FAILED),
    ],
)
def test_each_error_of_the_transport_has_its_cause(error: Exception, reason: Reason) -> None:
    assert translate(error, "http://x").reason is reason


def test_the_systems_own_error_is_found_inside_the_transports() -> None:
    outer = httpcore.ConnectError("All connection attempts failed")
    outer.__cause__ = OSError("wrapped")
    outer.__cause__.__context__ = ConnectionRefusedError(111, "refused")
    assert translate(outer, "http://x").reason is Reason.CONNECTION_REFUSED


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = OSError("a"), OSError("b")
    first.__context__, second.__context__ = second, first
    assert translate(first, "http://x").reason is Reason.CONNECTION_LOST


def test_a_loopback_server_is_what_it_says() -> None:
    assert Loopback(b"", "close", port=1).url == "http://127.0.0.1:1"
    assert socket.gethostbyname("localhost") == "127.0.0.1"
