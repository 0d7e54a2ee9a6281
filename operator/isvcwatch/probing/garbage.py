"""Garbage, collected when it disturbs least: looking through ten thousand connections stops the loop for half a second.

What a probe leaves behind is freed at once, or is young when Python looks for it. Looking through all there is, is put off, and done
seldom, at a moment when no round waits for an answer.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

THRESHOLDS: Final = (50_000, 20, 1000)
"""Of Python's collector: the young are looked at after so many allocations, all there is practically never."""

WARM: Final = 30.0
"""Seconds after the start, when a fleet has been asked once and its connections are there: what is there then is passed over."""

EVERY: Final = 3600.0
"""Seconds between two looks through all there is, what was passed over as well: for rings that have grown old before they were garbage."""

LOOK: Final = 0.25
"""Seconds between two looks for a quiet moment."""

PATIENCE: Final = 60.0
"""Seconds of waiting for a quiet moment, after which a busy one must do."""


class Garbage:
    """Collects by hand, while it runs.

    Args:
        busy: how many rounds are under way.

    Attributes:
        collections: how many were made.
        seconds: how long they took, in all.
    """

    def __init__(self, busy: Callable[[], int]) -> None:
        self._busy = busy
        self.collections = 0
        self.seconds = 0.0

    async def run(self) -> None:
        """Collect until cancelled; then leave the collector as it was."""
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
