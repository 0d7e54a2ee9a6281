"""Bounds the rounds under way, in all and at one address. Namespaces share the places, and take turns where rounds wait for one."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

AT_LEAST_LEFT: Final = 3
"""How many places a namespace may hold for each that is free: one alone gets three quarters of all, two get six sevenths together, and
whoever comes later always finds some that are free (Choudhury and Hahne, "Dynamic queue length thresholds", 1998)."""


class Berth(Generic[T]):
    """A place in a lane, from which it is given back."""

    __slots__ = ("host", "lane", "namespace")

    def __init__(self, lane: Lane[T], host: Hashable, namespace: str) -> None:
        self.lane = lane
        self.host = host
        self.namespace = namespace

    def leave(self) -> None:
        """Give the place back, and start an entry that waits for one."""
        self.lane.release(self)


class _Line(Generic[T]):
    """A queue in which namespaces take turns, so that the one that has most waiting can't keep the others waiting."""

    __slots__ = ("_by_namespace",)

    def __init__(self) -> None:
        self._by_namespace: OrderedDict[str, deque[T]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._by_namespace)

    def append(self, namespace: str, what: T) -> None:
        self._by_namespace.setdefault(namespace, deque()).append(what)

    def pop(self, may: Callable[[str], bool]) -> T | None:
        """The first of the namespace whose turn is next, of those that may have one; None if none may."""
        namespace = next(filter(may, self._by_namespace), None)
        if namespace is None:
            return None
        waiting = self._by_namespace.pop(namespace)
        first = waiting.popleft()
        if waiting:
            self._by_namespace[namespace] = waiting
        return first


class Lane(Generic[T]):
    """A number of places for rounds of one kind, so that one kind of round can't take the places of another.

    Args:
        bound: the most rounds under way at once.
        host_bound: the most of these at one address.
        start: called with an entry that gets a place after waiting for it, and the place; returns False if the entry no longer needs one.
        namespace: an entry's namespace.
        shared: whether no namespace may hold nearly all places, since rounds stay there for long.

    Attributes:
        running: how many entries have a place.
        waiting: how many entries wait for one.
    """

    def __init__(
        self,
        bound: int,
        host_bound: int,
        start: Callable[[T, Berth[T]], bool],
        namespace: Callable[[T], str],
        *,
        shared: bool = False,
    ) -> None:
        self._bound = bound
        self._host_bound = host_bound
        self._start = start
        self._namespace = namespace
        self._shared = shared
        self._at: Counter[Hashable] = Counter()
        self._held: Counter[str] = Counter()
        self._held_at: Counter[tuple[Hashable, str]] = Counter()
        self._queue: _Line[tuple[T, Hashable]] = _Line()
        self._parked: dict[Hashable, _Line[T]] = {}
        self.running = 0
        self.waiting = 0

    def take(self, who: T, host: Hashable) -> Berth[T]:
        """Take a place even if none is free, for a round that is under way already."""
        self.running += 1
        self._at[host] += 1
        namespace = ""
        if self._shared:
            namespace = self._namespace(who)
            self._held[namespace] += 1
            self._held_at[host, namespace] += 1
        return Berth(self, host, namespace)

    def enter(self, who: T, host: Hashable) -> Berth[T] | None:
        """Take a place if one is free; else queue for one and return None."""
        namespace = self._namespace(who) if self._shared else ""
        if self._has_place(namespace) and self._has_place_at(host, namespace):
            return self.take(who, host)
        self.waiting += 1
        if self._has_place_at(host, namespace):
            self._line_up(who, host)
        else:
            self._park(who, host)
        return None

    def release(self, place: Berth[T]) -> None:
        """Take a place back, and start an entry that waits for one."""
        self._release(place)
        if self.waiting:
            self._fill()

    def _has_place(self, namespace: str) -> bool:
        free = self._bound - self.running
        return free > 0 and (not self._shared or self._held[namespace] < AT_LEAST_LEFT * free)

    def _has_place_at(self, host: Hashable, namespace: str) -> bool:
        free = self._host_bound - self._at[host]
        return free > 0 and (not self._shared or self._held_at[host, namespace] < AT_LEAST_LEFT * free)

    def _release(self, place: Berth[T]) -> None:
        host = place.host
        self.running -= 1
        _count_down(self._at, host)
        if self._shared:
            _count_down(self._held, place.namespace)
            _count_down(self._held_at, (host, place.namespace))
        parked = self._parked.get(host)
        if parked is not None and (who := parked.pop(lambda namespace: self._has_place_at(host, namespace))) is not None:
            # The entry queues behind the others, so that one address can't keep all places to itself.
            self._line_up(who, host)
            if not parked:
                del self._parked[host]

    def _line_up(self, who: T, host: Hashable) -> None:
        """Have an entry wait for a place."""
        self._queue.append(self._namespace(who), (who, host))

    def _park(self, who: T, host: Hashable) -> None:
        """Have an entry wait for a place at its address first."""
        self._parked.setdefault(host, _Line()).append(self._namespace(who), who)

    def _fill(self) -> None:
        while (next_one := self._queue.pop(self._has_place)) is not None:
            who, host = next_one
            if not self._has_place_at(host, self._namespace(who)):
                self._park(who, host)
                continue
            self.waiting -= 1
            place = self.take(who, host)
            if not self._start(who, place):
                self._release(place)


def _count_down(counts: Counter[T], key: T) -> None:
    """Count one less, and forget what is at none."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
