"""Connections that are free: the latest used is taken first, and none is kept beyond its age."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from isvcwatch.client.transport.asks import Endpoint
    from isvcwatch.client.transport.connection import Connection

IDLE: Final = 120.0
"""Seconds that a free connection is kept: twice the age at which it would not be used again."""


class Pool:
    """Free connections by endpoint, and by how long they have been free."""

    def __init__(self) -> None:
        self._free: dict[Endpoint, list[Connection]] = {}
        # Free for longest comes first. A plain dict would be searched from its beginning, past all that was taken out there.
        self._order: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def take(self, endpoint: Endpoint, now: float) -> Connection | None:
        """A free connection to the endpoint that is young enough; those that are not are closed."""
        free = self._free.get(endpoint)
        while free:
            connection = free.pop()
            del self._order[connection]
            if now < connection.expires and connection.usable:
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection, now: float) -> None:
        """The connection is free."""
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
        """The connection is no more, whether it was free or not."""
        if connection in self._order:
            del self._order[connection]
            free = self._free[connection.endpoint]
            free.remove(connection)
        if not self._free.get(connection.endpoint, True):
            del self._free[connection.endpoint]

    def shed(self, count: int, now: float) -> int:
        """Close some to make room: those that have come of age, then the latest used; at most `count`; how many that were.

        Whoever is asked in turn is asked last again who was asked latest: of a fleet with more members than there is room for, those that
        are kept stay useful, while closing what has been free for longest would close each right before its next use.
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
