"""A connection that carries one exchange at a time, and costs almost nothing between two exchanges."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol, cast

from isvcwatch.client.transport.errors import WireError, lost
from isvcwatch.client.transport.parser import LINE_ENDS

if TYPE_CHECKING:
    from isvcwatch.client.transport.asks import Endpoint
    from isvcwatch.client.transport.parser import AnswerParser, Parsers
    from isvcwatch.client.transport.secure import Pipes

NO_LINGER: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that has a close reset the connection."""


class Carried(Protocol):
    """An exchange on a connection, which is told of its progress."""

    def heard(self) -> None:
        """Some of the answer has come."""

    def answered(self, parser: AnswerParser) -> None:
        """The answer is complete."""

    def failed(self, error: WireError) -> None:
        """There will be no answer."""


class Owner(Protocol):
    """Keeps connections that are free."""

    resets: bool
    """Whether connections are closed by a reset."""

    parsers: Parsers
    """Parsers for the answers."""

    pipes: Pipes
    """Ways of the encrypted bytes of connections over TLS."""

    def free(self, connection: Connection) -> None:
        """Take a connection that can carry another exchange."""

    def closed(self, connection: Connection) -> None:
        """Take note that a connection has closed."""


class Connection(asyncio.Protocol):
    """One connection to an endpoint.

    Attributes:
        endpoint: the endpoint that it is connected to.
        expires: the time after which it is to be renewed, on the loop's clock.
        kept: whether it was kept for the exchange under way, after an earlier one.
        heard: whether anything has come for the exchange under way.
        free: whether it is free, and in the pool.
        swept: whether it was free already when free connections were last looked through.
        used: the time of its latest answer to the public client, on the loop's clock; 0 if it has given none.
    """

    __slots__ = (
        "_blocked",
        "_carried",
        "_owner",
        "_parser",
        "_wire",
        "endpoint",
        "expires",
        "free",
        "heard",
        "kept",
        "open",
        "swept",
        "used",
    )

    def __init__(self, endpoint: Endpoint, owner: Owner) -> None:
        self.endpoint = endpoint
        self.expires = self.used = 0.0
        self.kept = self.heard = self.free = self.swept = self.open = False
        self._owner = owner
        self._carried: Carried | None = None
        self._parser: AnswerParser | None = None
        self._wire: asyncio.Transport | None = None
        self._blocked: asyncio.Future[None] | None = None

    async def secured(self) -> None:
        """Wait until the connection is secure, which one without TLS is taken to be."""

    def ready(self) -> None:
        """Carry exchanges from now on."""
        self.open = True

    @property
    def usable(self) -> bool:
        """Whether the connection can carry an exchange."""
        return self.open and self._wire is not None and not self._wire.is_closing()

    def is_fresh(self, since: float) -> bool:
        """Whether the connection has given an answer since then, and nothing has come after it, not even its end.

        The event loop tells of an end only when it has its turn, which it has not while a program works between two requests.
        """
        if self.used < since or self._wire is None:
            return False
        return not _is_readable(self._wire.get_extra_info("socket").fileno())

    def carry(self, payload: bytes, carried: Carried, body_limit: int, *, cut: bool = False, head_only: bool = False) -> None:
        """Send a request, and tell `carried` of the answer."""
        self._carried = carried
        self.heard = False
        self._parser = parser = self._owner.parsers.lend()
        parser.expect(body_limit, cut=cut, head_only=head_only)
        self._send(payload)

    def _send(self, payload: bytes) -> None:
        assert self._wire is not None  # noqa: S101 -- usable was asked before
        self._wire.write(payload)

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent while the server accepts no more; 0 while it accepts them."""
        return self._wire.get_write_buffer_size() if self._blocked is not None and self._wire is not None else 0

    async def drained(self) -> None:
        """Wait until the server accepts more bytes again, or the connection has ended."""
        if self._blocked is not None:
            await asyncio.shield(self._blocked)

    def leave(self, carried: Carried) -> None:
        """Close the connection if it still carries this exchange, since its answer is no longer needed."""
        if self._carried is carried:
            self.abort()

    def abort(self) -> None:
        """Close at once, without telling the exchange."""
        self._carried = None
        self._hang_up()

    def _hang_up(self) -> None:
        """Close at once; `connection_lost` then tells the exchange, if there is one."""
        if self._wire is not None:
            if self._owner.resets and not self._wire.is_closing():
                self._forgo_time_wait()
            self._wire.abort()

    def _forgo_time_wait(self) -> None:
        """Have the close reset the connection."""
        found = self._wire.get_extra_info("socket") if self._wire is not None else None
        if found is None:
            return
        # uvloop's own has no setsockopt. Of another one for the same descriptor, none of the other arguments matters here.
        lent = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, found.fileno())
        try:
            lent.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        except OSError:
            pass
        finally:
            lent.detach()

    def abandon(self) -> None:
        """Close the connection although its event loop is closed, without telling the exchange or the owner."""
        self.open = False
        self._carried = None
        # asyncio closes sockets in the loop's next turn, which a closed loop does not have. uvloop has closed the socket with the loop.
        lost = getattr(self._wire, "_call_connection_lost", None)
        if lost is not None:
            with contextlib.suppress(RuntimeError):  # raised since the loop is closed
                self.abort()
            with contextlib.suppress(RuntimeError):
                lost(None)

    # Methods that the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the TCP connection, now that it is made."""
        self._wire = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take some of the answer, or close the connection if no request was sent."""
        carried, parser = self._carried, self._parser
        if carried is None or parser is None:
            if data.strip(LINE_ENDS):
                self.abort()
            return
        self.heard = True
        try:
            done = parser.feed(data)
        except WireError as error:
            self.abort()
            carried.failed(error)
            return
        if done:
            self._carried = self._parser = None
            if parser.keep and self._blocked is None:
                self.kept = True
                self._owner.free(self)
            else:  # it is not kept, or the answer came while the server still accepted no more of the request
                self.abort()
            carried.answered(parser)
            self._owner.parsers.take_back(parser)
        else:
            carried.heard()

    def pause_writing(self) -> None:
        """Stop sending, since the server accepts no more bytes for now."""
        self._blocked = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Go on sending, since the server accepts bytes again."""
        blocked, self._blocked = self._blocked, None
        if blocked is not None and not blocked.done():
            blocked.set_result(None)

    def eof_received(self) -> None:
        """Close too, since the server has closed its side; `connection_lost` then tells the exchange."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, and the exchange if there is one, that the connection has ended."""
        self.resume_writing()
        if self.open:
            self.open = False
            self._owner.closed(self)
        carried, parser = self._carried, self._parser
        self._carried = self._parser = None
        if parser is not None:
            if carried is not None:
                _end(carried, parser, exc)
            parser.release()


def _is_readable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # on Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _end(carried: Carried, parser: AnswerParser, exc: Exception | None) -> None:
    """Tell an exchange that its connection has ended, which completes an answer without a length."""
    try:
        if exc is not None:
            raise lost(exc) from exc
        parser.end()
    except WireError as error:
        carried.failed(error)
    else:
        carried.answered(parser)
