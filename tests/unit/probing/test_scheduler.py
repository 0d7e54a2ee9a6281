"""Who is due, and when."""

from __future__ import annotations

import asyncio
import random
import uuid
import zlib
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from isvcwatch.probing.scheduler import TICK, Scheduler
from tests.unit import builders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from isvcwatch.core.targets import Target

pytestmark = pytest.mark.looptime

PERIOD = 1.0
"""Seconds; short, since every tick of simulated time costs real time."""


class Rounds:
    """Notes when each target's rounds start, and lets each take as long as told.

    Attributes:
        takes: seconds by UID; for ever where infinite.
        fails: UIDs whose rounds end in an exception.
    """

    def __init__(self, **takes: float) -> None:
        self.takes = takes
        self.fails: set[str] = set()
        self.started: list[tuple[str, float]] = []
        self.under_way = 0
        self.seen: list[Target] = []

    async def __call__(self, target: Target) -> None:
        self.started.append((target.uid, asyncio.get_running_loop().time()))
        self.seen.append(target)
        self.under_way += 1
        try:
            await asyncio.sleep(min(self.takes.get(target.uid, 0.001), 1e6))
            if target.uid in self.fails:
                raise RuntimeError("a bug")
        finally:
            self.under_way -= 1

    def times(self, uid: str) -> list[float]:
        return [time for started, time in self.started if started == uid]


@asynccontextmanager
async def scheduling(rounds: Rounds) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(rounds)
    before = asyncio.all_tasks()
    task = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert asyncio.all_tasks() == before
    assert rounds.under_way == 0


def phase(uid: str) -> float:
    return zlib.crc32(uid.encode()) / 2**32 * PERIOD


def target(uid: str, period: float = PERIOD, timeout: float = 2.0) -> Target:
    return builders.target(uid, period=period, timeout=timeout)


@pytest.mark.parametrize("uid", ["a", "b", "uid-of-iris"])
async def test_a_target_is_probed_at_the_place_of_its_uid_in_each_period(uid: str) -> None:
    rounds = Rounds()
    async with scheduling(rounds) as scheduler:
        scheduler.set(target(uid))
        await asyncio.sleep(5 * PERIOD)
    expected = [phase(uid) + n * PERIOD for n in range(5)]
    assert len(rounds.times(uid)) == 5
    assert all(beat <= time <= beat + 2 * TICK for beat, time in zip(expected, rounds.times(uid), strict=True))


@pytest.mark.parametrize("period", [0.1, 0.25])
async def test_the_period_is_kept(period: float) -> None:
    rounds = Rounds()
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("a", period=period))
        await asyncio.sleep(10 * period)
    assert len(rounds.started) in {9, 10}


async def test_a_fleet_is_spread_evenly_over_the_period() -> None:
    rounds = Rounds()
    async with scheduling(rounds) as scheduler:
        chance = random.Random(1)  # noqa: S311 -- the same fleet each time
        for _ in range(1000):
            scheduler.set(target(str(uuid.UUID(int=chance.getrandbits(128), version=4))))
        await asyncio.sleep(PERIOD)
    tenths = Counter(int(time * 10) for _, time in rounds.started)
    assert all(70 < tenths[tenth] < 130 for tenth in range(10))


async def test_a_hanging_target_delays_no_other() -> None:
    rounds = Rounds(hangs=float("inf"))
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("hangs"))
        scheduler.set(target("a"))
        await asyncio.sleep(10 * PERIOD)
    assert len(rounds.times("hangs")) == 1
    assert len(rounds.times("a")) == 10


async def test_a_round_that_outlasts_its_period_skips_beats_and_is_never_doubled() -> None:
    rounds = Rounds(slow=1.2)
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("slow"))
        await asyncio.sleep(phase("slow") + 4.1)
        assert rounds.under_way <= 1
    gaps = [after - before for before, after in zip(rounds.times("slow"), rounds.times("slow")[1:], strict=False)]
    assert gaps == [pytest.approx(2, abs=0.1)] * 2


async def test_more_than_the_bound_do_not_run_at_once() -> None:
    rounds = Rounds(**{f"uid-{n}": float("inf") for n in range(1100)})
    async with scheduling(rounds) as scheduler:
        for n in range(1100):
            scheduler.set(target(f"uid-{n}"))
        await asyncio.sleep(2)
        assert rounds.under_way == 1000


async def test_one_that_was_removed_while_it_waited_for_a_slot_is_not_probed() -> None:
    rounds = Rounds(**{f"uid-{n}": 3.0 for n in range(1000)})
    async with scheduling(rounds) as scheduler:
        for n in range(1000):
            scheduler.set(target(f"uid-{n}"))
        await asyncio.sleep(1)
        scheduler.set(target("late"))
        await asyncio.sleep(1.1)
        scheduler.remove("late")
        await asyncio.sleep(3)
    assert rounds.times("late") == []


async def test_a_crash_ends_neither_the_others_rounds_nor_its_own_next() -> None:
    rounds = Rounds()
    rounds.fails = {"crashes"}
    with capture_logs() as lines:
        async with scheduling(rounds) as scheduler:
            scheduler.set(target("crashes"))
            scheduler.set(target("a"))
            await asyncio.sleep(3)
    assert len(rounds.times("crashes")) == 3
    assert len(rounds.times("a")) == 3
    assert {(line["event"], line["name"]) for line in lines} == {("probe_crashed", "iris")}


@pytest.mark.parametrize("delay", [0.0, 0.5, 1.7])
async def test_an_initial_delay_is_kept_and_then_the_beat(delay: float) -> None:
    rounds = Rounds()
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("a"), delay)
        await asyncio.sleep(3)
    first = rounds.times("a")[0]
    assert delay <= first <= delay + PERIOD + 2 * TICK
    assert (first - phase("a")) % PERIOD < 2 * TICK


@pytest.mark.parametrize("moment", [0.0, 0.99, 1.0, 1.5])
async def test_a_removed_target_is_not_probed_again(moment: float) -> None:
    rounds = Rounds()
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("a"))
        scheduler.set(target("b"))
        await asyncio.sleep(moment)
        scheduler.remove("a")
        scheduler.remove("a")
        assert len(scheduler) == 1
        await asyncio.sleep(3)
    assert all(time <= moment for time in rounds.times("a"))
    assert len(rounds.times("b")) >= 3


@pytest.mark.parametrize("moment", [0.0, 0.013, 0.99, 1.0, 1.5])
async def test_a_target_that_is_set_again_is_probed_as_it_now_is_and_no_more_often(moment: float) -> None:
    rounds = Rounds()
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("a", timeout=1.0))
        await asyncio.sleep(moment)
        for _ in range(5):
            scheduler.set(target("a", timeout=2.0))
        await asyncio.sleep(3)
    assert len(rounds.times("a")) in {int(moment) + 3, int(moment) + 4}
    later = [seen for (_, time), seen in zip(rounds.started, rounds.seen, strict=True) if time > moment]
    assert {seen.policy.timeout for seen in later} == {2.0}


async def test_a_target_that_is_set_again_while_its_round_hangs_is_probed_at_its_next_beat() -> None:
    rounds = Rounds(a=float("inf"))
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("a"))
        await asyncio.sleep(1.5)
        scheduler.set(target("a", timeout=3.0))
        await asyncio.sleep(1.5)
        assert len(rounds.times("a")) == 2


async def test_a_removed_target_can_come_back() -> None:
    rounds = Rounds()
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("a"))
        scheduler.remove("a")
        scheduler.set(target("a"))
        await asyncio.sleep(3)
    assert len(rounds.times("a")) == 3


async def test_the_last_tick_is_never_long_ago() -> None:
    async with scheduling(Rounds(hangs=float("inf"))) as scheduler:
        scheduler.set(target("hangs"))
        for _ in range(20):
            await asyncio.sleep(0.1)
            assert asyncio.get_running_loop().time() - scheduler.last_tick <= 2 * TICK


async def test_to_end_is_to_cancel_what_is_under_way() -> None:
    rounds = Rounds(a=float("inf"), b=float("inf"))
    async with scheduling(rounds) as scheduler:
        scheduler.set(target("a"))
        scheduler.set(target("b"))
        await asyncio.sleep(1.1)
        assert rounds.under_way == 2
    assert rounds.under_way == 0
