"""Bounds the rounds under way, in all and at one address. Rounds wait in order for a place, without delaying those of other addresses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class Lane(Generic[T]):
    """A number of places for rounds of one kind, so that one kind of round can't take the places of another.

    Args:
        bound: the most rounds under way at once.
        host_bound: the most of these at one address.
        start: called with an entry that gets a place after waiting for it; returns False if the entry no longer needs one.

    Attributes:
        running: how many entries have a place.
        waiting: how many entries wait for one.
    """

    def __init__(self, bound: int, host_bound: int, start: Callable[[T], bool]) -> None:
        self._bound = bound
        self._host_bound = host_bound
        self._start = start
        self._at: dict[Hashable, int] = {}
        self._queue: deque[tuple[T, Hashable]] = deque()
        self._parked: dict[Hashable, deque[T]] = {}
        self.running = 0
        self.waiting = 0

    def take(self, host: Hashable) -> None:
        """Take a place even if none is free, for a round that is under way already."""
        self.running += 1
        self._at[host] = self._at.get(host, 0) + 1

    def enter(self, who: T, host: Hashable) -> bool:
        """Take a place and return True if one is free; else queue for one and return False."""
        if self.running < self._bound and self._at.get(host, 0) < self._host_bound:
            self.take(host)
            return True
        self.waiting += 1
        if self._at.get(host, 0) >= self._host_bound:
            self._parked.setdefault(host, deque()).append(who)
        else:
            self._queue.append((who, host))
        return False

    def leave(self, host: Hashable) -> None:
        """Give a place back, and start an entry that waits for it."""
        self._release(host)
        if self.waiting:
            self._fill()

    def _release(self, host: Hashable) -> None:
        self.running -= 1
        left = self._at[host] - 1
        if left:
            self._at[host] = left
        else:
            del self._at[host]
        parked = self._parked.get(host)
        if parked:
            # The entry queues behind the others, so that one address can't keep all places to itself.
            self._queue.append((parked.popleft(), host))
            if not parked:
                del self._parked[host]

    def _fill(self) -> None:
        while self._queue and self.running < self._bound:
            who, host = self._queue.popleft()
            if self._at.get(host, 0) >= self._host_bound:
                self._parked.setdefault(host, deque()).append(who)
                continue
            self.waiting -= 1
            self.take(host)
            if not self._start(who):
                self._release(host)
