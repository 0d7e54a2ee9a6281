"""Limits the rate of writes: over all objects, of one namespace, and to one object."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import Final


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


SHARE: Final = 0.5
"""The part of all writes that one namespace may have for long, so that KServe's one worker has time for the others."""

AT_FIRST: Final = 60.0
"""Seconds of all writes that one namespace may have at first, so that an outage of a thousand models is told as fast as it can be."""


class Shares:
    """Limits what one namespace has of all writes, in the long run.

    Args:
        rate: the most writes a second over all namespaces.
    """

    def __init__(self, rate: float = 20.0) -> None:
        self._rate = rate * SHARE
        self._ahead = AT_FIRST / SHARE
        self._free_at: dict[str, float] = {}

    def use(self, namespace: str, now: float) -> None:
        """Count a write in a namespace."""
        if namespace not in self._free_at:
            self._forget(now)
        self._free_at[namespace] = max(self._free_at.get(namespace, now), now) + 1 / self._rate

    def wait(self, namespace: str, now: float) -> float:
        """Seconds until a namespace may have another write; 0 or less for at once."""
        return self._free_at.get(namespace, now) - now - self._ahead

    def _forget(self, now: float) -> None:
        """Forget the namespaces that have had no more than they may have for long."""
        self._free_at = {namespace: at for namespace, at in self._free_at.items() if at > now}


CALM: Final = 60.0
"""Seconds after which a write to an object no longer counts."""

OFTEN: Final = 4
"""Writes to an object within that time after which it rests longer after each; a model that fails and recovers takes two."""


class Restlessness:
    """Knows how often each object is written, whatever is written: each write is one reconcile of KServe's only worker.

    Args:
        most: objects that are remembered; the least recently written is forgotten first.
    """

    def __init__(self, most: int = 16_384) -> None:
        self._most = most
        self._heat: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def written(self, uid: str, now: float) -> float:
        """Count a write to an object, and return how many seconds it must rest beyond the usual pace: at most as long as a write counts."""
        heat, since = self._heat.pop(uid, (0.0, now))
        heat = max(heat - (now - since) / CALM, 0.0) + 1
        self._heat[uid] = heat, now
        if len(self._heat) > self._most:
            self._heat.popitem(last=False)
        return 0.0 if heat <= OFTEN else min(CALM, 2.0 ** (heat - OFTEN))
