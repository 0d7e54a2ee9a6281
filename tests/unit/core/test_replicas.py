"""Replicas that disagree are one steady fact, which begins once and ends once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from isvcwatch.core.backing import Backing
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding
from isvcwatch.core.objects import Replica
from isvcwatch.core.reasons import EventReason, Reason
from isvcwatch.core.replicas import Replicas, survey_of
from isvcwatch.core.step import NOTHING, AskAnew, AskReplicas, RoundEnded, Rules, Say, Seen, Surveyed, Told, decision, step
from isvcwatch.core.targets import Target
from tests.unit.builders import ALL_WELL, DEFAULTS, DENIED, NOT_FOUND, READY, hop, round_of, saying, target, with_conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.core.decide import Notice
    from isvcwatch.core.health import Round
    from isvcwatch.core.step import Effect, State

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULES = Rules(DEFAULTS)
SERVICE = "iris-predictor"
FAILS = NOT_FOUND
PODS = tuple(f"iris-{number}" for number in range(5))


def backing(*pods: str, ports: tuple[int, ...] = (8080,)) -> tuple[Backing, ...]:
    return (Backing(SERVICE, tuple(Replica(f"10.1.0.{pod[-1]}", pod) for pod in pods), ports),)


def survey(failing: int, of: int = 5) -> dict[str, Finding]:
    """The first so many replicas fail."""
    return {pod: FAILS if number < failing else READY for number, pod in enumerate(PODS[:of])}


class TestReplicas:
    @pytest.mark.parametrize("failing", [0, 5])
    def test_those_that_agree_are_no_matter_of_theirs(self, failing: int) -> None:
        replicas = Replicas().after(survey(failing)).after(survey(failing))
        assert replicas.finding() is None
        assert replicas.is_sure

    @pytest.mark.parametrize(("failing", "status"), [(1, Status.TRUE), (2, Status.TRUE), (3, Status.FALSE), (4, Status.FALSE)])
    def test_the_verdict_is_what_most_clients_get(self, failing: int, status: Status) -> None:
        found = Replicas().after(survey(failing)).after(survey(failing)).finding()
        assert found
        assert (found.status, found.reason) == (status, Reason.SOME_REPLICAS_FAIL)
        assert found.message.startswith(f"{failing} of 5 replicas fail: iris-0")

    def test_one_survey_is_not_enough_for_it_to_begin_or_to_end(self) -> None:
        replicas = Replicas().after(survey(1))
        assert replicas.finding() is None
        assert not replicas.is_sure
        replicas = replicas.after(survey(1))
        assert replicas.finding()
        replicas = replicas.after(survey(0))
        assert replicas.finding()
        assert not replicas.is_sure
        replicas = replicas.after(survey(0))
        assert replicas.finding() is None
        assert replicas.is_sure

    def test_a_replica_that_answers_now_and_then_stays_held_to_fail(self) -> None:
        replicas = Replicas().after(survey(1)).after(survey(1))
        for failing in (0, 1, 0, 1):
            replicas = replicas.after(survey(failing))
            assert replicas.split == ("iris-0",)

    def test_one_that_is_gone_is_forgotten(self) -> None:
        replicas = Replicas().after(survey(1)).after(survey(1))
        assert replicas.after(dict.fromkeys(PODS[1:], READY)).finding() is None

    def test_what_says_nothing_about_the_model_is_no_failure(self) -> None:
        found = survey(0) | {PODS[0]: DENIED}
        assert Replicas().after(found).after(found).finding() is None


class TestSurvey:
    TARGET = target(hops=[replace(hop(), service=SERVICE)])

    def test_each_ready_replica_is_asked_at_its_own_address(self) -> None:
        found = survey_of(self.TARGET, backing("iris-0", "iris-1"))
        assert found
        assert found.replicas == ((0, "iris-0", "10.1.0.0", 8080), (0, "iris-1", "10.1.0.1", 8080))

    @pytest.mark.parametrize(
        "behind", [(), backing("iris-0"), backing("iris-0", "iris-1", ports=()), backing("a-0", "b-1", ports=(80, 9000))]
    )
    def test_one_alone_or_without_a_known_port_is_asked_through_its_service_only(self, behind: tuple[Backing, ...]) -> None:
        assert survey_of(self.TARGET, behind) is None

    def test_of_several_ports_it_is_the_one_that_the_container_declares(self) -> None:
        declared = target(hops=[replace(hop(), service=SERVICE, port=9000)])
        found = survey_of(declared, backing("a-0", "b-1", ports=(80, 9000)))
        assert found
        assert {port for _, _, _, port in found.replicas} == {9000}


class Stage:
    """A ready service of five replicas."""

    def __init__(self, found: Round = ALL_WELL) -> None:
        self.state: State | None = None
        self.isvc = with_conditions(*saying(found))
        self.effects: tuple[Effect, ...] = ()
        self.notices: list[Notice] = []
        self.see(*PODS)

    @property
    def target(self) -> Target:
        assert self.state
        assert isinstance(self.state.outcome, Target)
        return self.state.outcome

    def see(self, *pods: str) -> Sequence[Effect]:
        self.state, self.effects = step(self.state, Seen(self.isvc, None, backing(*pods)), RULES, NOON)
        return self.effects

    def survey(self, failing: int, times: int = 1) -> Sequence[Effect]:
        for _ in range(times):
            self.state, self.effects = step(self.state, Surveyed(self.target, survey(failing)), RULES, NOON)
        return self.effects

    def find(self, found: Round, times: int = 1) -> Sequence[Effect]:
        for _ in range(times):
            self.state, self.effects = step(self.state, RoundEnded(self.target, found), RULES, NOON)
        return self.effects

    def write(self) -> None:
        assert self.state
        decided = decision(self.state, RULES, NOON)
        if decided.notice:
            self.notices.append(decided.notice)
        self.state, _ = step(self.state, Told(decided), RULES, NOON)
        assert self.state
        kept = [c for c in self.isvc.conditions or () if c and c.type not in {new.type for new in decided.conditions}]
        self.isvc = replace(self.isvc, conditions=(*kept, *decided.conditions))
        self.see(*PODS)

    @property
    def verdict(self) -> tuple[str, str]:
        assert self.state
        assert self.state.model_ready
        return self.state.model_ready.status, self.state.model_ready.reason


class TestStep:
    def test_replicas_are_asked_from_the_first_sight_on(self) -> None:
        stage = Stage()
        assert any(isinstance(effect, AskReplicas) and effect.survey for effect in stage.effects)
        assert stage.see(*PODS) == NOTHING
        assert AskReplicas(None) in stage.see(PODS[0])

    def test_a_round_that_fails_has_all_asked_at_once(self) -> None:
        stage = Stage()
        (asked,) = stage.find(round_of(FAILS))
        assert isinstance(asked, AskReplicas)
        assert asked.within is not None
        assert stage.find(round_of(FAILS)) == NOTHING

    def test_one_of_five_that_fails_is_one_event_and_no_turn_whatever_rounds_meet(self) -> None:
        stage = Stage()
        stage.find(round_of(FAILS))
        (again,) = stage.survey(1)
        assert isinstance(again, AskReplicas)
        stage.find(round_of(FAILS), 5)
        assert stage.verdict == ("True", "ModelReady")
        assert Say() in stage.survey(1)
        assert stage.verdict == ("True", "SomeReplicasFail")
        stage.write()
        for found in (round_of(FAILS), ALL_WELL) * 10:
            assert stage.find(found) == NOTHING
        stage.survey(1, 5)
        assert [notice.reason for notice in stage.notices] == [EventReason.SOME_REPLICAS_FAIL]
        stage.survey(0, 2)
        assert AskAnew(hurried=False) in stage.effects
        stage.find(ALL_WELL)
        assert stage.verdict == ("True", "ModelReady")
        stage.write()
        assert [notice.reason for notice in stage.notices] == [EventReason.SOME_REPLICAS_FAIL, EventReason.ALL_REPLICAS_SERVE]

    def test_where_most_fail_the_model_is_not_ready(self) -> None:
        stage = Stage()
        stage.survey(4, 2)
        assert stage.verdict == ("False", "SomeReplicasFail")
        stage.write()
        assert [notice.reason for notice in stage.notices] == [EventReason.MODEL_UNREADY]

    def test_where_all_fail_rounds_tell_so(self) -> None:
        stage = Stage()
        stage.survey(5, 2)
        stage.find(round_of(FAILS), DEFAULTS.failure_threshold)
        assert stage.verdict == ("False", "ModelNotFound")

    def test_where_the_replicas_serve_and_their_service_does_not_rounds_tell_so(self) -> None:
        stage = Stage()
        stage.survey(0, 2)
        stage.find(round_of(FAILS), DEFAULTS.failure_threshold)
        assert stage.verdict == ("False", "ModelNotFound")

    def test_a_restart_says_nothing_new_until_they_were_asked(self) -> None:
        split = Finding(Status.TRUE, Reason.SOME_REPLICAS_FAIL, "1 of 5 replicas fail: iris-0")
        stage = Stage(round_of(split))
        assert stage.find(ALL_WELL) == NOTHING
        stage.survey(1, 2)
        assert stage.verdict == ("True", "SomeReplicasFail")
        stage.write()
        assert stage.notices == []

    def test_a_survey_of_before_a_change_is_ignored(self) -> None:
        stage = Stage()
        state, effects = step(stage.state, Surveyed(target(), survey(1)), RULES, NOON)
        assert (state, effects) == (stage.state, NOTHING)
