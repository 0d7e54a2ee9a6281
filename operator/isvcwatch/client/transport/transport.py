"""HTTP for a fleet of servers: one deadline for each exchange, and kept connections, which need no task and are renewed by age."""

from __future__ import annotations

import asyncio
import math
import random
import ssl
from typing import TYPE_CHECKING, Final

import httpx

from isvcwatch.client.protocols import Answer
from isvcwatch.client.transport import asks, errors
from isvcwatch.client.transport.deadlines import Deadlines
from isvcwatch.client.transport.dialing import Dialer
from isvcwatch.client.transport.errors import Phase, WireError
from isvcwatch.client.transport.inflating import inflate
from isvcwatch.client.transport.names import Names
from isvcwatch.client.transport.parser import Parsers
from isvcwatch.client.transport.pool import Pool
from isvcwatch.client.transport.riding import ride
from isvcwatch.client.transport.secure import Pipes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from isvcwatch.client.transport.asks import Ask, Endpoint
    from isvcwatch.client.transport.connection import Connection
    from isvcwatch.client.transport.deadlines import Moment
    from isvcwatch.client.transport.dialing import AliasGuard, Guard
    from isvcwatch.client.transport.parser import AnswerParser

    Done = Callable[[Answer | WireError], None]

MAX_AGE: Final = 60.0
"""Seconds after which a kept connection is renewed: it stays with one pod of a Service, and all replicas are to be probed in time."""

JITTER: Final = 0.2
"""The part of the age by which connections' ages differ, so that those made together are not renewed together."""

BODY_LIMIT: Final = 64 * 1024
"""The most bytes of an answer's body; an answer about health has a few hundred."""

RESERVED: Final = 256
"""File descriptors left for the rest of the process, and for closed sockets that the event loop frees only in its next turn."""

SHED: Final = 64
"""The number of free connections that are closed when file descriptors have run out."""


IN_USE: Final = "it is in use on another event loop, which is running: make one for each loop"


def descriptors() -> int:
    """How many file descriptors the process may have open."""
    try:
        import resource  # noqa: PLC0415 -- not everywhere
    except ImportError:
        return 2048
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if limit != resource.RLIM_INFINITY else 2**20


class Exchange:
    """A request under way. After it is cancelled, it calls no callback any more."""

    __slots__ = ("_ask", "_connection", "_deadline", "_dialing", "_done", "_doubt", "_ends", "_phase", "_transport")

    def __init__(self, transport: Transport, ask: Ask, ends: float, done: Done, doubt: Callable[[], None] | None) -> None:
        self._transport = transport
        self._ask = ask
        self._done: Done | None = done
        self._doubt = doubt
        self._ends = ends
        self._phase = Phase.NAME
        self._connection: Connection | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._deadline: Moment | None = None

    def cancel(self) -> None:
        """Cancel the request, and close its connection."""
        self._done = None
        self._let_go()

    def begin(self, loop: asyncio.AbstractEventLoop, doubt_after: float, *, fresh: bool) -> None:
        """Send the request, on a kept connection if there is one, or on a new one if it is to be fresh."""
        now = loop.time()
        self._deadline = self._transport.deadlines.join(loop, min(self._ends, now + doubt_after), self)
        kept = self._transport.take(self._ask.endpoint, now)
        if kept is not None and fresh:  # the new one takes its place
            kept.abort()
            kept = None
        if kept is not None:
            self._carry_on(kept)
        else:
            self._dial()

    def time_passed(self) -> None:
        """Call `doubt` or end the request, by which of the two times has passed."""
        if self._deadline is None:
            return
        loop = self._transport.loop
        doubt, self._doubt = self._doubt, None
        if loop.time() < self._ends - EARLY:
            self._deadline = self._transport.deadlines.join(loop, self._ends, self)
            if doubt:
                doubt()
        else:
            self._finish(errors.timed_out(self._phase))

    # Methods that the connection calls.

    def heard(self) -> None:
        """Do nothing, since the deadline is for the whole answer."""

    def answered(self, parser: AnswerParser) -> None:
        """The answer is complete."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in parser.headers}
        answer = Answer(parser.status, bytes(parser.body), headers)
        self._connection = None
        self._finish(_inflated(answer) if "content-encoding" in headers else answer)

    def failed(self, error: WireError) -> None:
        """Send the request again on a new connection if a kept one was closed, else end it with the error."""
        connection, self._connection = self._connection, None
        stale = connection is not None and connection.kept and not connection.heard and isinstance(error, errors.LostError)
        if stale:  # the server closed the kept connection before it saw the request, which is no failure
            self._dial()
        else:
            self._finish(error)

    def _dial(self) -> None:
        self._dialing = self._transport.loop.create_task(self._dialed())

    async def _dialed(self) -> None:
        try:
            connection = await self._transport.dial(self._ask.endpoint, self._ends, self._reached)
        except WireError as error:
            self._dialing = None
            self._finish(error)
        except Exception as error:  # noqa: BLE001 -- a bug must not look like a server that is silent
            crash = errors.CrashedError(f"connecting failed by a bug: {type(error).__name__}: {error}", self._phase)
            crash.__cause__ = error
            self._dialing = None
            self._finish(crash)
        else:
            self._dialing = None
            self._carry_on(connection)

    def _carry_on(self, connection: Connection) -> None:
        self._phase = Phase.ANSWER
        self._connection = connection
        connection.carry(self._ask.payload, self, BODY_LIMIT)

    def _reached(self, phase: Phase) -> None:
        self._phase = phase

    def _finish(self, outcome: Answer | WireError) -> None:
        done, self._done = self._done, None
        self._let_go()
        if done:
            done(outcome)

    def _let_go(self) -> None:
        self._doubt = None  # breaks a reference cycle that only the garbage collector could free
        if self._deadline is not None:
            self._deadline.leave(self)
            self._deadline = None
        if self._dialing:
            self._dialing.cancel()
            self._dialing = None
        if self._connection:
            self._connection.abort()
            self._connection = None


def _inflated(answer: Answer) -> Answer | WireError:
    """An answer that came compressed, which was not asked for."""
    try:
        body = inflate(answer.body, answer.headers["content-encoding"], BODY_LIMIT)
    except ValueError as error:
        return errors.InvalidAnswerError(str(error))
    if len(body) > BODY_LIMIT:
        return errors.too_long(BODY_LIMIT)
    return Answer(answer.status, body, answer.headers)


EARLY: Final = 0.001
"""Seconds by which an event loop's timers may fire early: uvloop's clock has whole milliseconds."""


class Transport(httpx.AsyncBaseTransport):
    """Sends the fleet's probes and the public client's requests. It can be created without an event loop, and is used on one at a time.

    When it is used on another loop, it closes the connections of the previous one.

    Args:
        guard: called right before connecting, with an address and whether the host is the caller's own; returns why not to connect, or "".
        host_guard: called before a lookup, with a name and whether it is the caller's own; returns why not to look it up, or "".
        leads_away: called with a name that is the caller's own, the one that it is an alias of, and whether it may be one of a gateway;
            returns whether the guard is to take its addresses for another's.
        tls: the TLS context for https servers, or a function that makes it when it is first needed; None for the system's authorities.
        names: looks names up.
        max_age: seconds after which a kept connection is renewed.
        resets: whether connections are closed by a reset, which leaves no socket in TIME_WAIT: thousands of probes a minute to one address,
            such as an ingress, would use up the local ports for it.
        lookup_share: the part of an exchange's time that the lookup of its name may take; what it finds later serves the next exchange.
        most: the number of connections from which on a free one is closed for each new one; by default as many as descriptors allow.

    Attributes:
        endpoints: the endpoints that it knows.
        deadlines: the times at which exchanges under way end.
        opened_total: how many connections were made so far.
        reused_total: how many exchanges used a kept connection.
    """

    def __init__(
        self,
        *,
        guard: Guard | None = None,
        host_guard: Guard | None = None,
        leads_away: AliasGuard | None = None,
        tls: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None,
        names: Names | None = None,
        max_age: float = MAX_AGE,
        resets: bool = False,
        lookup_share: float = 1.0,
        most: int = 0,
    ) -> None:
        self._tls: ssl.SSLContext | Callable[[], ssl.SSLContext] = tls or ssl.create_default_context
        self._unverifying: ssl.SSLContext | None = None
        self._names = names or Names()
        self._dialer = Dialer(self._names, guard, host_guard, lookup_share, leads_away)
        self._max_age = max_age
        self.resets = resets
        self._most = most or max(descriptors() - RESERVED, RESERVED)
        self.parsers = Parsers()
        self.pipes = Pipes()
        self.endpoints = asks.Endpoints()
        self.deadlines = Deadlines()
        self._pool = Pool()
        self._dialing = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.opened_total = 0
        self.reused_total = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop, which the transport is used on from now on.

        Raises:
            RuntimeError: the transport is in use on another loop.
        """
        running = asyncio.get_running_loop()
        if running is not self._loop:
            self._move(running)
        return running

    @property
    def open(self) -> int:
        """How many connections are open, in use or free."""
        return len(self._pool.open)

    @property
    def tls(self) -> ssl.SSLContext:
        """The TLS context for https servers. It is made when it is first needed, which takes some 30 ms."""
        if not isinstance(self._tls, ssl.SSLContext):
            self._tls = self._tls()
        return self._tls

    @property
    def unverifying(self) -> ssl.SSLContext:
        """A TLS context that takes any certificate, for requests that ask for it by `verified=False`. It is made when first needed."""
        if self._unverifying is None:
            self._unverifying = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._unverifying.check_hostname = False
            self._unverifying.verify_mode = ssl.CERT_NONE
        return self._unverifying

    def ask(
        self,
        url: str,
        *,
        own_host: bool,
        method: str = "GET",
        body: bytes = b"",
        verified: bool = True,
        at: tuple[str, int] | None = None,
        headers: Sequence[tuple[str, str]] = (),
        routed: bool = False,
    ) -> Ask:
        """Prepare a request once, to be sent many times.

        Args:
            url: http or https, escaped, without credentials.
            own_host: whether the host is the caller's own; the guards take it into account.
            method: a method that changes nothing on the server.
            body: a JSON body; empty for none.
            verified: whether the certificate of an https server must be trusted. A request that is sent to another one must hold no secret.
            at: an IP address and port to connect to in place of the URL's, for one request: the connection is closed after it.
            headers: names and values to send beside the usual ones, and in place of those of the same name.
            routed: whether the host's name may be an alias of a gateway's; the guard takes it into account.

        Raises:
            NameNotFoundError: the URL's host is not ASCII.
        """
        tls = (self.tls if verified else self.unverifying) if url.startswith("https:") else None
        return asks.get(url, tls, self.endpoints, own_host=own_host, method=method, body=body, at=at, headers=headers, routed=routed)

    def start(
        self,
        ask: Ask,
        timeout: float,
        done: Done,
        *,
        doubt_after: float = math.inf,
        doubt: Callable[[], None] | None = None,
        fresh: bool = False,
    ) -> Exchange:
        """Send a request. Its outcome is passed to `done` once, later, and never from inside this call.

        Args:
            ask: the prepared request.
            timeout: seconds for name lookup, connection, TLS and answer together.
            done: takes the answer or the error. It runs on the event loop, and must be quick.
            doubt_after: seconds after which `doubt` is called if there is no outcome yet.
            doubt: called at most once, before `done`.
            fresh: whether to send it on a new connection, in place of one that is kept.
        """
        loop = self.loop
        exchange = Exchange(self, ask, loop.time() + timeout, done, doubt)
        exchange.begin(loop, doubt_after, fresh=fresh)
        return exchange

    async def get(
        self,
        url: str,
        timeout: float,  # noqa: ASYNC109 -- one deadline for all of it
        *,
        own_host: bool = True,
        method: str = "GET",
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Send a request and wait for its answer. The arguments are those of `ask` and `start`.

        Raises:
            WireError: no answer came.
        """
        came: asyncio.Future[Answer | WireError] = self.loop.create_future()
        ask = self.ask(url, own_host=own_host, method=method, body=body, headers=headers)
        exchange = self.start(ask, timeout, lambda outcome: None if came.done() else came.set_result(outcome))
        try:
            outcome = await came
        finally:
            exchange.cancel()
        if isinstance(outcome, WireError):
            raise outcome
        return outcome

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of an httpx client, and read its whole answer."""
        return await ride(self, request)

    async def aclose(self) -> None:
        """Close every connection, including the busy ones."""
        if self._loop is not asyncio.get_running_loop() and self._loop is not None and self._loop.is_closed():
            self._move(asyncio.get_running_loop())
        for connection in list(self._pool.open):
            connection.abort()
        self._names.close()
        self.parsers.release()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    def _move(self, loop: asyncio.AbstractEventLoop) -> None:
        left = self._loop
        if left is not None and left.is_running():
            raise RuntimeError(IN_USE)
        self._loop = loop
        if left is None:
            return
        for connection in list(self._pool.open):
            if left.is_closed():
                connection.abandon()
            else:
                connection.abort()
        self._pool.clear()
        self.deadlines = Deadlines()
        self._names.moved()

    # Methods that exchanges call.

    def take(self, endpoint: Endpoint, now: float) -> Connection | None:
        """Take a connection to the endpoint that is still kept at a time of the loop's clock; None if there is none."""
        connection = self._pool.take(endpoint, now)
        if connection is not None:
            self.reused_total += 1
        return connection

    async def dial(self, endpoint: Endpoint, deadline: float, reached: Callable[[Phase], None]) -> Connection:
        """Make a new connection; if there is no room for it, close a free one.

        Raises:
            WireError: no connection could be made; the error says why.
        """
        if len(self._pool.open) + self._dialing >= self._most:
            self._pool.shed(1)
        self._dialing += 1
        try:
            connection = await self._dialer.dial(endpoint, self, deadline, reached)
        except errors.ExhaustedError as error:  # other parts of the process use more descriptors than were reserved for them
            if error.phase is Phase.NAME or not self._pool.shed(SHED):
                raise
            await asyncio.sleep(0)
            connection = await self._dialer.dial(endpoint, self, deadline, reached)
        finally:
            self._dialing -= 1
        self._pool.open.add(connection)
        self.opened_total += 1
        connection.expires = self.loop.time() + self._max_age * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 -- jitter
        return connection

    # Methods that connections call.

    def free(self, connection: Connection) -> None:
        """Keep a connection that can carry another exchange."""
        if len(self._pool.open) > self._most:
            # Its close is reported only in the loop's next turn. If it counted until then, all that are freed in this turn would be closed.
            self._pool.drop(connection)
            connection.abort()
        else:
            assert self._loop is not None  # noqa: S101 -- it calls this; asking which one runs is a system call in Python 3.11
            self._pool.give(connection, self._loop.time())

    def closed(self, connection: Connection) -> None:
        """Forget a connection that has closed."""
        self._pool.drop(connection)
