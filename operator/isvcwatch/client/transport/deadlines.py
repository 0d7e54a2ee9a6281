"""Ends exchanges whose time has passed, by one timer of the event loop for all that end at the same time.

A timer for each would be dearer than writing a request, although hardly any goes off: a tick's requests are nearly all answered within
milliseconds. And the more timers a loop has, because targets hang, the more each costs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio

GRAIN: Final = 0.001
"""Seconds to which times are rounded up."""


class Waiting(Protocol):
    """What is told that its time has passed."""

    def time_passed(self) -> None:
        """Its time has passed. It may have left since."""


class Deadlines:
    """The times that something waits for, on the clock of one event loop."""

    def __init__(self) -> None:
        self._moments: dict[int, Moment] = {}

    def join(self, loop: asyncio.AbstractEventLoop, until: float, waiting: Waiting) -> Moment:
        """Have something told once a time has passed, unless it leaves before."""
        number = math.ceil(until / GRAIN)
        moment = self._moments.get(number)
        if moment is None:
            moment = self._moments[number] = Moment(self._moments, number, loop)
        moment.waiting.add(waiting)
        return moment


class Moment:
    """A time, and what waits for it.

    Attributes:
        waiting: what waits for it. A set, so that what leaves it is freed at once: its memory is in the processor's caches.
    """

    __slots__ = ("_moments", "_number", "_timer", "waiting")

    def __init__(self, moments: dict[int, Moment], number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._moments = moments
        self._number = number
        self._timer = loop.call_at(number * GRAIN, self._passed, loop)
        self.waiting: set[Waiting] = set()

    def leave(self, waiting: Waiting) -> None:
        """Take out what needs not be told any more. The last one that leaves ends the timer."""
        self.waiting.discard(waiting)
        if not self.waiting and self._moments.get(self._number) is self:
            del self._moments[self._number]
            self._timer.cancel()

    def _passed(self, loop: asyncio.AbstractEventLoop) -> None:
        del self._moments[self._number]
        self._timer.cancel()  # breaks a reference cycle that only the garbage collector could free
        for waiting in self.waiting:
            loop.call_soon(waiting.time_passed)  # each by itself, so that an exception keeps none of the others from being told
