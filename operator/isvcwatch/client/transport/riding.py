"""Carries an httpx client's requests on our connections, with httpx's timeouts and errors."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from isvcwatch.client.transport import errors
from isvcwatch.client.transport.asks import DEFAULT_PORTS
from isvcwatch.client.transport.errors import Phase, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.client.transport.asks import Endpoint
    from isvcwatch.client.transport.connection import Connection
    from isvcwatch.client.transport.parser import AnswerParser
    from isvcwatch.client.transport.transport import Transport

BODY_LIMIT: Final = "isvcwatch.body_limit"
"""The name of a request's extension that limits the answer's body: it is cut after so many bytes, and the rest is not read."""

IDLE: Final = 4.0
"""The most seconds that a kept connection has been idle when a request is sent on it that can't be sent again. Servers close idle ones:
uvicorn after 5 s, KServe's ModelServer after 65."""

LONGEST: Final = 3600.0
"""The most seconds that a connection may take to be made where nothing limits it."""

REPEATABLE: Final = frozenset({"GET", "HEAD"})
"""Methods that are sent again if a kept connection turns out to be closed; other methods may already have been carried out."""


class Limits(NamedTuple):
    """The limits of a request's phases in seconds, as in `httpx.Timeout`, and of the whole; infinite where there is none.

    Attributes:
        connect: for a connection to be made.
        read: for more of the answer to come.
        write: for more of the request to leave.
        pool: for a turn.
        ends: the time on the loop's clock when the whole must be over: a server that sends a byte a second keeps to every other limit.
    """

    connect: float = math.inf
    read: float = math.inf
    write: float = math.inf
    pool: float = math.inf
    ends: float = math.inf

    @classmethod
    def of(cls, phases: Mapping[str, float | None]) -> Limits:
        """The limits of a request's `timeout` extension."""
        return cls(**{phase: seconds for phase, seconds in phases.items() if seconds is not None})

    def each(self, seconds: float) -> Limits:
        """The same with one limit for each of the phases."""
        return Limits(seconds, seconds, seconds, seconds, self.ends)

    def phases(self) -> httpx.Timeout:
        """The limits of the phases for httpx."""
        connect, read, write, pool = (None if seconds == math.inf else seconds for seconds in self[:4])
        return httpx.Timeout(connect=connect, read=read, write=write, pool=pool)


class Came(NamedTuple):
    """An answer as it came.

    Attributes:
        status: the HTTP status code.
        headers: the names and values, in order.
        body: the body, or its beginning if it was cut.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Journey:
    """A prepared request of an httpx client, which may be sent more than once.

    Attributes:
        request: the httpx request that it was made from, which errors refer to.
        endpoint: the endpoint that it is sent to.
        payload: the request's bytes.
    """

    request: httpx.Request
    endpoint: Endpoint
    payload: bytes = field(repr=False)


class Ride:
    """One request's exchange on a connection."""

    __slots__ = ("_came", "_connection", "_ends", "_heard", "_loop", "_patience", "_timer")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Future[Came] = self._loop.create_future()
        self._heard = 0.0
        self._patience = self._ends = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """Some of the answer has come."""
        self._heard = self._loop.time()

    def answered(self, parser: AnswerParser) -> None:
        """The answer is complete."""
        self._connection.used = self._loop.time()
        if not self._came.done():
            self._came.set_result(Came(parser.status, parser.headers, bytes(parser.body)))

    def failed(self, error: WireError) -> None:
        """There will be no answer."""
        if not self._came.done():
            self._came.set_exception(error)

    async def came(self, patience: float, ends: float) -> Came:
        """Wait for the answer.

        Args:
            patience: the most seconds without any of it.
            ends: the time on the loop's clock when it must be complete.

        Raises:
            TimeoutError: it has not come in time.
            WireError: there is no answer.
        """
        self.heard()
        self._patience, self._ends = patience, ends
        self._watch()
        try:
            return await self._came
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None  # breaks a reference cycle that only the garbage collector could free

    def _watch(self) -> None:
        until = min(self._heard + self._patience, self._ends)
        if until == math.inf:
            return
        if until > self._loop.time():
            self._timer = self._loop.call_at(until, self._watch)
        elif not self._came.done():
            self._came.set_exception(TimeoutError())


def prepare(transport: Transport, request: httpx.Request, body: bytes = b"") -> Journey:
    """Prepare an httpx request.

    Args:
        transport: gives the TLS context for an https server.
        request: the request, whose body is given separately.
        body: the request's body.

    Raises:
        httpx.UnsupportedProtocol, httpx.LocalProtocolError: the request can't be sent.
    """
    return Journey(request, _endpoint(transport, request), _payload(request, body))


async def travel(transport: Transport, journey: Journey, limits: Limits, body_limit: int) -> Came:
    """Send a prepared request, and read its whole answer.

    Args:
        transport: gives the connections.
        journey: the request.
        limits: how long it may take.
        body_limit: bytes after which the answer's body is cut; 0 for no limit.

    Raises:
        httpx.TransportError: no answer came; the kind of error is that of httpx's own transport.
    """
    request = journey.request
    repeatable = request.method in REPEATABLE
    connection = _kept(transport, journey.endpoint, fresh=not repeatable)
    while True:
        kept = connection is not None
        if connection is None:
            connection = await _dial(transport, journey.endpoint, limits, request)
        trip = Ride(connection)
        connection.carry(journey.payload, trip, body_limit, cut=True, head_only=request.method == "HEAD")
        try:
            await _sent(connection, limits, request)
            return await trip.came(limits.read, limits.ends)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer within the read timeout", request=request) from error
        except WireError as error:
            if kept and not connection.heard and isinstance(error, errors.LostError) and repeatable:
                connection = None  # the server closed it before it saw the request
                continue
            raise _translated(error, request) from error
        finally:
            if connection is not None:
                connection.leave(trip)


async def ride(transport: Transport, request: httpx.Request) -> httpx.Response:
    """Send an httpx client's request, and read its whole answer.

    Raises:
        httpx.TransportError: no answer came; the kind of error is that of httpx's own transport.
    """
    journey = prepare(transport, request, await request.aread())
    limits = Limits.of(request.extensions.get("timeout") or {})
    came = await travel(transport, journey, limits, int(request.extensions.get(BODY_LIMIT, 0)))
    return httpx.Response(came.status, headers=came.headers, stream=httpx.ByteStream(came.body))


def _endpoint(transport: Transport, request: httpx.Request) -> Endpoint:
    url = request.url
    if url.scheme not in DEFAULT_PORTS:
        raise httpx.UnsupportedProtocol(f"Request URL has an unsupported protocol '{url.scheme}://'.", request=request)
    tls = transport.tls if url.scheme == "https" else None
    return transport.endpoints.get(url.raw_host.decode("ascii").strip("[]"), url.port or DEFAULT_PORTS[url.scheme], tls, own_host=True)


def _payload(request: httpx.Request, body: bytes) -> bytes:
    lines = [f"{request.method} ".encode() + request.url.raw_path + b" HTTP/1.1"]
    chunked = False
    for name, value in request.headers.raw:
        if name.lower() == b"transfer-encoding":
            chunked = True  # the whole body is known, so its length is sent instead
            continue
        if b"\r" in value or b"\n" in value or b"\0" in value or b"\r" in name or b"\n" in name or b":" in name:
            raise httpx.LocalProtocolError("a header holds a line break or another character that it must not hold", request=request)
        lines.append(name + b": " + value)
    if chunked:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _kept(transport: Transport, endpoint: Endpoint, *, fresh: bool) -> Connection | None:
    """A kept connection to the endpoint; None if there is none.

    Args:
        transport: gives the connections.
        endpoint: the endpoint.
        fresh: whether the server must not have closed it, as far as can be known, since the request can't be sent again.
    """
    now = transport.loop.time()
    while (connection := transport.take(endpoint, now)) is not None:
        if not fresh or connection.is_fresh(now - IDLE):
            return connection
        connection.abort()
    return None


async def _dial(transport: Transport, endpoint: Endpoint, limits: Limits, request: httpx.Request) -> Connection:
    now = asyncio.get_running_loop().time()
    deadline = min(now + limits.connect, limits.ends, now + LONGEST)
    try:
        async with asyncio.timeout_at(deadline):
            return await transport.dial(endpoint, deadline, lambda _: None)
    except TimeoutError as error:
        raise httpx.ConnectTimeout("no connection within the connect timeout", request=request) from error
    except errors.TimedOutError as error:
        raise httpx.ConnectTimeout(str(error), request=request) from error
    except errors.TLSError as error:  # keeps OpenSSL's own words, since people search for them
        raise httpx.ConnectError(str(error.__cause__ or error), request=request) from error
    except WireError as error:
        raise httpx.ConnectError(str(error), request=request) from error


async def _sent(connection: Connection, limits: Limits, request: httpx.Request) -> None:
    """Wait until the request is sent; raise an error if none of it leaves for as long as the limit is."""
    left = connection.unsent
    while left:
        now = asyncio.get_running_loop().time()
        deadline = min(now + limits.write, limits.ends)
        try:
            async with asyncio.timeout_at(None if deadline == math.inf else deadline):
                await connection.drained()
        except TimeoutError as error:
            if connection.unsent >= left or deadline == limits.ends:
                raise httpx.WriteTimeout("the request could not be sent within the write timeout", request=request) from error
            left = connection.unsent
        else:
            return


def _translated(error: WireError, request: httpx.Request) -> httpx.TransportError:
    if error.phase is not Phase.ANSWER:
        return httpx.ConnectError(str(error), request=request)
    if isinstance(error, (errors.LostError, errors.CertificateWantedError)):
        kind = httpx.ReadError if isinstance(error.__cause__, OSError) else httpx.RemoteProtocolError
        return kind(str(error), request=request)
    return httpx.RemoteProtocolError(str(error), request=request)
