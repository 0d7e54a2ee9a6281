"""Who is due, and when."""

from __future__ import annotations

import asyncio
import random
import uuid
import zlib
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.client.transport import ExhaustedError, RefusedError, TimedOutError
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Health
from isvcwatch.probing import scheduler as scheduling_module
from isvcwatch.probing.prober import Prober
from isvcwatch.probing.scheduler import AT_ONE_HOST, DOUBT, HALF, MOST_REQUESTS, SLACK, TICK, Scheduler
from tests.unit import builders
from tests.unit.probing.fakes import OK, UNREADY, FakeMetrics, FakeTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from isvcwatch.client.protocols import Answer
    from isvcwatch.client.transport import Ask, WireError
    from isvcwatch.core.health import Round
    from isvcwatch.core.targets import Target

pytestmark = pytest.mark.looptime

PERIOD = 4.0
EDGE = 1.0
TIMEOUT = 2.0


class Stage:
    """A scheduler over a fake wire, and a judge that keeps each target's health and when it turned.

    Each target has a host of its own, named by its UID.
    """

    def __init__(self) -> None:
        self.wire = FakeTransport()
        self.metrics = FakeMetrics()
        self.health: dict[str, Health] = {}
        self.turns: list[tuple[str, Status, float]] = []
        self.crashes: set[str] = set()
        self.fresh: list[bool] = []
        self.scheduler = Scheduler(Prober(self.wire, self.metrics, asyncio.get_running_loop().time), self.judge, self.metrics)
        self.known: dict[str, Target] = {}

    def judge(self, target: Target, found: Round, fresh: bool) -> Health | None:
        self.fresh.append(fresh)
        if target.uid in self.crashes:
            raise RuntimeError("a bug")
        before = self.health.get(target.uid, Health())
        health = self.health[target.uid] = before.observe(found, target.policy)
        verdict = health.model_ready.verdict
        if verdict is not None and verdict is not before.model_ready.verdict:
            self.turns.append((target.uid, verdict.status, asyncio.get_running_loop().time()))
        return health

    def set(self, uid: str, delay: float = 0.0, *, soon: bool = False, **policy: float) -> None:
        usual = {"period": PERIOD, "timeout": TIMEOUT, "edge_period": EDGE}
        self.scheduler.set(builders.target(uid, [builders.hop(f"http://{uid}")], **{**usual, **policy}), delay, soon=soon)

    def answer(self, uid: str, answer: Answer | WireError = OK, takes: float = 0.0) -> None:
        """From now on, to the question about the model."""
        self.wire.answers[model_url(uid)] = answer
        self.wire.takes[model_url(uid)] = takes

    def starts(self, uid: str) -> list[float]:
        return [time for url, time in zip(self.wire.asked, self.wire.times, strict=True) if url == model_url(uid)]


def model_url(uid: str) -> str:
    return f"http://{uid}/v2/models/iris/ready"


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    task = asyncio.create_task(made.scheduler.run())
    try:
        yield made
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert made.wire.open == []
    assert made.scheduler.in_flight == 0


def phase(uid: str, period: float = PERIOD) -> float:
    return zlib.crc32(uid.encode()) / 2**32 * period


def now() -> float:
    return asyncio.get_running_loop().time()


class TestBeat:
    @pytest.mark.parametrize("uid", ["a", "b", "uid-of-iris"])
    async def test_a_target_is_probed_at_the_place_of_its_uid_in_each_period(self, uid: str) -> None:
        async with stage() as on:
            on.set(uid)
            await asyncio.sleep(5 * PERIOD)
        expected = [phase(uid) + n * PERIOD for n in range(5)]
        assert len(on.starts(uid)) == 5
        assert all(beat <= time <= beat + 2 * TICK for beat, time in zip(expected, on.starts(uid), strict=True))

    @pytest.mark.parametrize("period", [0.1, 0.25])
    async def test_the_period_is_kept(self, period: float) -> None:
        async with stage() as on:
            on.set("a", period=period)
            await asyncio.sleep(10 * period)
        assert len(on.wire.asked) in {9, 10}

    async def test_a_fleet_is_spread_evenly_over_the_period(self) -> None:
        async with stage() as on:
            chance = random.Random(1)  # noqa: S311 -- the same fleet each time
            for _ in range(1000):
                on.set(str(uuid.UUID(int=chance.getrandbits(128), version=4)), period=1.0)
            await asyncio.sleep(1.0)
        tenths = Counter(int(time * 10) for time in on.wire.times)
        assert all(70 < tenths[tenth] < 130 for tenth in range(10))

    async def test_starts_are_late_by_a_tick_at_most(self) -> None:
        async with stage() as on:
            for n in range(300):
                on.set(f"uid-{n}", period=1.0)
            await asyncio.sleep(2.0)
        assert len(on.metrics.lateness) > 550
        assert 0.0 <= max(on.metrics.lateness) <= TICK

    @pytest.mark.parametrize("delay", [0.0, 1.7])
    async def test_one_that_is_to_be_asked_soon_waits_no_longer_than_an_edge_period_and_then_keeps_its_beat(self, delay: float) -> None:
        async with stage() as on:
            for n in range(50):
                on.set(f"uid-{n}", delay, soon=True)
            await asyncio.sleep(2 * PERIOD)
        firsts = [on.starts(f"uid-{n}")[0] for n in range(50)]
        assert all(delay <= first <= delay + EDGE + 2 * TICK for first in firsts)
        assert len(set(firsts)) > 10
        assert all((on.starts(f"uid-{n}")[1] - phase(f"uid-{n}")) % PERIOD < 2 * TICK for n in range(50))

    @pytest.mark.parametrize("delay", [0.0, 0.5, 1.7])
    async def test_an_initial_delay_is_kept_and_then_the_beat(self, delay: float) -> None:
        async with stage() as on:
            on.set("a", delay)
            await asyncio.sleep(2 * PERIOD)
        first = on.starts("a")[0]
        assert delay <= first <= delay + PERIOD + 2 * TICK
        assert (first - phase("a")) % PERIOD < 2 * TICK

    async def test_the_last_tick_is_never_long_ago(self) -> None:
        async with stage() as on:
            on.answer("hangs", takes=99)
            on.set("hangs")
            for _ in range(20):
                await asyncio.sleep(0.1)
                assert now() - on.scheduler.last_tick <= 2 * TICK


class TestConfirming:
    async def test_a_failure_is_confirmed_an_edge_period_apart(self) -> None:
        async with stage() as on:
            on.set("a")
            await asyncio.sleep(2 * PERIOD)
            on.answer("a", UNREADY)
            await asyncio.sleep(2 * PERIOD)
        ill = [time for time in on.starts("a") if time > 2 * PERIOD]
        assert [later - earlier for earlier, later in pairwise(ill)][:2] == [pytest.approx(EDGE, abs=2 * TICK)] * 2
        assert on.turns[-1][:2] == ("a", Status.FALSE)
        assert on.turns[-1][2] - ill[0] == pytest.approx(2 * EDGE, abs=3 * TICK)

    async def test_the_beat_returns_once_it_is_confirmed(self) -> None:
        async with stage() as on:
            on.answer("a", UNREADY)
            on.set("a")
            await asyncio.sleep(6 * PERIOD)
        assert all((time - phase("a")) % PERIOD < 2 * TICK for time in on.starts("a")[3:])
        assert len(on.starts("a")) >= 7

    async def test_a_recovery_is_confirmed_an_edge_period_apart(self) -> None:
        async with stage() as on:
            on.answer("a", UNREADY)
            on.set("a", success_threshold=3)
            await asyncio.sleep(3 * PERIOD)
            on.answer("a", OK)
            well = now()
            await asyncio.sleep(2 * PERIOD)
        assert on.turns[-1][:2] == ("a", Status.TRUE)
        assert on.turns[-1][2] - well <= PERIOD + 2 * EDGE + 4 * TICK

    async def test_one_failure_among_successes_costs_one_round_more(self) -> None:
        async with stage() as on:
            on.set("a")
            await asyncio.sleep(PERIOD)
            on.answer("a", UNREADY)
            await asyncio.sleep(PERIOD)
            on.answer("a", OK)
            await asyncio.sleep(EDGE + 4 * TICK)
            before = len(on.starts("a"))
            await asyncio.sleep(2 * PERIOD)
            assert len(on.starts("a")) - before in {2, 3}
        assert [status for _, status, _ in on.turns] == [Status.TRUE]

    async def test_an_edge_period_longer_than_the_period_counts_as_the_period(self) -> None:
        async with stage() as on:
            on.answer("a", UNREADY)
            on.set("a", period=1.0, edge_period=10.0)
            await asyncio.sleep(4.0)
        assert on.turns[0][2] <= 3.0 + 3 * TICK

    async def test_a_start_may_fail_as_often_as_its_gate_allows_a_period_apart(self) -> None:
        async with stage() as on:
            on.answer("a", UNREADY)
            on.set("a", startup_failure_threshold=6)
            await asyncio.sleep(7 * PERIOD)
        gaps = [later - earlier for earlier, later in pairwise(on.starts("a"))]
        assert gaps[:5] == [pytest.approx(PERIOD, abs=2 * TICK)] * 5
        assert [status for _, status, _ in on.turns] == [Status.UNKNOWN, Status.FALSE]
        assert on.turns[1][2] == pytest.approx(phase("a") + 5 * PERIOD, abs=3 * TICK)


class TestSilence:
    """A server that hangs: each round takes its whole timeout, so the next do not wait for it."""

    @pytest.mark.parametrize(("timeout", "edge"), [(2.0, 1.0), (5.0, 1.0), (0.5, 1.0), (2.0, 0.3), (1.0, 1.0)])
    @pytest.mark.parametrize("uid", ["a", "b"])
    async def test_a_failure_is_known_within_a_period_three_edges_and_a_timeout(self, uid: str, timeout: float, edge: float) -> None:  # noqa: ASYNC109
        async with stage() as on:
            on.set(uid, timeout=timeout, edge_period=edge)
            await asyncio.sleep(phase(uid) + 0.1)
            on.wire.takes["*"] = 99
            on.answer(uid, takes=99)
            hung = now()
            await asyncio.sleep(PERIOD + 3 * edge + timeout)
            assert on.turns[-1][:2] == (uid, Status.FALSE)
            assert on.turns[-1][2] - hung <= PERIOD + 3 * edge + timeout
            assert {verdict.status for _, verdict in on.health[uid].verdicts()} == {Status.FALSE}

    @pytest.mark.parametrize("threshold", [1, 2, 3, 5])
    async def test_no_more_of_its_rounds_are_under_way_than_confirm_a_failure(self, threshold: int) -> None:
        async with stage() as on:
            on.set("a", timeout=9.0, failure_threshold=threshold)
            await asyncio.sleep(PERIOD)
            on.wire.takes["*"] = 99
            most = 0
            for _ in range(100):
                await asyncio.sleep(0.25)
                most = max(most, on.scheduler.in_flight)
            assert most == threshold
            assert on.health["a"].model_ready.verdict is not None
            assert on.health["a"].model_ready.verdict.status is Status.FALSE

    async def test_nor_where_it_is_asked_anew_again_and_again(self) -> None:
        async with stage() as on:
            on.set("a", timeout=9.0)
            await asyncio.sleep(PERIOD)
            on.wire.takes["*"] = 99
            for _ in range(200):
                await asyncio.sleep(0.1)
                on.scheduler.ask_anew("a", hurried=False)
                assert on.scheduler.in_flight <= 3
            on.answer("a", OK)
            await asyncio.sleep(9.5)
            assert on.turns[-1][:2] == ("a", Status.TRUE)

    async def test_once_its_silence_is_no_news_it_is_asked_once_a_period(self) -> None:
        async with stage() as on:
            on.wire.takes["*"] = 99
            on.set("a")
            await asyncio.sleep(4 * PERIOD)
            before = len(on.starts("a"))
            await asyncio.sleep(5 * PERIOD)
            assert len(on.starts("a")) - before in {4, 5}

    async def test_a_later_answer_makes_an_earlier_silence_out_of_date(self) -> None:
        async with stage() as on:
            on.set("a")
            await asyncio.sleep(phase("a") + 0.1)
            on.answer("a", takes=99)
            await asyncio.sleep(PERIOD)
            on.answer("a", OK)
            await asyncio.sleep(2 * PERIOD)
        assert [status for _, status, _ in on.turns] == [Status.TRUE]
        assert on.metrics.discards == {"outdated": 1}

    async def test_a_server_that_is_slow_but_in_time_is_well_and_not_asked_without_end(self) -> None:
        async with stage() as on:
            on.answer("a", takes=1.5)
            on.set("a")
            await asyncio.sleep(10 * PERIOD)
        assert [status for _, status, _ in on.turns] == [Status.TRUE]
        assert len(on.starts("a")) <= 21

    async def test_a_slow_refusal_brings_no_two_rounds_closer_than_an_edge_period(self) -> None:
        async with stage() as on:
            on.answer("a", UNREADY, takes=1.5)
            on.set("a")
            await asyncio.sleep(3 * PERIOD)
        confirming = on.starts("a")[:4]
        assert min(b - a for a, b in pairwise(confirming)) >= EDGE - TICK


class TestOthers:
    async def test_a_thousand_hanging_targets_delay_no_other(self) -> None:
        async with stage() as on:
            on.wire.takes["*"] = 99
            for n in range(1000):
                on.set(f"hangs-{n}")
            for n in range(20):
                on.answer(f"uid-{n}", OK)
                on.set(f"uid-{n}")
            await asyncio.sleep(5 * PERIOD)
            assert max(on.metrics.lateness) <= TICK + 0.001
        for n in range(20):
            assert len(on.starts(f"uid-{n}")) in {4, 5}

    async def test_those_that_hang_are_asked_between_two_ticks(self) -> None:
        async with stage() as on:
            on.answer("hangs", takes=99)
            for uid in ("hangs", "well"):
                on.set(uid)
            await asyncio.sleep(10 * PERIOD)
            first, *hanging = on.starts("hangs")
            on.answer("hangs", OK)
            await asyncio.sleep(4 * PERIOD)
        beside = [time % TICK for time in hanging]
        assert len(beside) > 10
        assert beside == [pytest.approx(HALF, abs=0.001)] * len(beside)
        at_ticks = [(time + 0.001) % TICK for time in (first, *on.starts("well"), on.starts("hangs")[-1])]
        assert at_ticks == [pytest.approx(0.001, abs=0.001)] * len(at_ticks)

    async def test_one_that_begins_to_hang_is_asked_in_time(self) -> None:
        async with stage() as on:
            on.answer("a", UNREADY)
            on.set("a")
            await asyncio.sleep(3 * PERIOD)
            on.answer("a", takes=99)  # a failure that another one follows is asked about again as soon as it is known
            await asyncio.sleep(5 * PERIOD)
        assert max(on.metrics.lateness) < 0.001

    async def test_no_more_than_a_bound_are_under_way_at_one_address(self) -> None:
        count = AT_ONE_HOST + 100
        async with stage() as on:
            on.wire.takes["*"] = 1.0
            hop = builders.hop("http://ingress")
            for n in range(count):
                on.scheduler.set(builders.target(f"uid-{n}", [hop], period=0.5, timeout=5.0, edge_period=0.5))
            await asyncio.sleep(0.3)
            assert on.wire.most_open <= AT_ONE_HOST
            await asyncio.sleep(5.0)
        assert len(on.health) == count

    async def test_who_answers_is_not_held_up_by_who_hangs_at_the_same_address(self) -> None:
        async with stage() as on:
            on.wire.takes["http://ingress/hanging/v2/models/iris/ready"] = 99
            for n in range(AT_ONE_HOST + 100):
                on.scheduler.set(builders.target(f"hangs-{n}", [builders.hop("http://ingress/hanging")], period=10.0, timeout=9.0))
            on.scheduler.set(builders.target("a", [builders.hop("http://ingress")], period=1.0))
            await asyncio.sleep(30.0)
        assert len([url for url in on.wire.asked if url == model_url("ingress")]) in {29, 30}

    async def test_a_namespace_whose_models_hang_puts_off_no_verdict_of_another_at_the_same_address(self) -> None:
        failing = "http://ingress/failing/v2/models/iris/ready"
        async with stage() as on:
            on.wire.takes["http://ingress/hanging/v2/models/iris/ready"] = 99
            for n in range(8 * AT_ONE_HOST):
                hangs = builders.target(
                    f"hangs-{n}", [builders.hop("http://ingress/hanging")], period=10.0, timeout=TIMEOUT, edge_period=EDGE
                )
                on.scheduler.set(replace(hangs, namespace="another"))
            on.scheduler.set(builders.target("a", [builders.hop("http://ingress/failing")], period=10.0, timeout=TIMEOUT, edge_period=EDGE))
            await asyncio.sleep(40.0)
            assert on.scheduler.waiting > AT_ONE_HOST
            assert on.health["a"].model_ready.verdict is not None
            on.wire.takes[failing] = 99
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(20.0)
        _, status, turned = next(turn for turn in reversed(on.turns) if turn[0] == "a")
        assert status is Status.FALSE
        assert turned - began < 10.0 + 3 * EDGE + TIMEOUT + 0.5

    async def test_the_age_of_the_oldest_round_is_known(self) -> None:
        async with stage() as on:
            on.answer("slow", takes=1.5)
            for uid in ("slow", "a"):
                on.set(uid)
            assert on.scheduler.oldest == 0.0
            await asyncio.sleep(phase("slow") + 1.0)
            assert on.scheduler.oldest == pytest.approx(1.0, abs=3 * TICK)
            assert on.scheduler.overdue == 0
            await asyncio.sleep(0.6)
            assert on.scheduler.oldest < 1.0

    async def test_a_round_that_does_not_end_is_overdue(self) -> None:
        async with stage() as on:
            on.wire.takes["*"] = 10**6
            on.wire.never = True
            on.set("a")
            await asyncio.sleep(PERIOD + MOST_REQUESTS * TIMEOUT)
            assert on.scheduler.overdue == 0
            await asyncio.sleep(SLACK + 1)
            assert on.scheduler.overdue > 0
            on.scheduler.remove("a")
            assert (on.scheduler.overdue, on.scheduler.oldest) == (0, 0.0)

    async def test_a_crash_ends_neither_the_others_rounds_nor_its_own_next(self) -> None:
        with capture_logs() as lines:
            async with stage() as on:
                on.crashes = {"crashes"}
                on.set("crashes")
                on.set("a")
                await asyncio.sleep(3 * PERIOD)
        assert len(on.starts("crashes")) == 3
        assert len(on.starts("a")) == 3
        assert {(line["event"], line["name"]) for line in lines} == {("round_crashed", "iris")}

    async def test_a_crash_in_preparing_the_requests_is_told_each_time_and_ends_no_other_round(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with stage() as on:
            prepare = on.wire.ask

            def ask(url: str, **options: Any) -> Ask:  # noqa: ANN401 -- the transport's own
                if "crashes" in url:
                    raise RuntimeError("a bug")
                return prepare(url, **options)

            monkeypatch.setattr(on.wire, "ask", ask)
            with capture_logs() as lines:
                on.set("crashes")
                on.set("a")
                await asyncio.sleep(3 * PERIOD)
            verdict = on.health["crashes"].model_ready.verdict
        assert verdict is not None
        assert verdict.reason == "ProbeFailed"
        assert len(on.starts("a")) == 3
        assert {line["event"] for line in lines} == {"probe_crashed"}
        assert len(lines) >= 3

    async def test_requests_are_prepared_when_they_are_first_due(self) -> None:
        async with stage() as on:
            on.set("a")
            assert len(on.wire.endpoints._known) == 0
            await asyncio.sleep(PERIOD)
            assert len(on.wire.endpoints._known) == 1

    async def test_what_has_piled_up_is_worked_off_in_turns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scheduling_module, "MOST_AT_ONCE", 1)
        async with stage() as on:
            for n in range(50):
                on.set(f"uid-{n}", period=0.1)
            await asyncio.sleep(1.5)
        assert {len(on.starts(f"uid-{n}")) for n in range(50)} <= {1, 2}
        assert len(on.wire.asked) >= 70

    async def test_a_loop_that_is_late_is_given_less_to_do_at_once_and_more_again_once_it_keeps_up(self) -> None:
        most, least = scheduling_module.MOST_AT_ONCE, scheduling_module.LEAST_AT_ONCE
        allowed = [most]
        for late in [0.5] * 5 + [0.0] * 100:
            allowed.append(scheduling_module._at_once(allowed[-1], late=late))
        assert allowed[1:6] == [most // 2, most // 4, most // 8, least, least]
        assert allowed[6] > least
        assert allowed[-1] == most


class TestChange:
    @pytest.mark.parametrize("moment", [0.0, 0.99, 1.0, 4.5, 8.3])
    async def test_a_removed_target_is_not_probed_again(self, moment: float) -> None:
        async with stage() as on:
            on.set("a")
            on.set("b")
            await asyncio.sleep(moment)
            on.scheduler.remove("a")
            on.scheduler.remove("a")
            assert len(on.scheduler) == 1
            await asyncio.sleep(3 * PERIOD)
        assert all(time <= moment for time in on.starts("a"))
        assert len(on.starts("b")) >= 3

    @pytest.mark.parametrize("moment", [0.0, 0.013, 0.99, 1.0, 4.5])
    async def test_a_target_that_is_set_again_is_probed_as_it_now_is_and_no_more_often(self, moment: float) -> None:
        async with stage() as on:
            on.set("a", timeout=1.0)
            await asyncio.sleep(moment)
            for _ in range(5):
                on.scheduler.set(builders.target("a", [builders.hop("http://b")], period=PERIOD))
            await asyncio.sleep(3 * PERIOD)
        assert len(on.starts("b")) in {3, 4}
        assert all(time <= moment for time in on.starts("a"))

    @pytest.mark.parametrize("moment", [0.1, 0.8, 1.1, 2.1, 2.9])
    async def test_what_is_under_way_is_given_up_with_its_target(self, moment: float) -> None:
        async with stage() as on:
            on.wire.takes["*"] = 99
            on.set("a")
            await asyncio.sleep(phase("a") + moment)
            assert on.wire.open
            on.scheduler.remove("a")
            assert on.wire.open == []
            assert on.scheduler.in_flight == 0
            await asyncio.sleep(3 * PERIOD)
            assert on.health.get("a", Health()).model_ready.verdict is None

    async def test_a_removed_target_can_come_back(self) -> None:
        async with stage() as on:
            on.set("a")
            on.scheduler.remove("a")
            on.set("a")
            await asyncio.sleep(3 * PERIOD)
        assert len(on.starts("a")) == 3

    async def test_one_that_was_removed_while_it_waited_for_a_place_is_not_probed(self) -> None:
        async with stage() as on:
            on.wire.takes["*"] = 3.0
            hop = builders.hop("http://ingress")
            for n in range(AT_ONE_HOST):
                on.scheduler.set(builders.target(f"uid-{n}", [hop], period=0.1, timeout=5.0, edge_period=10.0))
            await asyncio.sleep(0.05)
            on.scheduler.set(builders.target("late", [builders.hop("http://ingress/late")], period=0.1))
            await asyncio.sleep(0.02)
            on.scheduler.remove("late")
            await asyncio.sleep(6.0)
        assert on.starts("ingress/late") == []

    async def test_targets_that_come_and_go_at_any_moment_leave_nothing_behind(self) -> None:
        chance = random.Random(7)  # noqa: S311 -- the same each time
        async with stage() as on:
            on.wire.takes = {"http://uid-1/v2/models/iris/ready": 99, "http://uid-2/v2/models/iris/ready": 1.2}
            on.wire.answers["http://uid-3/v2/models/iris/ready"] = RefusedError("refused")
            for _ in range(300):
                uid = f"uid-{chance.randrange(6)}"
                if chance.random() < 0.4:
                    on.scheduler.remove(uid)
                else:
                    on.set(uid, period=chance.choice([0.1, 1.0, 3.0]))
                await asyncio.sleep(chance.random() / 4)
            for n in range(6):
                on.scheduler.remove(f"uid-{n}")
            assert on.wire.open == []
            assert (on.scheduler.in_flight, on.scheduler.waiting, len(on.scheduler)) == (0, 0, 0)
            asked = len(on.wire.asked)
            await asyncio.sleep(5.0)
            assert len(on.wire.asked) == asked
            assert on.scheduler._wheel == {}


class TestOwnTrouble:
    async def test_to_be_out_of_resources_is_nobodys_failure(self) -> None:
        with capture_logs() as lines:
            async with stage() as on:
                on.set("a")
                await asyncio.sleep(PERIOD)
                on.answer("a", ExhaustedError("too many open files"))
                await asyncio.sleep(10 * PERIOD)
        assert [status for _, status, _ in on.turns] == [Status.TRUE]
        assert on.metrics.discards == {"exhausted": 10}
        assert [line["event"] for line in lines] == ["out_of_resources"]

    async def test_silence_heard_while_the_loop_was_late_is_not_judged_and_asked_again_soon(self) -> None:
        async with stage() as on:
            on.set("a")
            await asyncio.sleep(phase("a") + PERIOD - 0.5)
            on.answer("a", TimedOutError("no answer"), takes=1.0)
            await asyncio.sleep(0.8)
            on.scheduler.lateness.tick(now() + 5.0, now())  # as if it had been stopped for so long
            on.scheduler.lateness.last_tick = now()
            await asyncio.sleep(0.8)
            on.answer("a", OK)
            await asyncio.sleep(2 * PERIOD)
        assert on.metrics.discards["late"] == 1
        assert [status for _, status, _ in on.turns] == [Status.TRUE]

    async def test_an_answer_that_came_counts_also_where_the_loop_was_late(self) -> None:
        async with stage() as on:
            on.answer("a", UNREADY, takes=0.5)
            on.set("a")
            for _ in range(40):
                await asyncio.sleep(0.2)
                on.scheduler.lateness.tick(now() + 5.0, now())
                on.scheduler.lateness.last_tick = now()
        assert [status for _, status, _ in on.turns] == [Status.FALSE]
        assert on.metrics.discards["late"] == 0


class TestAnew:
    async def test_a_target_that_is_asked_anew_is_asked_with_the_next_tick_on_new_connections_and_then_at_its_usual_times(self) -> None:
        async with stage() as on:
            on.set("a")
            await asyncio.sleep(2 * PERIOD)
            asked, began = len(on.wire.asked), now()
            on.scheduler.ask_anew("a", hurried=False)
            await asyncio.sleep(2 * TICK)
            assert on.starts("a")[asked:] == [pytest.approx(began, abs=2 * TICK)]
            assert on.wire.fresh[asked:] == [True]
            assert on.fresh[-1]
            await asyncio.sleep(2 * PERIOD)
            assert len(on.wire.asked) - asked == 3
            assert on.wire.fresh[asked + 1 :] == [False, False]

    async def test_where_it_is_hurried_no_request_is_waited_for_longer_than_a_second(self) -> None:
        async with stage() as on:
            on.set("a", timeout=5.0)
            await asyncio.sleep(2 * PERIOD)
            on.wire.takes["*"] = 60
            on.scheduler.ask_anew("a", hurried=True)
            asked = len(on.fresh)
            await asyncio.sleep(EDGE * DOUBT + 1 + 3 * TICK)  # what explains the failure is asked when the round comes into doubt
            assert len(on.fresh) > asked

    async def test_one_that_is_not_probed_is_ignored(self) -> None:
        async with stage() as on:
            on.scheduler.ask_anew("nobody", hurried=True)

    async def test_one_whose_round_is_under_way_is_asked_beside_it(self) -> None:
        async with stage() as on:
            on.set("a", timeout=5.0)
            await asyncio.sleep(2 * PERIOD)
            on.wire.takes["*"] = 0.5
            on.scheduler.ask_anew("a", hurried=False)
            await asyncio.sleep(0.1)
            asked = len(on.wire.asked)
            on.scheduler.ask_anew("a", hurried=False)
            await asyncio.sleep(0.1)
            assert len(on.wire.asked) == asked + 1

    async def test_confirmations_are_asked_on_new_connections(self) -> None:
        """Another replica may answer them: one that is ill does not turn the verdict of all."""
        async with stage() as on:
            on.set("a")
            await asyncio.sleep(2 * PERIOD)
            on.wire.answers["*"] = UNREADY
            asked = len(on.wire.asked)
            await asyncio.sleep(2 * PERIOD)
        rounds = [fresh for url, fresh in zip(on.wire.asked[asked:], on.wire.fresh[asked:], strict=True) if url == model_url("a")]
        assert rounds[:4] == [False, True, True, False]
