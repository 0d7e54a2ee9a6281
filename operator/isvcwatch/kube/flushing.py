"""Waits for pending work to go out before the process ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK: Final = 0.02
"""Seconds between two checks of whether all work has gone out."""


async def all_out(idle: Callable[[], bool], seconds: float) -> bool:
    """Wait until `idle` returns True; return False if it does not within so many seconds."""
    end = asyncio.get_running_loop().time() + seconds
    while not idle() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 -- once in a process's life
        await asyncio.sleep(LOOK)
    return idle()
