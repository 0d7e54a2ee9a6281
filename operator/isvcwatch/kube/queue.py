"""Queues the services to be written about: each once and at its own pace, bad news first, and namespaces in turn.

A request is only a UID. What to do is decided when the service's turn comes, so that no outdated decision is carried out.
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
"""How many services have their turn at the same time."""

HURRIED: Final = 0.05
"""The most seconds that a service waits between two turns while the process ends."""


class Place(NamedTuple):
    """A service's place in the queue.

    Attributes:
        urgent: whether it goes before all services that are not urgent.
        namespace: the service's namespace; namespaces take turns.
    """

    urgent: bool
    namespace: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows a service's turn.

    Attributes:
        again: whether the service needs another turn.
        rest: seconds before it may have another turn.
    """

    again: bool = False
    rest: float = 0.0


class Queue:
    """Gives every service that asks for one a turn.

    Args:
        take: carries out a service's turn; must not raise.
        place: gives the place in the queue of a service that asks for a turn.
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
        """Ask for a turn for a service. If it waits already, only its place is updated."""
        if uid in self._busy:
            self._asked.add(uid)
        else:
            self._enqueue(uid)

    @property
    def idle(self) -> bool:
        """Whether no service waits for a turn or has one."""
        return not (self._due or self._asked or self._under_way)

    @property
    def stalled(self) -> float:
        """Seconds since a turn last began or ended, if a service waits for one; else 0."""
        return asyncio.get_running_loop().time() - self._moved if self._due or self._under_way else 0.0

    async def run(self) -> None:
        """Give turns until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def flush(self, seconds: float) -> bool:
        """Give all turns that are asked for, almost without rests, before the process ends; False if that takes more than `seconds`."""
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
        """End the service's rest, and queue it again if a turn was asked for meanwhile."""
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
        """The UID whose turn is next: an urgent one if there is any, and the first of the namespace whose last turn is longest ago."""
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
