"""Decisions carried out: guarded, paced, retried, each asked for anew at its turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from isvcwatch.core.conditions import ConditionType, Status
from isvcwatch.core.decide import Decision, Notice
from isvcwatch.core.reasons import EventReason
from isvcwatch.core.step import Gone, Seen, Told
from isvcwatch.kube import errors
from isvcwatch.kube.budget import Budget
from isvcwatch.kube.kinds import SERVICES, concerned, happened
from isvcwatch.kube.queue import Queue
from isvcwatch.kube.sinks.conditions import ConditionsSink
from isvcwatch.kube.store import Store
from rig import kserve_status as kserve
from tests.unit.builders import DENIED, NOT_READY, READY, condition, isvc
from tests.unit.kube.fakes import Counts, FakeApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from isvcwatch.core.objects import InferenceService
    from isvcwatch.kube.endings import Endings
    from isvcwatch.kube.sinks.events import EventsSink
    from isvcwatch.kube.store import Change
    from tests.unit.kube.fakes import Answer

pytestmark = pytest.mark.looptime

UNREADY = Notice(EventReason.MODEL_UNREADY, Status.FALSE, "ModelNotReady", "no")
SAY_UNREADY = Decision((condition("ModelReady", DENIED),), UNREADY)
ACCUSE = Decision((condition("ModelReady", NOT_READY),), UNREADY)
SAY_READY = Decision((condition("ModelReady", READY),))


def raw(uid: str = "uid-of-iris", version: str = "101") -> dict[str, Any]:
    found = kserve.isvc("iris", "models", status=kserve.ready("iris", "models"))
    found["metadata"] |= {"uid": uid, "resourceVersion": version}
    return found


@dataclass
class Plan:
    """A fleet that has a decision for each service until that is done, or, told to, until the service changes."""

    decisions: dict[str, list[Decision]]
    asked: list[str] = field(default_factory=list)
    carried_out: list[tuple[str, Decision]] = field(default_factory=list)
    version: str = "100"
    settles: bool = False

    def plan(self, uid: str) -> tuple[InferenceService, Decision] | None:
        self.asked.append(uid)
        waiting = self.decisions.get(uid)
        return (isvc(uid=uid, name=uid.removeprefix("uid-of-"), resource_version=self.version), waiting[0]) if waiting else None

    def feed(self, uid: str, happened: Told) -> None:
        self.carried_out.append((uid, happened.decision))
        self.decisions[uid].remove(happened.decision)

    def is_urgent(self, uid: str) -> bool:
        return any(c.status == Status.FALSE for decision in self.decisions.get(uid, ()) for c in decision.conditions)

    def hear(self, uid: str, happened: Seen | Gone) -> None:
        if isinstance(happened, Seen):
            self.version = happened.isvc.resource_version
            if self.settles:
                self.decisions.pop(uid, None)
        else:
            self.decisions.pop(uid, None)


@dataclass
class Recorded:
    notices: list[Notice] = field(default_factory=list)

    def record(self, isvc: InferenceService, notice: Notice) -> None:
        del isvc
        self.notices.append(notice)


@dataclass
class Stage:
    """A sink with its queue, and all that they are joined to."""

    api: FakeApi
    plan: Plan
    queue: Queue
    store: Store
    recorded: Recorded
    counts: Counts
    endings: FakeEndings


@dataclass
class FakeEndings:
    """Namespaces that are being deleted, or not; those of a plan that ends have nothing decided any more."""

    plan: Plan
    ending: bool = False
    asked: list[str] = field(default_factory=list)

    async def look(self, namespace: str) -> bool:
        self.asked.append(namespace)
        if self.ending:
            self.plan.decisions.clear()
        return self.ending


@asynccontextmanager
async def writing(
    api: FakeApi,
    decisions: Sequence[Decision],
    uids: Sequence[str] = ("uid-of-iris",),
    budget: Budget | None = None,
    *,
    ending: bool = False,
) -> AsyncIterator[Stage]:
    plan, recorded, counts = Plan({uid: list(decisions) for uid in uids}), Recorded(), Counts()
    endings = FakeEndings(plan, ending)

    def changed(change: Change[Any]) -> None:
        for uid in concerned(store, change):
            plan.hear(uid, happened(store, uid))

    store = Store(changed)
    sink = ConditionsSink(api.api, store, cast("EventsSink", recorded), plan, counts, cast("Endings", endings), budget)
    queue = Queue(sink.take_turn, sink.place)
    task = asyncio.create_task(queue.run())
    for uid in uids:
        queue.request(uid)
    yield Stage(api, plan, queue, store, recorded, counts, endings)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_no_model_is_accused_in_a_namespace_that_is_being_deleted() -> None:
    async with writing(FakeApi({"get": [raw()]}), [ACCUSE], ending=True) as stage:
        await asyncio.sleep(0.1)
        assert stage.endings.asked == ["models"]
        assert "json_patch" not in stage.api.verbs()
        assert stage.recorded.notices == []
        assert stage.queue.idle


async def test_only_an_accusation_looks_at_the_namespace() -> None:
    async with writing(FakeApi({"json_patch": [raw()]}), [SAY_READY]) as stage:
        await asyncio.sleep(0.1)
        assert stage.endings.asked == []
        assert stage.counts.writes == {"written": 1}


async def test_a_decision_is_written_told_and_done() -> None:
    async with writing(FakeApi({"json_patch": [raw()]}), [SAY_UNREADY]) as stage:
        await asyncio.sleep(0.1)
        assert stage.plan.carried_out == [("uid-of-iris", SAY_UNREADY)]
        assert stage.recorded.notices == [UNREADY]
        assert stage.counts.writes == {"written": 1}
        assert stage.queue.idle
        (written,) = stage.store.of(SERVICES)
        assert written.resource_version == "101"


async def test_a_notice_alone_is_told_without_a_write() -> None:
    async with writing(FakeApi(), [Decision(notice=UNREADY)]) as stage:
        await asyncio.sleep(0.1)
        assert stage.recorded.notices == [UNREADY]
        assert stage.api.calls == []


async def test_where_there_is_nothing_to_say_nothing_is_done() -> None:
    async with writing(FakeApi(), []) as stage:
        await asyncio.sleep(100)
        assert stage.plan.asked == ["uid-of-iris"]
        assert stage.api.calls == []


async def test_requests_for_one_that_waits_are_the_same_request() -> None:
    async with writing(FakeApi(), []) as stage:
        for _ in range(10):
            stage.queue.request("uid-of-iris")
        assert not stage.queue.idle
        await asyncio.sleep(10)
        assert stage.plan.asked == ["uid-of-iris"]


async def test_one_object_is_written_once_a_second_at_most() -> None:
    async with writing(FakeApi({"json_patch": [raw()]}), [SAY_UNREADY, SAY_READY]) as stage:
        for _ in range(100):
            stage.queue.request("uid-of-iris")
            await asyncio.sleep(0.05)
        assert stage.api.verbs() == ["json_patch"] * 2
        first, second = stage.api.times
        assert second - first >= 1.0


async def test_a_request_that_comes_during_a_write_is_not_lost() -> None:
    async with writing(FakeApi({"json_patch": [raw()]}, takes=0.5), [SAY_UNREADY, SAY_READY]) as stage:
        await asyncio.sleep(0.2)
        stage.queue.request("uid-of-iris")
        assert not stage.queue.idle
        await asyncio.sleep(5)
        assert [decision for _, decision in stage.plan.carried_out] == [SAY_UNREADY, SAY_READY]


async def test_other_objects_do_not_wait_for_one_that_rests() -> None:
    uids = [f"uid-of-{n}" for n in range(50)]
    async with writing(FakeApi({"json_patch": [{}]}, takes=0.01), [SAY_UNREADY], uids) as stage:
        await asyncio.sleep(0.5)
        assert len(stage.plan.carried_out) == 50


async def test_a_conflict_is_read_again_and_decided_again() -> None:
    api = FakeApi({"json_patch": [errors.ConflictError("moved"), raw(version="103")], "get": [raw(version="102")]})
    async with writing(api, [SAY_UNREADY]) as stage:
        await asyncio.sleep(1)
        assert stage.api.verbs() == ["json_patch", "get", "json_patch"]
        versions = [body[0]["value"] for verb, _, body in stage.api.calls if verb == "json_patch"]
        assert versions == ["100", "102"]
        assert stage.counts.writes == {"conflict": 1, "written": 1}
        assert stage.recorded.notices == [UNREADY]


async def test_a_conflict_after_which_there_is_nothing_to_say_ends_there() -> None:
    api = FakeApi({"json_patch": [errors.ConflictError("moved")], "get": [raw(version="102")]})
    async with writing(api, [SAY_UNREADY]) as stage:
        stage.plan.settles = True
        await asyncio.sleep(60)
        assert stage.api.verbs() == ["json_patch", "get"]
        assert stage.recorded.notices == []


async def test_an_object_that_is_gone_is_forgotten() -> None:
    async with writing(FakeApi({"json_patch": [errors.GoneError("404")]}), [SAY_UNREADY]) as stage:
        stage.store.put(SERVICES, raw(version="100"))
        await asyncio.sleep(60)
        assert stage.store.count(SERVICES) == 0
        assert stage.api.verbs() == ["json_patch"]
        assert stage.counts.writes == {"gone": 1}
        assert stage.recorded.notices == []


async def test_an_object_that_was_deleted_when_a_conflict_is_looked_into_is_forgotten() -> None:
    async with writing(FakeApi({"json_patch": [errors.ConflictError("")], "get": [errors.GoneError("404")]}), [SAY_UNREADY]) as stage:
        stage.store.put(SERVICES, raw(version="100"))
        await asyncio.sleep(60)
        assert stage.store.count(SERVICES) == 0
        assert stage.api.verbs() == ["json_patch", "get"]


async def test_an_object_that_was_made_anew_under_its_name_is_another() -> None:
    async with writing(FakeApi({"json_patch": [errors.ConflictError("")], "get": [raw("uid-of-another")]}), [SAY_UNREADY]) as stage:
        stage.store.put(SERVICES, raw(version="100"))
        await asyncio.sleep(60)
        assert [found.uid for found in stage.store.of(SERVICES)] == ["uid-of-another"]
        assert stage.api.verbs() == ["json_patch", "get"]


async def test_a_conflict_that_can_not_be_looked_into_is_retried() -> None:
    api = FakeApi({"json_patch": [errors.ConflictError(""), raw()], "get": [errors.UnavailableError("away"), raw()]})
    async with writing(api, [SAY_UNREADY]) as stage:
        await asyncio.sleep(60)
        assert stage.counts.writes == {"conflict": 1, "unavailable": 1, "written": 1}


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (errors.ForbiddenError("no"), "forbidden"),
        (errors.UnavailableError("away"), "unavailable"),
        (errors.RejectedError("422"), "rejected"),
        (errors.NotServedError("no CRD"), "unavailable"),
    ],
)
async def test_what_stands_in_the_way_is_said_once_and_tried_again_ever_more_slowly(error: Exception, result: str) -> None:
    with capture_logs() as lines:
        async with writing(FakeApi({"json_patch": [*[error] * 6, raw()]}), [SAY_UNREADY]) as stage:
            await asyncio.sleep(120)
            assert stage.counts.writes == {result: 6, "written": 1}
            assert stage.recorded.notices == [UNREADY]
            gaps = [after - before for before, after in zip(stage.api.times, stage.api.times[1:], strict=False)]
            assert gaps[0] < 1.1
            assert 7.4 < gaps[-1] < 15.1
    assert [(line["event"], line["result"]) for line in lines] == [("status_not_written", result)]


async def test_the_server_is_not_asked_before_it_said_it_may_be() -> None:
    async with writing(FakeApi({"json_patch": [errors.UnavailableError("busy", 42.0), raw()]}), [SAY_UNREADY]) as stage:
        await asyncio.sleep(60)
        first, second = stage.api.times
        assert second - first >= 42.0


async def test_what_is_decided_meanwhile_is_what_is_written_in_the_end() -> None:
    async with writing(FakeApi({"json_patch": [errors.UnavailableError("away"), raw()]}), [SAY_UNREADY]) as stage:
        await asyncio.sleep(0.1)
        stage.plan.decisions["uid-of-iris"] = [SAY_READY]
        await asyncio.sleep(60)
        assert stage.plan.carried_out == [("uid-of-iris", SAY_READY)]
        assert stage.recorded.notices == []


async def test_a_repeated_complaint_after_a_good_write_is_said_again() -> None:
    away = errors.UnavailableError("away")
    with capture_logs() as lines:
        async with writing(FakeApi({"json_patch": [away, raw(), away, raw()]}), [SAY_UNREADY, replace(SAY_READY)]) as stage:
            await asyncio.sleep(10)
            stage.queue.request("uid-of-iris")
            await asyncio.sleep(10)
            assert stage.counts.writes == {"unavailable": 2, "written": 2}
    assert len(lines) == 2


class TestAccusing:
    async def test_before_a_false_the_object_is_looked_at(self) -> None:
        async with writing(FakeApi({"get": [raw(version="100")], "json_patch": [raw()]}), [ACCUSE]) as stage:
            await asyncio.sleep(1)
            assert stage.api.verbs() == ["get", "json_patch"]
            assert stage.counts.writes == {"written": 1}

    async def test_one_that_has_moved_meanwhile_is_decided_about_again(self) -> None:
        async with writing(FakeApi({"get": [raw(version="105")]}), [ACCUSE]) as stage:
            stage.plan.settles = True
            await asyncio.sleep(60)
            assert stage.api.verbs() == ["get"]
            assert stage.recorded.notices == []

    async def test_one_that_changes_between_any_two_looks_is_called_false_all_the_same(self) -> None:
        looks: list[Answer] = [raw(version=str(version)) for version in range(105, 1000)]
        async with writing(FakeApi({"get": looks, "json_patch": [raw(version="2000")]}, takes=0.01), [ACCUSE]) as stage:
            await asyncio.sleep(1)
            assert stage.api.verbs() == ["get", "json_patch"]
            assert stage.api.calls[1][2][0]["value"] == "105"

    async def test_each_try_looks_at_it_once(self) -> None:
        looks: list[Answer] = [raw(version=str(version)) for version in range(105, 1000)]
        patches = [errors.ConflictError("moved"), errors.ConflictError("moved"), raw(version="2000")]
        async with writing(FakeApi({"get": looks, "json_patch": patches}, takes=0.01), [ACCUSE]) as stage:
            await asyncio.sleep(1)
            assert stage.api.verbs() == ["get", "json_patch"] * 3
            assert stage.counts.writes == {"conflict": 2, "written": 1}

    async def test_one_that_is_gone_is_accused_of_nothing(self) -> None:
        async with writing(FakeApi({"get": [errors.GoneError("404")]}), [ACCUSE]) as stage:
            await asyncio.sleep(60)
            assert stage.api.verbs() == ["get"]
            assert stage.counts.writes == {"gone": 1}

    async def test_where_it_may_not_be_looked_at_the_patchs_guard_must_do(self) -> None:
        async with writing(FakeApi({"get": [errors.ForbiddenError("no")], "json_patch": [raw()]}), [ACCUSE]) as stage:
            await asyncio.sleep(1)
            assert stage.counts.writes == {"written": 1}


async def test_a_fight_over_an_object_is_put_off_longer_and_longer_and_said_once() -> None:
    with capture_logs() as lines:
        async with writing(FakeApi({"json_patch": [errors.ConflictError("moved")], "get": [raw()]}), [SAY_UNREADY]) as stage:
            await asyncio.sleep(60)
            assert stage.api.verbs().count("json_patch") <= 17
    assert [line["event"] for line in lines] == ["written_by_others_too"]
    assert lines[0]["name"] == "iris"


async def test_a_bug_in_one_services_way_costs_the_others_nothing() -> None:
    def patched(name: str, _: object) -> dict[str, Any]:
        if name == "0":
            raise RuntimeError("a bug")
        return {}

    uids = [f"uid-of-{n}" for n in range(20)]
    with capture_logs() as lines:
        async with writing(FakeApi({"json_patch": [patched]}), [SAY_UNREADY], uids) as stage:
            await asyncio.sleep(300)
            stage.queue.request("uid-of-0")
            await asyncio.sleep(1)
            assert len(stage.plan.carried_out) == 19
            assert stage.counts.writes["crashed"] == 2
    assert [line["event"] for line in lines if line["event"] != "object_ignored"] == ["service_set_aside"]


async def test_two_services_that_may_not_be_written_are_each_said_once() -> None:
    uids = ["uid-of-a", "uid-of-b"]
    with capture_logs() as lines:
        async with writing(FakeApi({"json_patch": [errors.ForbiddenError("no")]}), [SAY_UNREADY], uids):
            await asyncio.sleep(120)
    assert sorted((line["namespace"], line["name"]) for line in lines) == [("models", "a"), ("models", "b")]


async def test_what_is_decided_goes_out_before_the_process_ends() -> None:
    uids = [f"uid-of-{n}" for n in range(40)]
    async with writing(FakeApi({"json_patch": [{}]}, takes=0.3), [SAY_UNREADY, SAY_READY], uids) as stage:
        await asyncio.sleep(0.1)
        for uid in uids:
            stage.queue.request(uid)
        assert await stage.queue.flush(5.0)
        assert len(stage.plan.carried_out) >= 40
        assert stage.queue.idle


async def test_what_can_not_go_out_in_time_is_left_to_the_next_process() -> None:
    async with writing(FakeApi({"json_patch": [errors.UnavailableError("away")]}), [SAY_UNREADY]) as stage:
        assert not await stage.queue.flush(1.0)


async def test_the_fleets_writes_are_budgeted_and_bad_news_goes_first() -> None:
    well, ill = [f"uid-of-well-{n}" for n in range(200)], [f"uid-of-ill-{n}" for n in range(20)]
    api = FakeApi({"json_patch": [{}], "get": [lambda name, _: {**raw(f"uid-of-{name}", "100")}]})
    async with writing(api, [SAY_READY], well) as stage:
        for uid in ill:
            stage.plan.decisions[uid] = [ACCUSE]
            stage.queue.request(uid)
        await asyncio.sleep(0.01)
        assert len(stage.plan.carried_out) == 100
        assert {uid for uid, _ in stage.plan.carried_out} >= set(ill)
        await asyncio.sleep(2)
        assert 135 <= len(stage.plan.carried_out) <= 145
        await asyncio.sleep(5)
        assert len(stage.plan.carried_out) == 220


async def test_what_is_decided_while_the_budget_is_used_up_is_what_is_written() -> None:
    budget = Budget(rate=0.1, burst=1)
    await budget.take()
    api = FakeApi({"get": [raw(version="105")], "json_patch": [raw(version="106")]})
    async with writing(api, [SAY_READY], budget=budget) as stage:
        await asyncio.sleep(1)
        stage.plan.decisions["uid-of-iris"] = [ACCUSE]
        await asyncio.sleep(8)
        assert stage.api.calls == []
        await asyncio.sleep(2)
        assert stage.api.verbs() == ["get", "json_patch"]
        assert stage.plan.carried_out == [("uid-of-iris", ACCUSE)]


async def test_what_nobody_vouches_for_is_taken_away() -> None:
    async with writing(FakeApi({"json_patch": [raw()]}), [Decision(removed=(ConditionType.MODEL_READY,))]) as stage:
        await asyncio.sleep(0.1)
        assert stage.counts.writes == {"written": 1}
        assert stage.recorded.notices == []


async def test_what_others_undo_again_and_again_is_written_less_and_less_often_and_said_once() -> None:
    with capture_logs() as lines:
        async with writing(FakeApi({"json_patch": [raw()]}), [SAY_READY] * 100) as stage:
            for _ in range(120):
                stage.queue.request("uid-of-iris")
                await asyncio.sleep(1)
            assert 10 <= len(stage.plan.carried_out) <= 24
    assert [line["event"] for line in lines] == ["written_by_others_too"]


async def test_what_turns_now_and_then_is_written_at_once() -> None:
    async with writing(FakeApi({"json_patch": [raw()]}), [SAY_READY, SAY_UNREADY] * 10) as stage:
        for turn in range(20):
            await asyncio.sleep(60)
            stage.queue.request("uid-of-iris")
            await asyncio.sleep(0.1)
            assert len(stage.plan.carried_out) == min(turn + 2, 20)


async def test_what_turns_again_and_again_is_written_once_a_minute_in_the_end_with_what_is_then_so() -> None:
    async with writing(FakeApi({"json_patch": [raw()]}), [SAY_READY, SAY_UNREADY] * 200) as stage:
        for _ in range(1800):
            stage.queue.request("uid-of-iris")
            await asyncio.sleep(1)
        assert 30 <= len(stage.plan.carried_out) <= 40


async def test_services_that_turn_all_the_time_leave_the_writes_to_the_others() -> None:
    hostile = [f"uid-of-{number}" for number in range(80)]
    async with writing(FakeApi({"json_patch": [raw()]}), [SAY_UNREADY, SAY_READY] * 500, hostile, Budget()) as stage:
        written = []
        for _ in range(300):
            for uid in hostile:
                stage.queue.request(uid)
            await asyncio.sleep(1)
            written.append(len(stage.plan.carried_out))
        assert written[-1] - written[-60] <= 3 * 60


async def test_in_a_mass_outage_those_that_recover_are_written_within_a_minute() -> None:
    failing, well = [f"uid-of-{number}" for number in range(10_000)], [f"uid-of-well-{number}" for number in range(250)]

    def there(name: str, _: object) -> dict[str, Any]:
        return raw(f"uid-of-{name}") | {"metadata": raw()["metadata"] | {"name": name, "uid": f"uid-of-{name}"}}

    async with writing(FakeApi({"json_patch": [there], "get": [there]}), [SAY_UNREADY], [], Budget()) as stage:
        stage.plan.decisions = {uid: [ACCUSE] for uid in failing} | {uid: [SAY_READY] for uid in well}
        for uid in failing:
            stage.queue.request(uid)
        await asyncio.sleep(10)
        for uid in well:
            stage.queue.request(uid)
        await asyncio.sleep(60)
        told = Counter(decision.conditions[0].status for _, decision in stage.plan.carried_out)
        assert told[Status.TRUE] == len(well)
        assert told[Status.FALSE] >= 0.7 * sum(told.values())
