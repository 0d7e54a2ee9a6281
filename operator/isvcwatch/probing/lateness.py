"""Records when the watcher itself was late, since it was stopped, throttled or busy. Failures at such a time say nothing about servers."""

from __future__ import annotations

from collections import deque
from typing import Final

REMEMBERED: Final = 64
"""The number of stalls that are remembered: more than the longest round sees, since stalls are at least `SHORTEST` apart."""

SHORTEST: Final = 0.05
"""Seconds of lateness that count as a stall; a shorter one does not matter to any deadline that a policy would set."""

LONGEST: Final = 0.25
"""The most seconds of lateness that are tolerated, whatever the timeout."""


def tolerated(timeout: float) -> float:
    """Seconds by which the loop may be late in a round with this timeout without the round being discarded."""
    return max(SHORTEST, min(LONGEST, timeout / 4))


class Lateness:
    """Records the stalls of the event loop, from the lateness of a regular tick.

    Args:
        tick: the most seconds between two ticks.
        now: this moment, on the loop's clock.

    Attributes:
        last_tick: the time of the latest tick.
        stalls: how many stalls there were.
        stalled: the seconds of all stalls together.
    """

    def __init__(self, tick: float, now: float) -> None:
        self._tick = tick
        self._recent: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self.last_tick = now
        self.stalls = 0
        self.stalled = 0.0

    def tick(self, now: float, due: float) -> float:
        """Take note of a tick that was due at a time, and return by how many seconds it is late."""
        late = now - due
        if late > SHORTEST:
            self._recent.append((now, late))
            self.stalls += 1
            self.stalled += late
        self.last_tick = now
        return late

    def latest(self, within: float) -> float:
        """Seconds of the longest stall that ended in the `within` seconds before the latest tick; 0 if there was none."""
        return max((late for end, late in self._recent if self.last_tick - end <= within), default=0.0)

    def spoiled(self, since: float, now: float, bound: float) -> bool:
        """Whether the loop was late by more than `bound` seconds at any time since `since`.

        A stall that has just ended counts too, although no tick has recorded it yet: uvloop may run other due timers before the tick.
        """
        return now - self.last_tick - self._tick > bound or any(end > since and late > bound for end, late in self._recent)
