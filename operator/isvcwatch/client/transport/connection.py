"""A connection that carries one exchange at a time, and costs next to nothing while it waits for the next."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol, cast

from isvcwatch.client.transport.errors import LostError, WireError
from isvcwatch.client.transport.parser import LINE_ENDS, AnswerParser

if TYPE_CHECKING:
    from isvcwatch.client.transport.asks import Endpoint


class Carried(Protocol):
    """What a connection carries."""

    def heard(self) -> None:
        """Something has come."""

    def answered(self, parser: AnswerParser) -> None:
        """The answer is complete."""

    def failed(self, error: WireError) -> None:
        """There will be no answer."""


class Owner(Protocol):
    """Who keeps connections that are free."""

    def free(self, connection: Connection) -> None:
        """The connection can carry another exchange."""

    def closed(self, connection: Connection) -> None:
        """The connection is no more."""


class Connection(asyncio.Protocol):
    """One connection to an endpoint.

    Attributes:
        endpoint: where to.
        expires: when it is to be renewed, in the loop's time.
        used: exchanges that it has carried.
        since: since when it has been free, in the loop's time.
        heard: whether anything has come for the exchange under way.
    """

    __slots__ = ("_blocked", "_carried", "_owner", "_parser", "_tcp", "_wire", "endpoint", "expires", "heard", "open", "since", "used")

    def __init__(self, endpoint: Endpoint, owner: Owner) -> None:
        self.endpoint = endpoint
        self.expires = self.since = 0.0
        self.used = 0
        self.heard = self.open = False
        self._owner = owner
        self._carried: Carried | None = None
        self._parser = AnswerParser()
        self._tcp: asyncio.BaseTransport | None = None
        self._wire: asyncio.Transport | None = None
        self._blocked: asyncio.Future[None] | None = None

    def ready(self, wire: asyncio.Transport) -> None:
        """The connection is made, and speaks by this wire: with TLS another than the first one."""
        self._wire = wire
        self.open = True

    @property
    def usable(self) -> bool:
        """Whether it can carry an exchange."""
        return self.open and self._wire is not None and not self._wire.is_closing()

    def carry(self, payload: bytes, carried: Carried, body_limit: int, *, cut: bool = False, head_only: bool = False) -> None:
        """Send a request, and tell of what comes back."""
        assert self._wire is not None  # noqa: S101 -- usable was asked before
        self._carried = carried
        self.used += 1
        self.heard = False
        self._parser.reset(body_limit, cut=cut, head_only=head_only)
        self._wire.write(payload)

    @property
    def unsent(self) -> int:
        """Bytes of requests that wait while the server takes no more; 0 while it does."""
        return self._wire.get_write_buffer_size() if self._blocked is not None and self._wire is not None else 0

    async def drained(self) -> None:
        """Return once the server takes more again, or the connection has ended."""
        if self._blocked is not None:
            await asyncio.shield(self._blocked)

    def leave(self, carried: Carried) -> None:
        """Close it if it still carries this: nobody waits for the answer any more."""
        if self._carried is carried:
            self.abort()

    def abort(self) -> None:
        """Close at once; nothing is told to what it carries."""
        self._carried = None
        if self._wire is not None:
            self._wire.abort()

    def abandon(self) -> None:
        """Close it although its event loop is closed; nothing is told to anybody."""
        self.open = False
        self._carried = None
        # asyncio closes the socket in its loop's next turn, and there will be none. uvloop has closed it with the loop.
        lost = getattr(self._tcp, "_call_connection_lost", None)
        if lost is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.abort()
            with contextlib.suppress(RuntimeError):
                lost(None)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is there."""
        self._tcp = transport
        self._wire = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Some of the answer, or what nobody asked for."""
        carried = self._carried
        if carried is None:
            if data.strip(LINE_ENDS):
                self.abort()
            return
        self.heard = True
        try:
            done = self._parser.feed(data)
        except WireError as error:
            self.abort()
            carried.failed(error)
            return
        if done:
            self._answered(carried)
        else:
            carried.heard()

    def pause_writing(self) -> None:
        """The server takes no more for now."""
        self._blocked = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The server takes more again."""
        blocked, self._blocked = self._blocked, None
        if blocked is not None and not blocked.done():
            blocked.set_result(None)

    def eof_received(self) -> None:
        """The server has ended: close as well, and say so in `connection_lost`."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, in the middle of an exchange or between two."""
        self.resume_writing()
        if self.open:
            self.open = False
            self._owner.closed(self)
        carried, self._carried = self._carried, None
        if carried is not None:
            self._end(carried, exc)
        self._parser.release()

    def _end(self, carried: Carried, exc: Exception | None) -> None:
        try:
            if exc is not None:
                raise LostError("the connection was reset before the answer was complete") from exc
            self._parser.end()
        except WireError as error:
            carried.failed(error)
        else:
            carried.answered(self._parser)

    def _answered(self, carried: Carried) -> None:
        self._carried = None
        if self._parser.keep:
            self._owner.free(self)
        else:
            self.abort()
        carried.answered(self._parser)
