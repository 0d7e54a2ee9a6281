"""Each replica is asked by itself, a few services at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from isvcwatch.core.replicas import Survey
from isvcwatch.probing.lateness import Lateness
from isvcwatch.probing.prober import Plan, Prober
from isvcwatch.probing.surveyor import AT_ONCE, Surveyor
from tests.unit import builders
from tests.unit.probing.fakes import OK, UNREADY, FakeMetrics, FakeTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.core.health import Finding
    from isvcwatch.core.targets import Target

pytestmark = pytest.mark.looptime

PERIOD = 60.0
TWO = ((0, "pod-0", "10.1.0.1", 8080), (0, "pod-1", "10.1.0.2", 8080))


class Stage:
    def __init__(self) -> None:
        self.wire = FakeTransport()
        self.judged: list[tuple[str, dict[str, str]]] = []
        self.plans: dict[str, Plan] = {}
        prober = Prober(self.wire, FakeMetrics(), asyncio.get_running_loop().time)
        self.prober = prober
        self.lateness = Lateness(0.02, 0.0)
        self.surveyor = Surveyor(prober, self.plans.get, self.judge, self.lateness, PERIOD)

    def judge(self, target: Target, found: Mapping[str, Finding]) -> None:
        self.judged.append((target.uid, {pod: finding.reason for pod, finding in found.items()}))

    def survey(self, uid: str = "a", *, known: bool = True) -> Survey:
        target = builders.target(uid)
        if known:
            self.plans[uid] = self.prober.plan(target)
        return Survey(target, TWO)


async def test_each_replica_is_asked_once_a_period() -> None:
    stage = Stage()
    stage.surveyor.set(stage.survey())
    await asyncio.sleep(3 * PERIOD + 1)
    assert stage.judged == [("a", {"pod-0": "ModelReady", "pod-1": "ModelReady"})] * 3
    assert len(stage.wire.asked) == 6
    stage.surveyor.close()
    await asyncio.sleep(2 * PERIOD)
    assert len(stage.wire.asked) == 6


async def test_it_is_asked_sooner_where_that_is_wanted_and_never_later() -> None:
    stage = Stage()
    survey = stage.survey()
    stage.surveyor.set(survey, 0.0)
    await asyncio.sleep(0.1)
    stage.surveyor.set(survey, 2.0)
    stage.surveyor.set(survey, 30.0)
    await asyncio.sleep(2.1)
    assert len(stage.judged) == 2


async def test_what_is_wanted_while_one_is_under_way_follows_it() -> None:
    stage = Stage()
    stage.wire.takes["*"] = 1.0
    survey = stage.survey()
    stage.surveyor.set(survey, 0.0)
    await asyncio.sleep(0.5)
    stage.surveyor.set(survey, 2.0)
    await asyncio.sleep(4.0)
    assert len(stage.judged) == 2


async def test_what_each_says_is_told_by_its_pod() -> None:
    stage = Stage()
    answers = iter([UNREADY, OK])
    stage.wire.answers = {}
    stage.wire.answers["*"] = OK
    start = stage.wire.start

    def answering(ask, *arguments, **options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202 -- the transport's own
        stage.wire.answers["*"] = next(answers)
        return start(ask, *arguments, **options)

    stage.wire.start = answering  # type: ignore[method-assign]
    stage.surveyor.set(stage.survey(), 0.0)
    await asyncio.sleep(0.1)
    assert stage.judged == [("a", {"pod-0": "ModelNotReady", "pod-1": "ModelReady"})]


async def test_a_service_that_has_had_no_round_yet_waits() -> None:
    stage = Stage()
    stage.surveyor.set(stage.survey(known=False), 0.0)
    await asyncio.sleep(1)
    assert stage.wire.asked == []
    stage.surveyor.close()


async def test_one_that_is_removed_is_asked_no_longer_and_makes_place() -> None:
    stage = Stage()
    stage.wire.takes["*"] = 1.0
    for number in range(AT_ONCE + 1):
        stage.surveyor.set(stage.survey(str(number)), 0.0)
    await asyncio.sleep(0.1)
    assert len(stage.wire.open) == 2 * AT_ONCE
    stage.surveyor.remove("0")
    stage.surveyor.remove("nobody")
    await asyncio.sleep(1.5)
    assert {uid for uid, _ in stage.judged} == {str(number) for number in range(1, AT_ONCE + 1)}
    stage.surveyor.close()


async def test_failures_while_the_process_itself_was_late_are_not_judged() -> None:
    stage = Stage()
    stage.wire.takes["*"] = 60.0
    stage.lateness.spoiled = lambda *_: True  # type: ignore[method-assign]
    stage.surveyor.set(stage.survey(), 0.0)
    await asyncio.sleep(5)
    assert stage.judged == []
    stage.surveyor.close()
