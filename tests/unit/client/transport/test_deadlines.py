"""When exchanges are told that their time has passed."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from isvcwatch.client.transport.deadlines import GRAIN, Deadlines

pytestmark = pytest.mark.looptime


class Waits:
    """Notes when it is told."""

    def __init__(self, *, crashes: bool = False) -> None:
        self.told: list[float] = []
        self._crashes = crashes

    def time_passed(self) -> None:
        if self._crashes:
            raise RuntimeError("a bug")
        self.told.append(asyncio.get_running_loop().time())


async def test_each_is_told_once_and_in_time() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines()
    waits = {until: Waits() for until in (0.0, 0.0004, 0.5, 0.75, 2.0)}
    for until, waiting in waits.items():
        deadlines.join(loop, loop.time() + until, waiting)
    began = loop.time()
    await asyncio.sleep(3.0)
    for until, waiting in waits.items():
        assert waiting.told == [pytest.approx(began + until, abs=2 * GRAIN)]
        assert waiting.told[0] >= began + until


async def test_one_timer_serves_all_that_end_together() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines()
    waits = [Waits() for _ in range(100)]
    with patch.object(loop, "call_at", wraps=loop.call_at) as timed:
        for waiting in waits:
            deadlines.join(loop, 1.0, waiting)
    assert timed.call_count == 1
    await asyncio.sleep(2.0)
    assert all(len(waiting.told) == 1 for waiting in waits)


async def test_what_has_left_is_not_told_and_the_last_one_ends_the_timer() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines()
    leaves, stays = Waits(), Waits()
    moment = deadlines.join(loop, 1.0, leaves)
    assert deadlines.join(loop, 1.0, stays) is moment
    moment.leave(leaves)
    await asyncio.sleep(1.5)
    assert (leaves.told, len(stays.told)) == ([], 1)

    alone = deadlines.join(loop, 2.0, leaves)
    alone.leave(leaves)
    assert alone._timer.cancelled()
    await asyncio.sleep(1.0)
    assert leaves.told == []
    assert deadlines._moments == {}


async def test_one_that_has_left_late_takes_nothing_from_those_that_wait_anew() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines()
    early, late = Waits(), Waits()
    moment = deadlines.join(loop, 1.0, early)
    await asyncio.sleep(1.5)
    deadlines.join(loop, 1.0, late)  # a time that is over
    moment.leave(early)
    await asyncio.sleep(0.1)
    assert len(late.told) == 1


async def test_a_bug_in_one_keeps_no_other_from_being_told() -> None:
    loop = asyncio.get_running_loop()
    reported: list[object] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    deadlines = Deadlines()
    waits = [Waits(crashes=number % 2 == 0) for number in range(10)]
    for waiting in waits:
        deadlines.join(loop, 1.0, waiting)
    await asyncio.sleep(1.5)
    assert len(reported) == 5
    assert sum(len(waiting.told) for waiting in waits) == 5
