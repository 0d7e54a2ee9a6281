"""Tells the fleet of each service that a change concerns: of a few at once, of thousands in portions that never block the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from isvcwatch.core.step import NamespaceEnds
from isvcwatch.kube.kinds import SERVICES, concerned, happened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from isvcwatch.core.step import Gone, Seen
    from isvcwatch.kube.store import Change, Store

BOUND: Final = 0.01
"""Seconds of a turn of the event loop in which services are derived anew: half of the scheduler's tick. One service takes some 0.2 ms."""


class Feeding:
    """Feeds the fleet with the services that changes concern.

    A service's own change is fed at once. A change of what it refers to, such as a runtime that thousands run on, is fed at once as far as
    that takes no more than `BOUND` seconds of the loop's turn, and else in later turns. The latest comes first, so that a change of one
    service's endpoints need not wait until a runtime's thousands are done. Only a UID waits, and what is fed is what the store
    has when its turn comes, so that no older state is fed after a newer one. What waits when the process ends is lost without harm, since
    the next one derives every service anew.

    Args:
        store: has the objects as last heard of.
        feed: takes a service's UID and what has happened to it.
        clock: the time in seconds, which goes on while the loop is busy.
    """

    def __init__(
        self, store: Store, feed: Callable[[str, Seen | Gone | NamespaceEnds], None], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._waiting: dict[str, NamespaceEnds | None] = {}
        self._until: float | None = None

    def __len__(self) -> int:
        """How many services wait."""
        return len(self._waiting)

    def take(self, change: Change[Any]) -> None:
        """Take in a change, which the store has taken in already."""
        if change.kind is SERVICES:
            ends = self._waiting.pop(change.uid, None)
            self._feed(change.uid, happened(self._store, change.uid))
            if ends and not change.gone:
                self._waiting[change.uid] = ends
            return
        self._wait(concerned(self._store, change))

    def namespace_ends(self, namespace: str) -> None:
        """Have all services of a namespace left alone, since it is being deleted."""
        self._wait([isvc.uid for isvc in self._store.of(SERVICES) if isvc.namespace == namespace], NamespaceEnds())

    def _wait(self, uids: Iterable[str], ends: NamespaceEnds | None = None) -> None:
        until = self._begin_turn() if self._until is None else self._until
        for uid in uids:
            self._waiting[uid] = self._waiting.pop(uid, None) or ends
        self._feed_until(until)

    def _begin_turn(self) -> float:
        """Note when this turn's time is up, and have what is left then go on in the next turn."""
        asyncio.get_running_loop().call_soon(self._next_turn)
        self._until = self._clock() + BOUND
        return self._until

    def _next_turn(self) -> None:
        self._until = None
        if self._waiting:
            self._feed_until(self._begin_turn())

    def _feed_until(self, until: float) -> None:
        while self._waiting and self._clock() < until:
            uid, ends = self._waiting.popitem()
            self._feed(uid, ends or happened(self._store, uid))
