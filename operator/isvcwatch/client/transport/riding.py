"""An httpx client's requests on our connections: httpx's timeouts, and its errors."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from isvcwatch.client.transport import errors
from isvcwatch.client.transport.asks import DEFAULT_PORTS, Endpoint
from isvcwatch.client.transport.errors import Phase, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.client.transport.connection import Connection
    from isvcwatch.client.transport.parser import AnswerParser
    from isvcwatch.client.transport.transport import Transport

BODY_LIMIT: Final = "isvcwatch.body_limit"
"""A request's extension: bytes of the answer's body after which it is cut, and the rest left on the wire."""

REPEATABLE: Final = frozenset({"GET", "HEAD"})
"""Methods that are sent again where a kept connection turned out to be closed; others may have been carried out."""


class Came(NamedTuple):
    """An answer as it came.

    Attributes:
        status: the HTTP status code.
        headers: names and values, in order.
        body: the body, or its beginning where it was cut.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Journey:
    """A request made ready for the wire; it may be sent more than once.

    Attributes:
        request: what it was made from, for errors to name.
        endpoint: where it is sent.
        payload: its bytes.
    """

    request: httpx.Request
    endpoint: Endpoint
    payload: bytes = field(repr=False)


class Ride:
    """One request's exchange on a connection."""

    __slots__ = ("_came", "_heard", "_loop", "_patience", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Future[Came] = self._loop.create_future()
        self._heard = self._patience = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """Some of the answer has come."""
        self._heard = self._loop.time()

    def answered(self, parser: AnswerParser) -> None:
        """The answer is complete."""
        if not self._came.done():
            self._came.set_result(Came(parser.status, parser.headers, bytes(parser.body)))

    def failed(self, error: WireError) -> None:
        """There will be no answer."""
        if not self._came.done():
            self._came.set_exception(error)

    async def came(self, patience: float | None) -> Came:
        """The answer, for as long as no more than `patience` seconds pass without any of it.

        Raises:
            TimeoutError: they have passed.
            WireError: there is no answer.
        """
        if patience is None:
            return await self._came
        self.heard()
        self._patience = patience
        self._watch()
        try:
            return await self._came
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None  # it refers to us: a ring that only the collector could free

    def _watch(self) -> None:
        left = self._heard + self._patience - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        elif not self._came.done():
            self._came.set_exception(TimeoutError())


def prepare(transport: Transport, request: httpx.Request, body: bytes = b"") -> Journey:
    """An httpx request, made ready for the wire.

    Args:
        transport: by whose certificates an https server is checked.
        request: without the body.
        body: its body.

    Raises:
        httpx.UnsupportedProtocol, httpx.LocalProtocolError: it can't be sent.
    """
    return Journey(request, _endpoint(transport, request), _payload(request, body))


async def travel(transport: Transport, journey: Journey, limits: Mapping[str, float | None], body_limit: int) -> Came:
    """The answer to a request, read whole.

    Args:
        transport: whose connections to go by.
        journey: the request.
        limits: seconds by phase, as in httpx's `timeout` extension.
        body_limit: bytes after which the body is cut; 0 for none.

    Raises:
        httpx.TransportError: there is none; of the kind that httpx's own transport raises.
    """
    request = journey.request
    connection = transport.take(journey.endpoint)
    while True:
        kept = connection is not None
        if connection is None:
            connection = await _dial(transport, journey.endpoint, limits.get("connect"), request)
        trip = Ride()
        connection.carry(journey.payload, trip, body_limit, cut=True, head_only=request.method == "HEAD")
        try:
            await _sent(connection, limits.get("write"), request)
            return await trip.came(limits.get("read"))
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer within the read timeout", request=request) from error
        except WireError as error:
            if kept and not connection.heard and isinstance(error, errors.LostError) and request.method in REPEATABLE:
                connection = None  # closed by the server before it saw the request
                continue
            raise _translated(error, request) from error
        finally:
            if connection is not None:
                connection.leave(trip)


async def ride(transport: Transport, request: httpx.Request) -> httpx.Response:
    """The answer to an httpx client's request, read whole.

    Raises:
        httpx.TransportError: there is none; of the kind that httpx's own transport raises.
    """
    journey = prepare(transport, request, await request.aread())
    came = await travel(transport, journey, request.extensions.get("timeout") or {}, int(request.extensions.get(BODY_LIMIT, 0)))
    return httpx.Response(came.status, headers=came.headers, stream=httpx.ByteStream(came.body))


def _endpoint(transport: Transport, request: httpx.Request) -> Endpoint:
    url = request.url
    if url.scheme not in DEFAULT_PORTS:
        raise httpx.UnsupportedProtocol(f"Request URL has an unsupported protocol '{url.scheme}://'.", request=request)
    tls = transport.tls if url.scheme == "https" else None
    return Endpoint(url.raw_host.decode("ascii").strip("[]"), url.port or DEFAULT_PORTS[url.scheme], tls, own_host=True)


def _payload(request: httpx.Request, body: bytes) -> bytes:
    lines = [f"{request.method} ".encode() + request.url.raw_path + b" HTTP/1.1"]
    chunked = False
    for name, value in request.headers.raw:
        if name.lower() == b"transfer-encoding":
            chunked = True  # the body is at hand: its length is told instead
            continue
        if b"\r" in value or b"\n" in value or b"\0" in value or b"\r" in name or b"\n" in name or b":" in name:
            raise httpx.LocalProtocolError("a header holds a line break or another character that it must not hold", request=request)
        lines.append(name + b": " + value)
    if chunked:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def _dial(transport: Transport, endpoint: Endpoint, limit: float | None, request: httpx.Request) -> Connection:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (limit if limit is not None else 3600.0)
    try:
        async with asyncio.timeout(limit):
            return await transport.dial(endpoint, deadline, lambda _: None)
    except TimeoutError as error:
        raise httpx.ConnectTimeout("no connection within the connect timeout", request=request) from error
    except errors.TimedOutError as error:
        raise httpx.ConnectTimeout(str(error), request=request) from error
    except errors.TLSError as error:  # in OpenSSL's own words, as people search for them
        raise httpx.ConnectError(str(error.__cause__ or error), request=request) from error
    except WireError as error:
        raise httpx.ConnectError(str(error), request=request) from error


async def _sent(connection: Connection, limit: float | None, request: httpx.Request) -> None:
    """Wait for as long as the request is on its way, and some of it leaves within each `limit` seconds."""
    left = connection.unsent
    while left:
        try:
            async with asyncio.timeout(limit):
                await connection.drained()
        except TimeoutError as error:
            if connection.unsent >= left:
                raise httpx.WriteTimeout("the request could not be sent within the write timeout", request=request) from error
            left = connection.unsent
        else:
            return


def _translated(error: WireError, request: httpx.Request) -> httpx.TransportError:
    if error.phase is not Phase.ANSWER:
        return httpx.ConnectError(str(error), request=request)
    if isinstance(error, errors.LostError):
        kind = httpx.ReadError if isinstance(error.__cause__, OSError) else httpx.RemoteProtocolError
        return kind(str(error), request=request)
    return httpx.RemoteProtocolError(str(error), request=request)
