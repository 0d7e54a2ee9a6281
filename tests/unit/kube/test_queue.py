"""Turns: each service once, at its pace, failures first, and no namespace before another for long."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from isvcwatch.kube.budget import AT_FIRST, SHARE, Shares
from isvcwatch.kube.queue import HURRIED, WORKERS, Place, Queue, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.looptime


class Stage:
    """A queue whose turns take a second. A service is called by its namespace and number, such as `a/1`.

    Attributes:
        began: whose turn began, in order.
        ill: services that are urgent.
        after: what comes after a service's turn, where it is not over with it.
    """

    def __init__(self, shares: Shares | None = None) -> None:
        self.began: list[str] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once = 0
        self.ill: set[str] = set()
        self.after: dict[str, Turn] = {}
        self.queue = Queue(self._take, lambda uid: Place(uid in self.ill, uid.partition("/")[0]), shares)

    def request(self, *uids: str) -> None:
        for uid in uids:
            self.queue.request(uid)

    async def _take(self, uid: str) -> Turn:
        self.began.append(uid)
        self.at_once[uid] += 1
        self.most_at_once = max(self.most_at_once, self.at_once[uid])
        await asyncio.sleep(1)
        self.at_once[uid] -= 1
        return self.after.get(uid, Turn())


@asynccontextmanager
async def queueing(shares: Shares | None = None) -> AsyncIterator[Stage]:
    stage = Stage(shares)
    task = asyncio.create_task(stage.queue.run())
    yield stage
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def many(namespace: str, count: int) -> list[str]:
    return [f"{namespace}/{number}" for number in range(count)]


async def test_a_namespace_with_many_does_not_go_before_one_with_few() -> None:
    async with queueing() as stage:
        stage.request(*many("crowd", 100), *many("few", 3), *many("others", 3))
        await asyncio.sleep(1.5)
        assert {uid for uid in stage.began[: 2 * WORKERS] if not uid.startswith("crowd")} == {*many("few", 3), *many("others", 3)}
        await asyncio.sleep(20)
        assert len(stage.began) == 106


async def test_failures_go_first_and_one_that_fails_while_it_waits_moves_up() -> None:
    async with queueing() as stage:
        stage.request(*many("a", 50))
        stage.ill = {"b/1", "a/49"}
        stage.request("b/1", "a/49", "a/49")
        await asyncio.sleep(0.5)
        assert stage.began[:2] == ["b/1", "a/49"]
        await asyncio.sleep(20)
        assert len(stage.began) == 51


async def test_one_that_has_its_turn_gets_another_after_it_has_rested() -> None:
    async with queueing() as stage:
        stage.after["a/1"] = Turn(rest=10)
        stage.request("a/1")
        await asyncio.sleep(0.5)
        stage.request("a/1", "a/1")
        await asyncio.sleep(10)
        assert stage.began == ["a/1"]
        await asyncio.sleep(1)
        assert stage.began == ["a/1", "a/1"]
        await asyncio.sleep(60)
        assert stage.began == ["a/1", "a/1"]
        assert stage.queue.idle


async def test_one_that_needs_another_turn_gets_it_unasked() -> None:
    async with queueing() as stage:
        stage.after["a/1"] = Turn(again=True, rest=1)
        stage.request("a/1")
        await asyncio.sleep(10.5)
        assert len(stage.began) == 6
        assert not stage.queue.idle


async def test_while_it_is_flushed_nobody_rests_for_long() -> None:
    async with queueing() as stage:
        stage.after = dict.fromkeys(many("a", WORKERS), Turn(rest=60))
        stage.request(*many("a", WORKERS))
        await asyncio.sleep(1.5)
        stage.request(*many("a", WORKERS))
        assert await stage.queue.flush(1 + 10 * HURRIED)
        assert len(stage.began) == 2 * WORKERS


async def test_flushing_gives_nobody_two_turns_at_once() -> None:
    async with queueing() as stage:
        stage.request("a/1")
        await asyncio.sleep(0.5)
        stage.request("a/1")
        assert await stage.queue.flush(5)
        assert stage.began == ["a/1", "a/1"]
        assert stage.most_at_once == 1


async def test_one_whose_rest_a_flush_has_ended_is_freed_once() -> None:
    async with queueing() as stage:
        stage.after["a/1"] = Turn(rest=1.2)
        stage.request("a/1")
        await asyncio.sleep(1.5)
        stage.request("a/1")
        flushing = asyncio.create_task(stage.queue.flush(5))
        await asyncio.sleep(0.8)  # the rest would have ended in the midst of this turn
        stage.request("a/1")
        assert await flushing
        assert stage.most_at_once == 1
        assert len(stage.began) == 3


async def test_while_many_fail_every_fourth_turn_is_another() -> None:
    async with queueing() as stage:
        stage.ill = {*many("a", 1000)}
        stage.request(*many("a", 1000), *many("b", 100))
        await asyncio.sleep(9.5)
        assert sum(uid.startswith("b/") for uid in stage.began) == len(stage.began) // 4 == 10 * WORKERS // 4


async def test_a_namespace_that_has_had_its_share_waits_and_no_other_does() -> None:
    shares = Shares(rate=1.0)
    async with queueing(shares) as stage:
        crowd = many("crowd", 500)
        stage.after = dict.fromkeys([*crowd, "other/1"], Turn(wrote=True))
        stage.ill = {*crowd}
        stage.request(*crowd)
        await asyncio.sleep(1000)
        had = len(stage.began)
        assert had == 500
        assert shares.wait("crowd", asyncio.get_running_loop().time()) <= 0
        stage.request(*crowd)
        await asyncio.sleep(100.5)
        assert len(stage.began) - had == pytest.approx(AT_FIRST + 100 * SHARE, abs=2 * WORKERS)
        stage.request("other/1")
        await asyncio.sleep(0.1)
        assert stage.began[-1] == "other/1"


async def test_what_a_namespace_may_have_does_not_hold_up_the_end() -> None:
    async with queueing(Shares(rate=0.1)) as stage:
        stage.after = dict.fromkeys(many("a", 100), Turn(wrote=True))
        stage.request(*many("a", 100))
        assert await stage.queue.flush(20)


async def test_what_does_not_end_in_time_is_not_waited_for() -> None:
    async with queueing() as stage:
        stage.request("a/1")
        assert not await stage.queue.flush(0.5)


async def test_it_knows_for_how_long_nothing_has_gone_on_while_someone_waits() -> None:
    queue = Queue(lambda _: asyncio.sleep(100, Turn()), lambda _: Place(False, ""))
    assert queue.stalled == 0
    await asyncio.sleep(50)
    queue.request("a")
    await asyncio.sleep(5)
    assert queue.stalled == pytest.approx(5, abs=0.1)
    task = asyncio.create_task(queue.run())
    await asyncio.sleep(7)
    assert queue.stalled == pytest.approx(7, abs=0.1)
    await asyncio.sleep(100)
    assert queue.stalled == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
