"""Bounds the rounds under way, in all and at one address. Namespaces take turns where rounds wait for a place."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class _Line(Generic[T]):
    """A queue in which namespaces take turns, so that the one that has most waiting can't keep the others waiting."""

    __slots__ = ("_by_namespace",)

    def __init__(self) -> None:
        self._by_namespace: OrderedDict[str, deque[T]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._by_namespace)

    def append(self, namespace: str, what: T) -> None:
        self._by_namespace.setdefault(namespace, deque()).append(what)

    def popleft(self) -> T:
        namespace, waiting = self._by_namespace.popitem(last=False)
        first = waiting.popleft()
        if waiting:
            self._by_namespace[namespace] = waiting
        return first


class Lane(Generic[T]):
    """A number of places for rounds of one kind, so that one kind of round can't take the places of another.

    Args:
        bound: the most rounds under way at once.
        host_bound: the most of these at one address.
        start: called with an entry that gets a place after waiting for it; returns False if the entry no longer needs one.
        namespace: an entry's namespace. It is asked only where the entry must wait.

    Attributes:
        running: how many entries have a place.
        waiting: how many entries wait for one.
    """

    def __init__(self, bound: int, host_bound: int, start: Callable[[T], bool], namespace: Callable[[T], str]) -> None:
        self._bound = bound
        self._host_bound = host_bound
        self._start = start
        self._namespace = namespace
        self._at: dict[Hashable, int] = {}
        self._queue: _Line[tuple[T, Hashable]] = _Line()
        self._parked: dict[Hashable, _Line[T]] = {}
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
            self._park(who, host)
        else:
            self._line_up(who, host)
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
            self._line_up(parked.popleft(), host)
            if not parked:
                del self._parked[host]

    def _line_up(self, who: T, host: Hashable) -> None:
        """Have an entry wait for a place."""
        self._queue.append(self._namespace(who), (who, host))

    def _park(self, who: T, host: Hashable) -> None:
        """Have an entry wait for a place at its address first."""
        self._parked.setdefault(host, _Line()).append(self._namespace(who), who)

    def _fill(self) -> None:
        while self._queue and self.running < self._bound:
            who, host = self._queue.popleft()
            if self._at.get(host, 0) >= self._host_bound:
                self._park(who, host)
                continue
            self.waiting -= 1
            self.take(host)
            if not self._start(who):
                self._release(host)
