"""So much a second over all objects, whoever asks."""

from __future__ import annotations

import asyncio
import math


class Budget:
    """So many calls a second, some more at once.

    Args:
        rate: calls a second.
        burst: calls at once, after a time with fewer.
    """

    def __init__(self, rate: float = 20.0, burst: int = 100) -> None:
        self._rate = rate
        self._burst = burst
        self._free_at = -math.inf

    async def take(self) -> None:
        """Wait for a call's turn; turns come in the order in which they are asked for."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - self._burst / self._rate) + 1 / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
