"""Keeps free connections. The latest used one is taken first, and none is used beyond its age."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from isvcwatch.client.transport.asks import Endpoint
    from isvcwatch.client.transport.connection import Connection

IDLE: Final = 120.0
"""Seconds that a free connection is kept: twice the age at which it would not be used again."""


class Pool:
    """Holds free connections by endpoint, and in the order of how long they have been free."""

    def __init__(self) -> None:
        self._free: dict[Endpoint, list[Connection]] = {}
        # The connection that has been free for longest comes first. A plain dict is slow here: it skips all removed entries at its start.
        self._order: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def take(self, endpoint: Endpoint, now: float) -> Connection | None:
        """Take a free connection to the endpoint that is young enough, and close those that are too old."""
        free = self._free.get(endpoint)
        while free:
            connection = free.pop()
            del self._order[connection]
            if now < connection.expires and connection.usable:
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection, now: float) -> None:
        """Take in a connection that has become free."""
        connection.since = now
        free = self._free.get(connection.endpoint)
        if free is None:
            free = self._free[connection.endpoint] = []
        free.append(connection)
        self._order[connection] = None
        oldest = next(iter(self._order))
        if now - oldest.since > IDLE:
            self._close(oldest)

    def drop(self, connection: Connection) -> None:
        """Forget a connection that has closed, whether it was free or not."""
        if connection in self._order:
            del self._order[connection]
            free = self._free[connection.endpoint]
            free.remove(connection)
        if not self._free.get(connection.endpoint, True):
            del self._free[connection.endpoint]

    def shed(self, count: int, now: float) -> int:
        """Close at most `count` free connections to make room, first those that are too old and then the latest used; return how many.

        The servers are asked in turn, so that the one asked latest is needed again last. With more servers than there is room for, closing
        the connection that has been free for longest would close each one right before its next use.
        """
        shed = 0
        while shed < count and self._order:
            oldest = next(iter(self._order))
            self._close(oldest if oldest.expires <= now else next(reversed(self._order)))
            shed += 1
        return shed

    def _close(self, connection: Connection) -> None:
        self.drop(connection)
        connection.abort()
