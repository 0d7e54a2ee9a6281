"""One HTTP request to a model server: to a permitted address only, in bounded time and memory, never following a redirect."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpcore

from isvcwatch.client.protocols import Answer
from isvcwatch.core.conditions import one_line
from isvcwatch.core.reasons import Reason
from isvcwatch.probing.failures import NO_SUCH_NAME, ProbeError, translate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from isvcwatch.probing.addresses import AddressPolicy

BODY_LIMIT: Final = 64 * 1024
"""Bytes; an answer about health has some hundred."""

USER_AGENT: Final = b"isvcwatch"

_own_host: ContextVar[bool] = ContextVar("own_host", default=False)
"""Whether the host being connected to is the object's own; httpcore's connections have no place for it."""

_opened: ContextVar[list[httpcore.AsyncNetworkStream]] = ContextVar("opened")
"""What was connected for a request: httpcore does not close it where the deadline falls into the TLS handshake."""


class Transport:
    """Asks by GET, each time on a connection of its own, so that a Service's replicas are all seen over time."""

    def __init__(self, policy: AddressPolicy, *, verify: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify or ssl.create_default_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=_GuardedBackend(policy),
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._pool.aclose()

    async def get(self, url: str, timeout: float, *, own_host: bool) -> Answer:  # noqa: ASYNC109 -- one deadline for all of it
        """The answer of a URL.

        Args:
            url: without credentials.
            timeout: seconds for name, connection, TLS and answer together.
            own_host: whether the host is a Service in the object's own namespace.

        Raises:
            ProbeError: there was no answer, and why.
        """
        _own_host.set(own_host)
        opened: list[httpcore.AsyncNetworkStream] = []
        _opened.set(opened)
        try:
            async with asyncio.timeout(timeout):
                return await self._get(url)
        except (OSError, ssl.SSLError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ProbeError) as error:
            raise translate(error, url) from error
        finally:
            for stream in opened:
                await stream.aclose()

    async def _get(self, url: str) -> Answer:
        if not url.isascii():
            raise ProbeError(
                Reason.NAME_NOT_FOUND, f"the host of {one_line(url, 128)} is not a name that can be looked up: write it in ASCII"
            )
        target = httpcore.URL(url)
        headers = [(b"Host", urlsplit(url).netloc.encode()), (b"User-Agent", USER_AGENT), (b"Accept", b"*/*"), (b"Connection", b"close")]
        async with self._pool.stream("GET", target, headers=headers) as response:
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise ProbeError(Reason.INVALID_ANSWER, f"the answer of {url} is longer than {BODY_LIMIT // 1024} KiB")
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, bytes(body), names)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves names itself, and connects to those of the addresses that are permitted, in turn."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's seam
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first permitted address that takes the connection."""
        failure: Exception | None = None
        for address in self._permitted(host, await _resolve(host, port)):
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.NetworkError as error:
                failure = failure or error
            else:
                _opened.get().append(stream)
                return stream
        raise failure or ProbeError(Reason.NAME_NOT_FOUND, f"the name {host} has no address")

    async def sleep(self, seconds: float) -> None:
        """Sleep, for httpcore's own retries."""
        await self._inner.sleep(seconds)

    def _permitted(self, host: str, addresses: list[str]) -> list[str]:
        own_host = _own_host.get()
        objections = {address: self._policy.objection(address, own_host=own_host) for address in addresses}
        if objections and all(objections.values()):
            why = next(iter(objections.values()))
            raise ProbeError(
                Reason.TARGET_REFUSED,
                f"{host} was not asked: {why}; where that is meant to be, start isvcwatch with --allow-cidr for its range",
            )
        return [address for address, objection in objections.items() if not objection]


async def _resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the resolver's order, each once."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in NO_SUCH_NAME:
            raise ProbeError(Reason.NAME_NOT_FOUND, f"the name {host} does not exist") from error
        raise ProbeError(Reason.RESOLVER_FAILED, f"the name {host} could not be looked up: {error.strerror}") from error
    except (UnicodeError, ValueError) as error:
        raise ProbeError(Reason.NAME_NOT_FOUND, f"{host} is not a name that can be looked up") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
