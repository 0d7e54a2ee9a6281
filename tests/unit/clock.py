"""A clock that stands still until it is moved, so that what a deadline does on real sockets doesn't hang on how busy the machine is."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = 10.0


@dataclass
class Clock:
    """The running event loop's time."""

    now: float

    async def move(self, seconds: float) -> None:
        """Let time pass, and let what was due by then be done."""
        self.now += seconds
        for _ in range(5):
            await asyncio.sleep(0)


@contextmanager
def standing_clock() -> Iterator[Clock]:
    """Within, no timer of the running loop (asyncio's own) goes off unless the clock is moved past it."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    with patch.object(loop, "time", lambda: clock.now):
        yield clock


async def until(happened: Callable[[], bool], patience: float = SOON) -> None:
    """Wait for what comes over a socket, by turns of the loop and not by its clock."""
    loop = asyncio.get_running_loop()
    for _ in range(int(patience / 0.001)):
        if happened():
            return
        await loop.run_in_executor(None, pause)
    raise AssertionError("it has not happened")


def pause() -> None:
    """A thread's rest, which no event loop's clock ends."""
    time.sleep(0.001)
