"""Garbage is collected at quiet moments, and what lives is passed over."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from isvcwatch.probing.garbage import EVERY, LOOK, PATIENCE, THRESHOLDS, WARM, Garbage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def collecting(busy: list[int]) -> AsyncIterator[Garbage]:
    garbage = Garbage(lambda: busy[0])
    before = gc.get_threshold()
    task = asyncio.create_task(garbage.run())
    try:
        yield garbage
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_what_is_there_after_the_start_is_passed_over_and_looked_through_seldom() -> None:
    async with collecting([0]) as garbage:
        await asyncio.sleep(WARM - 1)
        assert (gc.get_freeze_count(), gc.get_threshold()) == (0, THRESHOLDS)
        await asyncio.sleep(2)
        assert gc.get_freeze_count() > 0
        assert garbage.collections == 0
        await asyncio.sleep(3 * EVERY)
        assert garbage.collections == 3
        assert garbage.seconds > 0.0


async def test_a_quiet_moment_is_waited_for_but_not_for_ever() -> None:
    busy = [5]
    async with collecting(busy) as garbage:
        await asyncio.sleep(WARM + EVERY + 10)
        assert garbage.collections == 0
        busy[0] = 0
        await asyncio.sleep(2 * LOOK)
        assert garbage.collections == 1
        busy[0] = 5
        await asyncio.sleep(EVERY + PATIENCE + 1)
        assert garbage.collections == 2


async def test_what_was_passed_over_while_it_lived_is_found_once_it_is_garbage() -> None:
    class Node:
        def __init__(self) -> None:
            self.me = self

    alive = [Node() for _ in range(100)]
    async with collecting([0]):
        await asyncio.sleep(WARM + 1)
        alive.clear()
        await asyncio.sleep(EVERY)
        assert not [each for each in gc.get_objects() if type(each) is Node]
