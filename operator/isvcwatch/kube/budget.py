"""Limits the rate of writes over all objects."""

from __future__ import annotations

import asyncio
import math


class Budget:
    """Limits calls to a rate, with bursts.

    Args:
        rate: the most calls a second over a longer time.
        burst: how many calls may go out at once after a time with fewer.
    """

    def __init__(self, rate: float = 20.0, burst: int = 100) -> None:
        self._rate = rate
        self._burst = burst
        self._free_at = -math.inf

    async def take(self) -> None:
        """Wait until a call may be made. Callers go in the order in which they call this."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - self._burst / self._rate) + 1 / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
