"""Events: one for each turn, however often it is told, in order, retried for as long as they are news."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.core.conditions import Status
from isvcwatch.core.decide import Notice
from isvcwatch.core.reasons import EventReason
from isvcwatch.kube import errors
from isvcwatch.kube.sinks.events import BURST, CALLS, NOTE_LIMIT, REFILL, REMEMBERED, TRIES, WAITING, EventsSink
from tests.unit.builders import isvc
from tests.unit.kube.fakes import Counts, FakeApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.looptime

UNREADY = Notice(EventReason.MODEL_UNREADY, Status.FALSE, "ModelNotReady", "it says so", "2026-11-23T19:00:00Z")
RECOVERED = Notice(EventReason.MODEL_RECOVERED, Status.TRUE, "ModelReady", "it is ready", "2026-11-23T19:00:00Z")
LATER = "2026-11-23T19:05:00Z"
START = datetime(2026, 11, 23, 19, 0, 0, 123456, tzinfo=UTC)


class Stage:
    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.counts = Counts()
        self.now = START
        self.sink = EventsSink(api.api, self.counts, lambda: self.now)

    async def record(self, *notices: Notice, later: timedelta = timedelta()) -> None:
        self.now += later
        for notice in notices:
            self.sink.record(isvc(), notice)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def recording(**answers: list[Any]) -> AsyncIterator[Stage]:
    stage = Stage(FakeApi(answers))
    task = asyncio.create_task(stage.sink.run())
    yield stage
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


AS_WANTED = {
    "apiVersion": "v1",
    "kind": "Event",
    "type": "Warning",
    "reason": "ModelUnready",
    "action": "Probe",
    "message": "ModelNotReady: it says so",
    "eventTime": "2026-11-23T19:00:00.123456Z",
    "firstTimestamp": "2026-11-23T19:00:00Z",
    "lastTimestamp": "2026-11-23T19:00:00Z",
    "count": 1,
    "reportingComponent": "isvcwatch.dev/isvcwatch",
}


async def test_an_event_is_as_kubernetes_wants_it() -> None:
    async with recording() as stage:
        await stage.record(UNREADY)
    ((verb, name, body),) = stage.api.calls
    assert verb == "create"
    assert name.startswith("iris.")
    assert {key: body[key] for key in AS_WANTED} == AS_WANTED
    assert body["reportingInstance"]
    assert body["metadata"]["namespace"] == "models"
    assert body["involvedObject"]["uid"] == "uid-of-iris"
    assert stage.counts.events == {("ModelUnready", "created"): 1}


async def test_a_recovery_is_normal() -> None:
    async with recording() as stage:
        await stage.record(RECOVERED)
    assert stage.api.calls[0][2]["type"] == "Normal"


async def test_a_note_is_one_line_that_the_api_takes() -> None:
    async with recording() as stage:
        await stage.record(Notice(EventReason.MODEL_UNREADY, Status.FALSE, "ModelNotReady", "a\nb" + "é" * 5000))
    note = stage.api.calls[0][2]["message"]
    assert note.isprintable()
    assert len(note.encode()) <= NOTE_LIMIT
    assert note.endswith("é…")


async def test_a_long_name_still_makes_a_name_that_the_api_takes() -> None:
    async with recording() as stage:
        stage.sink.record(isvc(name="x" * 253), UNREADY)
        await asyncio.sleep(0.01)
    assert len(stage.api.calls[0][1]) <= 253


async def test_the_same_turn_told_again_has_the_same_name() -> None:
    async with recording(create=[{}, errors.ConflictError("already exists")]) as stage:
        await stage.record(UNREADY, later=timedelta(minutes=5))
        await stage.record(UNREADY, later=timedelta(minutes=5))
    assert len({name for _, name, _ in stage.api.calls}) == 1
    assert stage.counts.events == {("ModelUnready", "created"): 1, ("ModelUnready", "repeated"): 1}


async def test_another_turn_or_object_is_another_event() -> None:
    async with recording() as stage:
        await stage.record(UNREADY, replace(RECOVERED, since=LATER), replace(UNREADY, since=LATER))
        stage.sink.record(isvc(uid="another"), UNREADY)
        await asyncio.sleep(0.01)
    assert stage.api.verbs() == ["create"] * 4
    assert len({name for _, name, _ in stage.api.calls}) == 4


async def test_an_object_that_says_too_much_is_cut_short_until_it_has_been_silent() -> None:
    async with recording() as stage:
        for number in range(BURST + 5):
            await stage.record(replace(UNREADY, since=str(number)))
        assert stage.counts.events == {("ModelUnready", "created"): BURST, ("ModelUnready", "lost"): 5}
        await stage.record(replace(UNREADY, since="later"), later=timedelta(seconds=REFILL))
        stage.sink.record(isvc(uid="another"), UNREADY)
        await asyncio.sleep(0.01)
    assert stage.counts.events["ModelUnready", "created"] == BURST + 2


async def test_only_so_many_objects_are_remembered() -> None:
    async with recording() as stage:
        for n in range(REMEMBERED + 1):
            stage.sink.record(isvc(uid=f"uid-{n}"), UNREADY)
        assert len(stage.sink._buckets) == REMEMBERED


async def test_a_namespace_that_takes_no_events_holds_up_no_other() -> None:
    async with recording(create=[lambda _, body: refused(body)]) as stage:
        stage.sink.record(isvc(namespace="full"), UNREADY)
        stage.sink.record(isvc(namespace="full", uid="second"), UNREADY)
        stage.sink.record(isvc(namespace="fine"), UNREADY)
        await asyncio.sleep(0.1)
        assert stage.counts.events == {("ModelUnready", "created"): 1}
        assert not stage.sink.idle


def refused(body: dict[str, Any]) -> dict[str, Any]:
    if body["metadata"]["namespace"] == "full":
        raise errors.UnavailableError("429 too many requests", 30.0)
    return {}


async def test_what_waits_goes_out_before_the_process_ends() -> None:
    async with recording() as stage:
        stage.api.takes = 0.5
        for number in range(3):
            stage.sink.record(isvc(), replace(UNREADY, since=str(number)))
        assert await stage.sink.flush(5.0)
        assert stage.counts.events == {("ModelUnready", "created"): 3}
        stage.sink.record(isvc(), UNREADY)
        assert not await stage.sink.flush(0.1)


async def test_a_bug_in_one_events_way_costs_the_others_nothing() -> None:
    with capture_logs() as lines:
        async with recording(create=[RuntimeError("a bug"), {}]) as stage:
            await stage.record(UNREADY, RECOVERED)
    assert stage.counts.events == {("ModelRecovered", "created"): 1}
    assert [line["event"] for line in lines] == ["event_not_recorded"]


async def test_an_api_server_that_is_away_is_asked_again_and_the_order_is_kept() -> None:
    async with recording(create=[errors.UnavailableError("away")] * 3 + [{}]) as stage:
        await stage.record(UNREADY, RECOVERED)
        await asyncio.sleep(30)
    assert [body["reason"] for _, _, body in stage.api.calls] == ["ModelUnready"] * 4 + ["ModelRecovered"]
    assert len({name for _, name, _ in stage.api.calls}) == 2  # each try has the same name
    assert stage.counts.events == {("ModelUnready", "created"): 1, ("ModelRecovered", "created"): 1}


async def test_a_try_that_arrived_although_nobody_heard_is_not_said_twice() -> None:
    async with recording(create=[errors.UnavailableError("timed out"), errors.ConflictError("already exists"), {}]) as stage:
        await stage.record(UNREADY, RECOVERED)
        await asyncio.sleep(30)
    assert stage.counts.events == {("ModelUnready", "repeated"): 1, ("ModelRecovered", "created"): 1}


async def test_an_api_server_that_stays_away_loses_the_event_and_that_is_counted() -> None:
    async with recording(create=[errors.UnavailableError("away")] * TRIES + [{}]) as stage:
        await stage.record(UNREADY, RECOVERED)
        await asyncio.sleep(300)
    assert stage.counts.events == {("ModelUnready", "lost"): 1, ("ModelRecovered", "created"): 1}


@pytest.mark.parametrize("error", [errors.EndingError("being terminated"), errors.RejectedError("422"), errors.NotServedError("404")])
async def test_what_trying_again_does_not_help_is_logged_and_lost(error: errors.KubeError) -> None:
    with capture_logs() as lines:
        async with recording(create=[error, {}]) as stage:
            await stage.record(UNREADY, RECOVERED)
    assert stage.counts.events == {("ModelUnready", "lost"): 1, ("ModelRecovered", "created"): 1}
    assert [(line["event"], line["why"]) for line in lines] == [("event_not_recorded", str(error))]


@pytest.mark.parametrize("words", ["add the RBAC rule", "exceeded quota: events"])
async def test_an_event_that_is_refused_for_a_while_is_tried_again_and_that_is_said_once(words: str) -> None:
    with capture_logs() as lines:
        async with recording(create=[errors.ForbiddenError(words)] * (TRIES - 1) + [{}]) as stage:
            await stage.record(UNREADY, RECOVERED)
            await asyncio.sleep(90)
    assert stage.counts.events == {("ModelUnready", "created"): 1, ("ModelRecovered", "created"): 1}
    assert [(line["event"], line["why"], line["reason"]) for line in lines] == [("event_refused", words, "ModelUnready")]


async def test_events_that_are_refused_for_long_are_lost_and_each_reason_is_said_once_a_namespace() -> None:
    with capture_logs() as lines:
        async with recording(create=[errors.ForbiddenError("may not")]) as stage:
            for namespace in ("a", "b"):
                for number in range(3):
                    stage.sink.record(isvc(namespace=namespace, uid=namespace), replace(UNREADY, since=str(number)))
            await asyncio.sleep(600)
            assert stage.sink.idle
            assert stage.counts.events == {("ModelUnready", "lost"): 6}
    assert sorted(line["namespace"] for line in lines) == ["a", "b"]


async def test_a_refusal_that_comes_back_is_said_again() -> None:
    refusal = errors.ForbiddenError("may not")
    with capture_logs() as lines:
        async with recording(create=[refusal, {}, refusal, {}]) as stage:
            await stage.record(UNREADY, replace(UNREADY, since=LATER))
            await asyncio.sleep(30)
    assert [line["event"] for line in lines] == ["event_refused"] * 2


async def test_refusals_that_are_waited_out_take_no_other_namespaces_calls() -> None:
    def answer(_: str, body: dict[str, Any]) -> dict[str, Any]:
        if body["metadata"]["namespace"] != "fine":
            raise errors.ForbiddenError("exceeded quota")
        return {}

    async with recording(create=[answer]) as stage:
        for number in range(3 * CALLS):
            stage.sink.record(isvc(namespace=f"full-{number}", uid=str(number)), UNREADY)
        await asyncio.sleep(0.01)
        stage.sink.record(isvc(namespace="fine"), UNREADY)
        await asyncio.sleep(0.01)
        assert stage.counts.events == {("ModelUnready", "created"): 1}


async def test_a_namespace_that_has_all_places_makes_room_for_another() -> None:
    stage = Stage(FakeApi())
    for number in range(WAITING):
        stage.sink.record(isvc(namespace="full", uid=str(number)), UNREADY)
    stage.sink.record(isvc(namespace="fine"), RECOVERED)
    assert stage.counts.events == {("ModelUnready", "lost"): 1}
    assert stage.sink._waiting == WAITING


async def test_more_than_can_wait_are_lost_and_counted() -> None:
    stage = Stage(FakeApi())
    for number in range(WAITING + 2):
        stage.sink.record(isvc(uid=str(number)), UNREADY)
    assert stage.counts.events == {("ModelUnready", "lost"): 2}
