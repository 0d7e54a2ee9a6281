"""Keeps connections. The latest used of those that are free is taken first, and none is used beyond its age."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from isvcwatch.client.transport.asks import Endpoint
    from isvcwatch.client.transport.connection import Connection

SWEEP: Final = 60.0
"""Seconds between two sweeps. Each closes the connections that have been free since the one before, which are, or soon will be, too old
to be used again."""

RECENT: Final = 1024
"""How many connections are remembered as the latest used, of which one is closed to make room."""


class Pool:
    """Holds the open connections, and at each endpoint those to it that are free.

    A connection is taken and given back at every probe, so this is kept to what touches nothing but the endpoint and the connection: with
    an order of all connections by their latest use, or a table of endpoints, each probe would touch parts of it that are in no cache.

    Attributes:
        open: all connections, in use or free.
    """

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self._recent: deque[Connection] = deque(maxlen=RECENT)
        self._sweep_at = 0.0

    @property
    def free(self) -> int:
        """How many connections are free."""
        return sum(connection.free for connection in self.open)

    @staticmethod
    def take(endpoint: Endpoint, now: float) -> Connection | None:
        """Take a free connection to the endpoint that is young enough, and close those that are too old."""
        free = endpoint.free
        while free:
            connection = free.pop()
            connection.free = False
            if now < connection.expires and connection.usable:
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection, now: float) -> None:
        """Take in a connection that has become free."""
        connection.free, connection.swept = True, False
        connection.endpoint.free.append(connection)
        self._recent.append(connection)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP
            self._sweep()

    def drop(self, connection: Connection) -> None:
        """Forget a connection that has closed, or is about to, whether it was free or not."""
        self.open.discard(connection)
        if connection.free:
            connection.free = False
            connection.endpoint.free.remove(connection)

    def shed(self, count: int) -> int:
        """Close at most `count` free connections to make room, the latest used first; return how many.

        The servers are asked in turn, so that the one asked latest is needed again last. With more servers than there is room for, closing
        the connection that has been free for longest would close each one right before its next use.
        """
        for shed in range(count):
            connection = self._latest()
            if connection is None:
                return shed
            self._close(connection)
        return count

    def clear(self) -> None:
        """Forget all connections."""
        for connection in list(self.open):
            self.drop(connection)
        self._recent.clear()

    def _latest(self) -> Connection | None:
        """The latest used connection that is free; any that is free if all of the latest have been taken again or closed."""
        while self._recent:
            connection = self._recent.pop()
            if connection.free:
                return connection
        return next((connection for connection in self.open if connection.free), None)

    def _sweep(self) -> None:
        for connection in [connection for connection in self.open if connection.free]:
            if connection.swept:
                self._close(connection)
            else:
                connection.swept = True

    def _close(self, connection: Connection) -> None:
        self.drop(connection)
        connection.abort()
