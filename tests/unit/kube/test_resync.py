"""Complete lists beside the watch: what the watch has lost is found, and a list that can't be trusted is not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.kube import errors
from isvcwatch.kube.api import Listed
from isvcwatch.kube.inventory import Inventory
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, INFERENCE_SERVICES
from isvcwatch.kube.resync import FREED_AT_ONCE, JITTER, PERIOD, STALE_LISTS, UNSERVED_LISTS, Resync
from tests.unit.kube.fakes import FakeApi
from tests.unit.kube.test_inventory import service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.kube.fakes import Answer

pytestmark = pytest.mark.looptime

ROUND = PERIOD * (1 + JITTER)


class Counted:
    def __init__(self) -> None:
        self.missed: list[int] = []

    def resync(self, missed: int) -> None:
        self.missed.append(missed)


class Stage:
    def __init__(self, *answers: Answer, namespaces: tuple[str, ...] = ()) -> None:
        self.api = FakeApi({"list_all": list(answers)})
        self.inventory = Inventory()
        self.counted = Counted()
        self.resync = Resync(self.api.api, self.inventory, namespaces, self.counted, clock=asyncio.get_running_loop().time)

    @property
    def names(self) -> list[str]:
        return sorted(isvc.name for isvc in self.inventory._services.values())


@asynccontextmanager
async def resyncing(*answers: Answer, namespaces: tuple[str, ...] = ()) -> AsyncIterator[Stage]:
    stage = Stage(*answers, namespaces=namespaces)
    task = asyncio.create_task(stage.resync.run([INFERENCE_SERVICES]))
    await asyncio.sleep(0)
    yield stage
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def listed(version: str, *names: str) -> Listed:
    items: list[dict[str, Any]] = [service(name, version="5") for name in names]
    return Listed(items, version)


async def test_what_a_watch_has_lost_is_found_within_a_round() -> None:
    async with resyncing(listed("10", "a", "b"), listed("20", "b", "c")) as stage:
        stage.inventory.put_service(service("a", version="5"))
        await asyncio.sleep(ROUND)
        assert stage.names == ["a", "b"]
        await asyncio.sleep(ROUND)
        assert stage.names == ["b", "c"]
        assert stage.counted.missed[:2] == [1, 2]


async def test_its_age_is_that_of_the_latest_complete_list() -> None:
    async with resyncing(listed("10"), errors.UnavailableError("away")) as stage:
        await asyncio.sleep(ROUND)
        assert stage.resync.age < 2 * PERIOD * JITTER + 1
        await asyncio.sleep(10 * PERIOD)
        assert stage.resync.age > 9 * PERIOD
        assert stage.resync.problem == "away"


async def test_trouble_is_said_once_and_tried_again_soon() -> None:
    with capture_logs() as lines:
        async with resyncing(errors.UnavailableError("away"), errors.UnavailableError("away"), listed("10", "a")) as stage:
            await asyncio.sleep(ROUND + 10)
            assert stage.names == ["a"]
            assert stage.resync.problem == ""
    assert [line["event"] for line in lines if line["event"] == "not_listed"] == ["not_listed"]


async def test_a_list_that_is_older_than_one_before_is_not_believed() -> None:
    async with resyncing(listed("20", "a"), listed("10"), listed("30", "a", "b")) as stage:
        await asyncio.sleep(2 * ROUND + 5)
        assert stage.names == ["a", "b"]


async def test_an_api_server_that_goes_on_listing_an_older_state_was_restored() -> None:
    older = [listed("10", "a") for _ in range(2 * STALE_LISTS)]
    with capture_logs() as lines:
        async with resyncing(listed("20", "a", "b"), *older) as stage:
            await asyncio.sleep(2 * ROUND + 60)
            assert stage.names == ["a"]
    assert "restored" in [line["event"] for line in lines]


async def test_a_kind_that_is_not_served_for_a_moment_loses_nothing_and_one_that_stays_away_all() -> None:
    missing = errors.NotServedError("no CRD")
    async with resyncing(*[missing] * (UNSERVED_LISTS - 1), listed("10", "a"), *[missing] * UNSERVED_LISTS) as stage:
        stage.inventory.put_service(service("a", version="5"))
        await asyncio.sleep(ROUND + 10)
        assert stage.names == ["a"]
        await asyncio.sleep(2 * ROUND + 60)
        assert stage.names == []


async def test_each_namespace_is_listed_and_says_nothing_of_others() -> None:
    async with resyncing(
        lambda _, namespace: listed("10", *(["a"] if namespace == "models" else [])), namespaces=("models", "others")
    ) as stage:
        await asyncio.sleep(ROUND)
        assert [body for _, _, body in stage.api.calls] == ["models", "others"]
        assert stage.names == ["a"]


async def test_a_kind_that_can_not_be_listed_keeps_no_other_from_being() -> None:
    def answer(resource: str, _: object) -> Listed:
        if "runtimes" in resource:
            raise errors.ForbiddenError("may not")
        return listed("10", "a")

    stage = Stage(answer)
    with pytest.raises(errors.ForbiddenError):
        await stage.resync.once([CLUSTER_SERVING_RUNTIMES, INFERENCE_SERVICES])
    assert stage.names == ["a"]


async def test_a_bug_ends_nothing() -> None:
    with capture_logs() as lines:
        async with resyncing(RuntimeError("a bug"), listed("10", "a")) as stage:
            await asyncio.sleep(ROUND + 5)
            assert stage.names == ["a"]
    assert lines[0]["event"] == "resync_crashed"


async def test_a_large_list_is_freed_some_objects_at_a_time_with_others_turns_in_between() -> None:
    listed = Listed([service(f"s{n}") for n in range(3 * FREED_AT_ONCE)], "100")
    stage = Stage(listed)
    left: list[int] = []

    async def another() -> None:
        while True:
            left.append(len(listed.items))
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    await stage.resync.once([INFERENCE_SERVICES])
    task.cancel()
    assert stage.counted.missed == [3 * FREED_AT_ONCE]
    assert {3 * FREED_AT_ONCE, 2 * FREED_AT_ONCE, FREED_AT_ONCE} <= set(left)
