"""Who is due, and when: every target once a period, spread evenly by its identity, none held up by another."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from isvcwatch.core.targets import Target

log = structlog.get_logger(__name__)

TICK: Final = 0.02
"""Seconds; one wake-up starts all that have fallen due, since waking costs more than probing."""

IN_FLIGHT: Final = 1000
"""Rounds under way at once, over all targets: each holds a connection or two."""


@dataclass(slots=True)
class _Entry:
    """A target in the schedule."""

    target: Target
    running: bool = False
    removed: bool = False


class Scheduler:
    """Starts a round for each target each period.

    A target's place in its period is a hash of its UID, so that a restart, or another replica, starts it at the same beat, and a fleet
    is spread evenly whenever it was created. A round that still runs when the next is due is left to end: the beat is skipped.
    """

    def __init__(self, probe: Callable[[Target], Awaitable[None]]) -> None:
        self._probe = probe
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, int, _Entry]] = []
        self._order = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self.last_tick = asyncio.get_running_loop().time()

    def __len__(self) -> int:
        return len(self._entries)

    def set(self, target: Target, delay: float = 0.0) -> None:
        """Probe the target from now on, or as it now is; not before `delay` seconds."""
        self.remove(target.uid)
        entry = self._entries[target.uid] = _Entry(target)
        earliest = asyncio.get_running_loop().time() + delay
        self._push(entry, earliest)

    def remove(self, uid: str) -> None:
        """Probe it no longer. A round that is under way ends, and whoever asked for it must not mind."""
        entry = self._entries.pop(uid, None)
        if entry:
            entry.removed = True

    async def run(self) -> None:
        """Start rounds until cancelled; then cancel those under way."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self.last_tick = loop.time()
                self._start_due(self.last_tick)
                await asyncio.sleep(TICK)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _push(self, entry: _Entry, earliest: float) -> None:
        heapq.heappush(self._heap, (_next_beat(entry.target, earliest), next(self._order), entry))

    def _start_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            due, _, entry = heapq.heappop(self._heap)
            if entry.removed:
                continue
            self._push(entry, max(now, due) + TICK)
            if not entry.running:
                entry.running = True
                task = asyncio.create_task(self._round(entry), name=f"probe {entry.target.namespace}/{entry.target.name}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _round(self, entry: _Entry) -> None:
        try:
            async with self._slots:
                if not entry.removed:
                    await self._probe(entry.target)
        except Exception:  # one target's trouble must never end the others' probing
            log.exception("probe_crashed", namespace=entry.target.namespace, name=entry.target.name)
        finally:
            entry.running = False


def _next_beat(target: Target, earliest: float) -> float:
    """The first moment from `earliest` on that is the target's turn."""
    period = target.policy.period
    phase = zlib.crc32(target.uid.encode()) / 2**32 * period
    beats = -((phase - earliest) // period)
    return max(earliest, phase + beats * period)
