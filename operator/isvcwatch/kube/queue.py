"""Queues the services to be written about: each once and at its own pace, bad news first but not alone, and namespaces in turn.

A request is only a UID. What to do is decided when the service's turn comes, so that no outdated decision is carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from isvcwatch.kube.flushing import all_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from isvcwatch.kube.budget import Shares

WORKERS: Final = 8
"""How many services have their turn at the same time."""

IN_A_ROW: Final = 3
"""Urgent turns in a row while others wait: a mass outage takes minutes to tell, and those that recover must not wait for its end."""

HURRIED: Final = 0.05
"""The most seconds that a service waits between two turns while the process ends."""


class Place(NamedTuple):
    """A service's place in the queue.

    Attributes:
        urgent: whether it goes before services that are not urgent, of which every fourth turn is all the same.
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
        wrote: whether it has cost a write, which counts towards what its namespace may have.
    """

    again: bool = False
    rest: float = 0.0
    wrote: bool = False


class Queue:
    """Gives every service that asks for one a turn.

    Args:
        take: carries out a service's turn; must not raise.
        place: gives the place in the queue of a service that asks for a turn.
        shares: how much each namespace may have written; None for all that it wants.
    """

    def __init__(self, take: Callable[[str], Awaitable[Turn]], place: Callable[[str], Place], shares: Shares | None = None) -> None:
        self._take = take
        self._place = place
        self._lanes: dict[bool, OrderedDict[str, dict[str, None]]] = {True: OrderedDict(), False: OrderedDict()}
        self._due: dict[str, Place] = {}
        self._shares = shares
        self._in_a_row = 0
        self._taken: set[str] = set()
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._asked: set[str] = set()
        self._moved = -math.inf
        self._more = asyncio.Event()
        self._hurry = False

    def request(self, uid: str) -> None:
        """Ask for a turn for a service. If it waits already, only its place is updated."""
        if uid in self._taken or uid in self._resting:
            self._asked.add(uid)
        else:
            self._enqueue(uid)

    @property
    def idle(self) -> bool:
        """Whether no service waits for a turn or has one."""
        return not (self._due or self._asked or self._taken)

    @property
    def stalled(self) -> float:
        """Seconds since a turn last began or ended, if a service waits for one; else 0."""
        return asyncio.get_running_loop().time() - self._moved if self._due or self._taken else 0.0

    async def run(self) -> None:
        """Give turns until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def flush(self, seconds: float) -> bool:
        """Give all turns that are asked for, almost without rests, before the process ends; False if that takes more than `seconds`."""
        self._hurry = True
        for uid in [uid for uid in self._asked if uid in self._resting]:
            self._free(uid)
        self._more.set()
        return await all_out(lambda: self.idle, seconds)

    async def _work(self) -> None:
        while True:
            uid, namespace = await self._next()
            self._taken.add(uid)
            self._move()
            try:
                turn = await self._take(uid)
            finally:
                self._taken.discard(uid)
                self._move()
            if turn.wrote and self._shares is not None:
                self._shares.use(namespace, asyncio.get_running_loop().time())
            if turn.again:
                self._asked.add(uid)
            rest = min(turn.rest, HURRIED) if self._hurry else turn.rest
            self._resting[uid] = asyncio.get_running_loop().call_later(rest, self._free, uid)

    def _free(self, uid: str) -> None:
        """End the service's rest, and queue it again if a turn was asked for meanwhile."""
        self._resting.pop(uid).cancel()
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

    async def _next(self) -> tuple[str, str]:
        """The UID whose turn is next, and its namespace: the first of the namespace whose last turn is longest ago."""
        while (found := self._first()) is None:
            self._more.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), self._soonest())
        urgent, namespace = found
        lanes = self._lanes[urgent]
        uid = next(iter(lanes[namespace]))
        self._remove(uid, self._due[uid])
        if namespace in lanes:
            lanes.move_to_end(namespace)
        return uid, namespace

    def _first(self) -> tuple[bool, str] | None:
        """The urgency and the namespace whose turn is next; None if no service waits that may have one."""
        urgent, other = self._allowed(urgent=True), self._allowed(urgent=False)
        if urgent is None or other is None:
            self._in_a_row = 0
            return (True, urgent) if urgent is not None else (False, other) if other is not None else None
        self._in_a_row += 1
        if self._in_a_row <= IN_A_ROW:
            return True, urgent
        self._in_a_row = 0
        return False, other

    def _allowed(self, *, urgent: bool) -> str | None:
        """The first namespace with a service of that urgency that may have something written; None if there is none."""
        if self._shares is None or self._hurry:
            return next(iter(self._lanes[urgent]), None)
        now = asyncio.get_running_loop().time()
        return next((namespace for namespace in self._lanes[urgent] if self._shares.wait(namespace, now) <= 0), None)

    def _soonest(self) -> float | None:
        """Seconds until a namespace that has had its share may have more; None if none waits for that."""
        if self._shares is None or not self._due:
            return None
        now = asyncio.get_running_loop().time()
        return min(self._shares.wait(namespace, now) for lanes in self._lanes.values() for namespace in lanes)

    def _remove(self, uid: str, place: Place) -> None:
        del self._due[uid]
        lane = self._lanes[place.urgent][place.namespace]
        del lane[uid]
        if not lane:
            del self._lanes[place.urgent][place.namespace]

    def _move(self) -> None:
        self._moved = asyncio.get_running_loop().time()
