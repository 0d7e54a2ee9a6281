"""Runs Python's garbage collection when it disturbs least: a full collection with ten thousand connections stops the loop for 0.5 s.

A probe's objects are freed at once, or by a collection of the young generation. Full collections are rare, and wait for a moment when
no round waits for an answer.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

THRESHOLDS: Final = (10_000, 2, 45_000)
"""Thresholds of Python's collector: it collects the young generation after so many allocations, the middle one after every other time, and
practically never all objects. Before the first freeze, and while thousands of services are derived anew, each takes some 2 µs an object
that is looked at: a middle one of a million objects stopped the loop for 0.4 s."""

WARM: Final = 30.0
"""Seconds after the start at which all present objects are frozen, so that no collection visits them. By then, the fleet has been asked
once and its connections exist."""

EVERY: Final = 3600.0
"""Seconds between two full collections, which include the frozen objects. They free reference cycles that became garbage late."""

LOOK: Final = 0.25
"""Seconds between two checks for a quiet moment."""

PATIENCE: Final = 60.0
"""The most seconds of waiting for a quiet moment; after that, a busy one is used."""


class Garbage:
    """Replaces the automatic full collections by its own while it runs.

    Args:
        busy: returns how many rounds are under way.

    Attributes:
        collections: how many full collections it has made.
        seconds: how long they took in all.
    """

    def __init__(self, busy: Callable[[], int]) -> None:
        self._busy = busy
        self.collections = 0
        self.seconds = 0.0

    async def run(self) -> None:
        """Collect until cancelled, and then restore the collector's settings."""
        before = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        try:
            await asyncio.sleep(WARM)
            gc.freeze()
            while True:
                await asyncio.sleep(EVERY)
                await self._quiet()
                self._collect()
        finally:
            gc.unfreeze()
            gc.set_threshold(*before)

    async def _quiet(self) -> None:
        for _ in range(int(PATIENCE / LOOK)):
            if not self._busy():
                return
            await asyncio.sleep(LOOK)

    def _collect(self) -> None:
        began = time.perf_counter()
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self.collections += 1
        self.seconds += time.perf_counter() - began
