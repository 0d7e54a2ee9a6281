"""Services that wait to be written about: each once, each at its pace, failures first, and no namespace before another for long.

A request is only a name. What there is to do is worked out when its turn comes, so that nothing stale is ever replayed.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from isvcwatch.kube.flushing import all_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WORKERS: Final = 8
"""Turns under way at once."""

HURRIED: Final = 0.05
"""Seconds that a service rests at most while the process ends."""


class Place(NamedTuple):
    """Where in the queue a service stands.

    Attributes:
        urgent: before all that are not.
        namespace: namespaces take turns.
    """

    urgent: bool
    namespace: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What comes after a service's turn.

    Attributes:
        again: it needs another.
        rest: seconds in which it gets none.
    """

    again: bool = False
    rest: float = 0.0


class Queue:
    """Gives every service that asks for one a turn.

    Args:
        take: a service's turn, whatever it does; raises nothing.
        place: where a service stands that asks for a turn now.
    """

    def __init__(self, take: Callable[[str], Awaitable[Turn]], place: Callable[[str], Place]) -> None:
        self._take = take
        self._place = place
        self._lanes: dict[bool, OrderedDict[str, dict[str, None]]] = {True: OrderedDict(), False: OrderedDict()}
        self._due: dict[str, Place] = {}
        self._busy: set[str] = set()
        self._asked: set[str] = set()
        self._under_way = 0
        self._moved = -math.inf
        self._more = asyncio.Event()
        self._hurry = False

    def request(self, uid: str) -> None:
        """The service wants a turn. One that waits already is only put where it stands now."""
        if uid in self._busy:
            self._asked.add(uid)
        else:
            self._enqueue(uid)

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a turn, nor has one."""
        return not (self._due or self._asked or self._under_way)

    @property
    def stalled(self) -> float:
        """Seconds since a turn last began or ended, while a service waits for one; 0 while none does."""
        return asyncio.get_running_loop().time() - self._moved if self._due or self._under_way else 0.0

    async def run(self) -> None:
        """Give turns until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def flush(self, seconds: float) -> bool:
        """Give all turns that are asked for, without rests, before the process ends; False where not all could be in so many seconds."""
        self._hurry = True
        for uid in list(self._asked):
            self._free(uid)
        return await all_out(lambda: self.idle, seconds)

    async def _work(self) -> None:
        while True:
            uid = await self._next()
            self._busy.add(uid)
            self._under_way += 1
            self._move()
            try:
                turn = await self._take(uid)
            finally:
                self._under_way -= 1
                self._move()
            if turn.again:
                self._asked.add(uid)
            asyncio.get_running_loop().call_later(min(turn.rest, HURRIED) if self._hurry else turn.rest, self._free, uid)

    def _free(self, uid: str) -> None:
        """The service has rested: it may have another turn, and has, where that was asked for meanwhile."""
        self._busy.discard(uid)
        if uid in self._asked:
            self._asked.discard(uid)
            self._enqueue(uid)

    def _enqueue(self, uid: str) -> None:
        place, before = self._place(uid), self._due.get(uid)
        if place == before:
            return
        if before is not None:
            self._remove(uid, before)
        elif self.idle:
            self._move()
        self._due[uid] = place
        self._lanes[place.urgent].setdefault(place.namespace, {})[uid] = None
        self._more.set()

    async def _next(self) -> str:
        """Whose turn it is: the first of the namespace that had its last turn the longest ago, urgent ones before others."""
        while not self._due:
            self._more.clear()
            await self._more.wait()
        urgent = bool(self._lanes[True])
        namespace, lane = next(iter(self._lanes[urgent].items()))
        uid = next(iter(lane))
        self._remove(uid, self._due[uid])
        if lane:
            self._lanes[urgent].move_to_end(namespace)
        return uid

    def _remove(self, uid: str, place: Place) -> None:
        del self._due[uid]
        lane = self._lanes[place.urgent][place.namespace]
        del lane[uid]
        if not lane:
            del self._lanes[place.urgent][place.namespace]

    def _move(self) -> None:
        self._moved = asyncio.get_running_loop().time()
