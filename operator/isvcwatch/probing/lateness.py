"""When the watcher itself was late: stopped, throttled, or busy. What it heard then says nothing about others."""

from __future__ import annotations

from collections import deque
from typing import Final

REMEMBERED: Final = 64
"""Stalls; more than the longest round sees, since each is at least `SHORTEST` apart from the next."""

SHORTEST: Final = 0.05
"""Seconds; what is shorter shifts no deadline that a policy would set."""

LONGEST: Final = 0.25
"""Seconds of lateness that are never overlooked, whatever the timeout."""


def tolerated(timeout: float) -> float:
    """Seconds by which the loop may be late in a round with this timeout."""
    return max(SHORTEST, min(LONGEST, timeout / 4))


class Lateness:
    """The stalls of the loop, seen from a tick that should come every so often.

    Args:
        tick: seconds between two ticks.
        now: this moment, on the loop's clock.

    Attributes:
        last_tick: when the latest tick was.
        stalls: how many there were.
        stalled: seconds, of all of them.
    """

    def __init__(self, tick: float, now: float) -> None:
        self._tick = tick
        self._recent: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self.last_tick = now
        self.stalls = 0
        self.stalled = 0.0

    def tick(self, now: float) -> float:
        """A tick; how many seconds late it is."""
        late = now - self.last_tick - self._tick
        if late > SHORTEST:
            self._recent.append((now, late))
            self.stalls += 1
            self.stalled += late
        self.last_tick = now
        return late

    def latest(self, within: float) -> float:
        """Seconds of the longest stall that ended within so many seconds before the latest tick; 0 where there was none."""
        return max((late for end, late in self._recent if self.last_tick - end <= within), default=0.0)

    def spoiled(self, since: float, now: float, bound: float) -> bool:
        """Whether the loop was late by more than `bound` seconds at any time since then.

        The stall that has just ended counts, too: uvloop runs the timers that fell due in it before anything else, our tick not among them.
        """
        return now - self.last_tick - self._tick > bound or any(end > since and late > bound for end, late in self._recent)
