"""Events about the watcher itself."""

from __future__ import annotations

import asyncio

import pytest

from isvcwatch.core.edges import Doubt, Failed
from isvcwatch.kube.sinks.events import EventsSink, Regarding
from isvcwatch.kube.sinks.own import OwnEvents
from tests.unit.kube.fakes import Counts, FakeApi

pytestmark = pytest.mark.looptime

POD = Regarding("v1", "Pod", "isvcwatch-system", "isvcwatch-7d9", "uid-of-pod")


async def told(pod: Regarding | None) -> list[dict[str, object]]:
    """The Events of a watcher that doubts itself, and no longer does, twice."""
    api = FakeApi()
    sink = EventsSink(api.api, Counts())
    own = OwnEvents(sink, pod)
    task = asyncio.create_task(sink.run())
    for edge in (Doubt.SILENCE, Doubt.ENDED, Failed("uid", RuntimeError("a bug")), Doubt.CUT_OFF, Doubt.OUTAGE):
        own(edge)
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [body for _, _, body in api.calls]


async def test_each_turn_of_its_doubt_is_an_event_on_its_own_pod() -> None:
    events = await told(POD)
    assert [(event["reason"], event["type"]) for event in events] == [
        ("WatcherImpaired", "Warning"),
        ("WatcherRecovered", "Normal"),
        ("WatcherImpaired", "Warning"),
        ("MassOutage", "Warning"),
    ]
    assert events[0]["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "isvcwatch-system",
        "name": "isvcwatch-7d9",
        "uid": "uid-of-pod",
    }


async def test_a_watcher_that_does_not_know_its_pod_tells_by_its_log_alone() -> None:
    assert await told(None) == []
