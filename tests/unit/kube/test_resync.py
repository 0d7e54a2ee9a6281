"""Complete lists beside the watch: what the watch has lost is found, and a list that can't be trusted is not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.kube import errors
from isvcwatch.kube.api import Page
from isvcwatch.kube.kinds import CLUSTER_RUNTIMES, KINDS, RUNTIMES, SERVICES, SLICES
from isvcwatch.kube.resync import JITTER, PERIOD, STALE_LISTS, UNSERVED_LISTS, Resync
from isvcwatch.kube.store import Store
from tests.unit.kube.fakes import FakeApi
from tests.unit.kube.test_store import endpoint_slice, runtime, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from isvcwatch.kube.kinds import Kind
    from tests.unit.kube.fakes import Answer

pytestmark = pytest.mark.looptime

ROUND = PERIOD * (1 + JITTER)


class Counted:
    def __init__(self) -> None:
        self.missed: list[int] = []

    def resync(self, missed: int) -> None:
        self.missed.append(missed)


class Stage:
    def __init__(self, *answers: Answer, namespaces: tuple[str, ...] = (), wanted: tuple[Kind[Any], ...] = (SERVICES,)) -> None:
        self.api = FakeApi({"pages": list(answers)})
        self.store = Store(lambda _: None)
        self.counted = Counted()
        self.resync = Resync(self.api.api, self.store, namespaces, self.counted, clock=asyncio.get_running_loop().time, wanted=wanted)

    @property
    def names(self) -> list[str]:
        return sorted(isvc.name for isvc in self.store.of(SERVICES))


@asynccontextmanager
async def resyncing(*answers: Answer, namespaces: tuple[str, ...] = ()) -> AsyncIterator[Stage]:
    stage = Stage(*answers, namespaces=namespaces)
    task = asyncio.create_task(stage.resync.run([SERVICES]))
    await asyncio.sleep(0)
    yield stage
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def listed(version: str, *names: str) -> Page:
    items: list[dict[str, Any]] = [service(name, version="5") for name in names]
    return Page(items, version)


def within(namespace: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The object, moved to that namespace."""
    raw["metadata"] |= {"namespace": namespace, "uid": f"{raw['metadata']['uid']}-in-{namespace}"}
    return raw


async def test_what_a_watch_has_lost_is_found_within_a_round() -> None:
    async with resyncing(listed("10", "a", "b"), listed("20", "b", "c")) as stage:
        stage.store.put(SERVICES, service("a", version="5"))
        await asyncio.sleep(ROUND)
        assert stage.names == ["a", "b"]
        await asyncio.sleep(ROUND)
        assert stage.names == ["b", "c"]
        assert stage.counted.missed[:2] == [1, 2]


async def test_a_list_that_is_asked_for_is_made_at_once() -> None:
    async with resyncing(listed("10", "a", "b"), listed("20", "b"), listed("30", "b")) as stage:
        await asyncio.sleep(ROUND)
        stage.resync.soon()
        await asyncio.sleep(0.1)
        assert stage.names == ["b"]
        assert stage.counted.missed == [2, 1]
        await asyncio.sleep(PERIOD / 2)
        assert len(stage.counted.missed) == 2


async def test_it_counts_the_lists_in_a_row_that_the_watch_had_missed_changes_of() -> None:
    async with resyncing(listed("10", "a"), listed("20", "b"), listed("30", "c"), listed("30", "c")) as stage:
        await asyncio.sleep(2 * ROUND)
        assert stage.resync.missing >= 2
        await asyncio.sleep(2 * ROUND)
        assert stage.resync.missing == 0


async def test_what_a_list_finds_that_was_asked_for_does_not_count_as_missed_by_the_watch_now() -> None:
    async with resyncing(listed("10", "a"), listed("20", "b")) as stage:
        stage.resync.soon()
        await asyncio.sleep(0.1)
        stage.resync.soon()
        await asyncio.sleep(0.1)
        assert stage.counted.missed == [1, 2]
        assert stage.resync.missing == 0


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
    with capture_logs() as lines:
        async with resyncing(listed("20", "a", "b"), *[listed("10", "a")] * STALE_LISTS) as stage:
            await asyncio.sleep(2 * ROUND + 60)
            assert stage.names == ["a"]
    assert "restored" in [line["event"] for line in lines]


async def test_a_kind_that_is_not_served_for_a_moment_loses_nothing_and_one_that_stays_away_all() -> None:
    missing = errors.NotServedError("no CRD")
    async with resyncing(*[missing] * (UNSERVED_LISTS - 1), listed("10", "a"), *[missing] * UNSERVED_LISTS) as stage:
        stage.store.put(SERVICES, service("a", version="5"))
        await asyncio.sleep(ROUND + 10)
        assert stage.names == ["a"]
        await asyncio.sleep(2 * ROUND + 60)
        assert stage.names == []


async def test_a_kind_that_is_not_served_in_any_of_many_namespaces_counts_once_for_each_list() -> None:
    namespaces = tuple(f"n{number}" for number in range(UNSERVED_LISTS + 1))
    stage = Stage(errors.NotServedError("not for a moment"), namespaces=namespaces)
    for namespace in namespaces:
        stage.store.put(SERVICES, within(namespace, service("a", version="5")))
    stage.resync.kinds = [SERVICES]
    for _ in range(UNSERVED_LISTS - 1):
        with pytest.raises(errors.NotServedError):
            await stage.resync.once()
    assert stage.store.count(SERVICES) == len(namespaces)
    await stage.resync.once()
    assert stage.store.count(SERVICES) == 0


async def test_a_namespace_that_goes_unserved_keeps_its_count_whatever_the_others_answer() -> None:
    denied = errors.ForbiddenError("add the rule")
    stage = Stage(lambda _, namespace: denied if namespace == "closed" else listed("10"), namespaces=("closed", "open", "wide"))
    for namespace in ("closed", "open"):
        stage.store.put(SLICES, within(namespace, endpoint_slice("iris-predictor-x7k2p", owner="iris")))
    stage.resync.kinds = [SLICES]
    for _ in range(UNSERVED_LISTS - 1):
        with pytest.raises(errors.ForbiddenError):
            await stage.resync.once()
    assert [found.namespace for found in stage.store.of(SLICES)] == ["closed"]
    await stage.resync.once()
    assert stage.store.count(SLICES) == 0


async def test_each_namespace_is_listed_and_says_nothing_of_others() -> None:
    async with resyncing(
        lambda _, namespace: listed("10", *(["a"] if namespace == "models" else [])), namespaces=("models", "others")
    ) as stage:
        await asyncio.sleep(ROUND)
        assert [body for _, _, body in stage.api.calls] == ["models", "others"]
        assert stage.names == ["a"]


async def test_a_kind_that_can_not_be_listed_keeps_no_other_from_being() -> None:
    def answer(resource: str, _: object) -> Page:
        if "runtimes" in resource:
            raise errors.ForbiddenError("may not")
        return listed("10", "a")

    stage = Stage(answer)
    stage.resync.kinds = [CLUSTER_RUNTIMES, SERVICES]
    with pytest.raises(errors.ForbiddenError):
        await stage.resync.once()
    assert stage.names == ["a"]


async def test_a_kind_that_comes_later_is_read_and_watched_from_then_on() -> None:
    served = False

    def answer(resource: str, _: object) -> Page:
        if resource == str(CLUSTER_RUNTIMES):
            return Page([runtime("r")], "12")
        return listed("10", "a") if resource == str(SERVICES) else Page([], "10")

    stage = Stage(answer, wanted=KINDS)
    stage.api.answers["discovers"] = [lambda *_: served]
    stage.resync.kinds = [RUNTIMES, SLICES, SERVICES]
    await stage.resync.once()
    assert str(CLUSTER_RUNTIMES) not in [name for verb, name, _ in stage.api.calls if verb == "pages"]
    assert stage.resync.kinds == [RUNTIMES, SLICES, SERVICES]
    served = True
    await stage.resync.once()
    assert stage.resync.kinds == [RUNTIMES, SLICES, SERVICES, CLUSTER_RUNTIMES]
    assert stage.store.count(CLUSTER_RUNTIMES) == 1


async def test_what_may_no_longer_be_read_and_is_not_needed_is_forgotten() -> None:
    """Endpoints of long ago would accuse models for ever."""
    denied = errors.ForbiddenError("add the rule")
    stage = Stage(lambda resource, _: listed("10", "a") if resource == str(SERVICES) else denied)
    stage.store.put(SLICES, endpoint_slice("iris-predictor-x7k2p", owner="iris"))
    stage.resync.kinds = [SLICES, SERVICES]
    for _ in range(UNSERVED_LISTS - 1):
        with pytest.raises(errors.ForbiddenError):
            await stage.resync.once()
    assert stage.store.count(SLICES) == 1
    await stage.resync.once()
    assert stage.store.count(SLICES) == 0
    assert stage.names == ["a"]


async def test_a_bug_ends_nothing() -> None:
    with capture_logs() as lines:
        async with resyncing(RuntimeError("a bug"), listed("10", "a")) as stage:
            await asyncio.sleep(ROUND + 5)
            assert stage.names == ["a"]
    assert lines[0]["event"] == "resync_crashed"


async def test_a_list_of_many_pages_loses_only_what_none_of_them_has() -> None:
    async with resyncing([listed("10", "a", "b"), listed("10"), listed("10", "c")], [listed("20", "a"), listed("20", "c")]) as stage:
        await asyncio.sleep(ROUND)
        assert stage.names == ["a", "b", "c"]
        await asyncio.sleep(ROUND)
        assert stage.names == ["a", "c"]


async def test_of_a_list_that_breaks_off_what_came_is_taken_in_and_nothing_is_lost() -> None:
    stage = Stage([listed("20", "b"), errors.GoneError("the continue token is too old")])
    stage.store.put(SERVICES, service("a", version="5"))
    stage.resync.kinds = [SERVICES]
    with pytest.raises(errors.GoneError):
        await stage.resync.once()
    assert stage.names == ["a", "b"]
