"""Whatever happens in whatever order, a service's verdict ends as the cluster has it, and nothing follows without a cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from isvcwatch.core.conditions import Condition, ConditionType, Status, timestamp
from isvcwatch.core.edges import Placed, Turned
from isvcwatch.core.health import STARTING, Finding, Round
from isvcwatch.core.objects import Canary, ComponentSpec
from isvcwatch.core.reasons import EventReason
from isvcwatch.core.step import NOTHING, AskAnew, Gone, Probe, Rest, RoundEnded, Rules, Say, Seen, Told, decision, step
from isvcwatch.core.targets import Skipped, Target
from tests.unit.builders import ALL_REFUSED, ALL_WELL, DEFAULTS, DENIED, NOT_READY, isvc, round_of, saying, with_conditions

if TYPE_CHECKING:
    from isvcwatch.core.decide import Decision, Notice
    from isvcwatch.core.objects import InferenceService
    from isvcwatch.core.step import Effect, Input, State

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULES = Rules(DEFAULTS)
FINDINGS = (ALL_WELL, ALL_REFUSED, round_of(NOT_READY), round_of(DENIED))
ADDRESSES = ("http://iris-predictor.models.svc", "http://iris-predictor.models.svc:9000")
ENOUGH = 3 * DEFAULTS.failure_threshold


class World(RuleBasedStateMachine):
    """A service in a cluster, a model behind each of its addresses, and what the operator makes of them.

    Attributes:
        there: the object as the cluster has it.
        models: what a round finds at each address.
        state: what the operator remembers.
        targets: every target that was ever probed, the latest last.
        probed: the target that the schedule holds.
        told: the Events that are there, each once, by what its name is made of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.version = 100
        self.there: InferenceService = isvc(address_url=ADDRESSES[0])
        self.models: dict[str, Round] = dict.fromkeys(ADDRESSES, ALL_WELL)
        self.state: State | None = None
        self.targets: list[Target] = []
        self.probed: Target | None = None
        self.told: dict[tuple[str, str, str], Notice] = {}

    def feed(self, happened: Input) -> tuple[Effect, ...]:
        self.state, effects = step(self.state, happened, RULES, self.now)
        for effect in effects:
            if isinstance(effect, Probe):
                self.probed = effect.target
                self.targets.append(effect.target)
            elif isinstance(effect, Rest):
                self.probed = None
        return effects

    def change(self, **changes: object) -> None:
        self.version += 1
        self.there = replace(self.there, resource_version=str(self.version), **changes)  # type: ignore[arg-type]

    def carry_out(self, decided: Decision) -> None:
        """As the API server does it: the conditions change, an Event of a name that is there already is not made again."""
        kept = [c for c in self.there.conditions or () if c and c.type not in {new.type for new in decided.conditions}]
        if decided.conditions or decided.removed:
            self.change(conditions=(*(c for c in kept if c.type not in decided.removed), *decided.conditions))
        if decided.notice:
            self.told.setdefault((self.there.uid, decided.notice.status, decided.notice.since), decided.notice)

    @rule()
    def it_is_seen(self) -> None:
        self.feed(Seen(self.there))

    @rule(where=st.sampled_from(ADDRESSES), found=st.sampled_from(FINDINGS))
    def a_model_changes(self, where: str, found: Round) -> None:
        self.models[where] = found

    @rule(where=st.sampled_from(ADDRESSES))
    def it_moves(self, where: str) -> None:
        self.change(address_url=where)

    @rule(stopped=st.booleans())
    def it_is_stopped_or_started(self, stopped: bool) -> None:
        self.change(stopped=stopped, conditions=() if stopped else self.there.conditions)

    @rule()
    def someone_wipes_the_conditions(self) -> None:
        self.change(conditions=())

    @rule()
    def it_is_made_anew_unseen(self) -> None:
        self.change(uid=f"uid-{self.version}", conditions=())
        self.feed(Gone())

    @rule(minutes=st.integers(0, 90))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.probed)
    @rule(times=st.integers(1, 4))
    def it_is_asked(self, times: int) -> None:
        for _ in range(times):
            assert self.probed
            self.feed(RoundEnded(self.probed, self.models[self.probed.hops[0].base_url]))

    @precondition(lambda self: self.targets)
    @rule(data=st.data(), found=st.sampled_from(FINDINGS))
    def a_round_of_before_ends_late(self, data: st.DataObject, found: Round) -> None:
        target = data.draw(st.sampled_from(self.targets))
        if self.state is None or target is not self.state.outcome:
            before = self.state
            assert self.feed(RoundEnded(target, found)) == NOTHING
            assert self.state is before

    @precondition(lambda self: self.state)
    @rule(heard=st.permutations(("told", "seen")), killed=st.booleans())
    def what_is_to_be_said_is_said(self, heard: list[str], killed: bool) -> None:
        assert self.state
        if self.state.isvc != self.there:
            return  # a 409
        self.carry_out(decided := decision(self.state, RULES, self.now))
        for what in heard:
            if killed:
                self.the_process_starts_anew()
                return
            self.feed(Told(decided) if what == "told" else Seen(self.there))

    @rule()
    def the_process_starts_anew(self) -> None:
        self.state, self.probed, self.targets = None, None, []
        self.feed(Seen(self.there))

    @invariant()
    def what_is_probed_is_what_is_remembered(self) -> None:
        assert self.probed is (self.state.outcome if self.state and isinstance(self.state.outcome, Target) else None)

    @invariant()
    def what_was_seen_already_changes_nothing(self) -> None:
        """But for what time alone has changed: the pods of before a change are gone by now, and are asked no longer."""
        if self.state is None:
            return
        after, effects = step(self.state, Seen(self.state.isvc), RULES, self.now)
        assert after is not None
        if self.state.former and not self.state.former.may_serve(self.state.isvc, self.now):
            assert isinstance(after.outcome, Target)
            assert (after.former, after.outcome.former) == (None, ())
            assert {type(effect) for effect in effects} <= {Probe, Placed, Say}
        else:
            assert after == self.state
            assert set(effects) <= {Say()}

    def teardown(self) -> None:
        """In the end the object says what is the case, and nothing is left to be said."""
        self.feed(Seen(self.there))
        for _ in range(ENOUGH):
            if self.probed:
                self.feed(RoundEnded(self.probed, self.models[self.there.address_url]))
        assert self.state
        self.carry_out(decided := decision(self.state, RULES, self.now))
        self.feed(Told(decided))
        assert Say() not in self.feed(Seen(self.there))
        assert not decision(self.state, RULES, self.now)
        if self.probed:
            truth = self.models[self.there.address_url]
            found = {c.type: c.status for c in self.there.conditions or () if c}
            assert found[ConditionType.MODEL_READY] == truth.model_ready.status
            assert self.feed(RoundEnded(self.probed, truth)) == NOTHING
            if truth.model_ready.status is not Status.TRUE:
                assert any(key[:2] == (self.there.uid, truth.model_ready.status) for key in self.told)
        recovered = {key[0] for key, notice in self.told.items() if notice.reason is EventReason.MODEL_RECOVERED}
        assert recovered <= {key[0] for key, notice in self.told.items() if notice.reason is not EventReason.MODEL_RECOVERED}


World.TestCase.settings = settings(max_examples=150, stateful_step_count=25)
TestWorld = World.TestCase


def test_each_effect_has_its_cause() -> None:
    state, effects = step(None, Seen(isvc()), RULES, NOON)
    assert [type(effect) for effect in effects] == [Probe, Placed]
    assert state is not None
    assert isinstance(state.outcome, Target)
    state, effects = step(state, RoundEnded(state.outcome, ALL_WELL), RULES, NOON)
    assert [type(effect) for effect in effects] == [Turned, Turned, Turned, Say]
    assert state is not None
    state, effects = step(state, Seen(isvc(stopped=True)), RULES, NOON)
    assert [type(effect) for effect in effects] == [Rest, Placed]
    assert state is not None
    assert isinstance(state.outcome, Skipped)
    state, effects = step(state, Gone(), RULES, NOON)
    assert (state, effects) == (None, NOTHING)


def test_a_verdict_that_is_doubted_is_not_given() -> None:
    state, _ = step(None, Seen(with_conditions(*saying(ALL_WELL))), RULES, NOON)
    for _ in range(ENOUGH):
        assert state is not None
        assert isinstance(state.outcome, Target)
        state, effects = step(state, RoundEnded(state.outcome, ALL_REFUSED, doubted=True), RULES, NOON)
        assert effects == NOTHING
    assert state is not None
    assert state.model_ready is not None
    assert state.model_ready.status is Status.TRUE


def test_a_recovery_is_told_also_where_the_service_has_moved_meanwhile_and_its_conditions_are_gone() -> None:
    state, _ = step(None, Seen(with_conditions(*saying(round_of(NOT_READY)))), RULES, NOON)
    moved = isvc(address_url="http://iris-predictor.models.svc:9000")
    state, _ = step(state, Seen(moved), RULES, NOON)
    assert state is not None
    assert isinstance(state.outcome, Target)
    state, effects = step(state, RoundEnded(state.outcome, ALL_WELL), RULES, NOON)
    assert state is not None
    assert Say() in effects
    notice = decision(state, RULES, NOON).notice
    assert notice is not None
    assert notice.reason is EventReason.MODEL_RECOVERED


def test_a_part_that_can_not_be_asked_is_named_in_what_is_written() -> None:
    spec = ComponentSpec(model_format="sklearn")
    grpc = ComponentSpec(name="v2", protocol_version="grpc-v2")
    state, _ = step(None, Seen(isvc(predictor=spec, canaries=(Canary(grpc, traffic=20),))), RULES, NOON)
    assert state is not None
    assert isinstance(state.outcome, Target)
    state, _ = step(state, RoundEnded(state.outcome, ALL_WELL), RULES, NOON)
    assert state is not None
    written = {c.type: c.message for c in decision(state, RULES, NOON).conditions}
    assert "canary v2 not asked: the predictor speaks grpc-v2" in written[ConditionType.MODEL_READY]


class TestStart:
    """A service that was created at noon, has never been ready, and is called not Ready by KServe."""

    COMING = Condition("Ready", "False", "MinimumReplicasUnavailable")
    READY = Condition("Ready", "True")
    IN_TIME, LATE = NOON + timedelta(seconds=599), NOON + timedelta(seconds=600)

    def seen(self, state: State | None, *conditions: Condition, now: datetime = NOON) -> State:
        after, _ = step(state, Seen(isvc(created=NOON, conditions=conditions)), RULES, now)
        assert after is not None
        return after

    def asked(self, state: State, *rounds: Round, now: datetime = NOON) -> tuple[State, list[Effect]]:
        effects: list[Effect] = []
        for found in rounds:
            assert isinstance(state.outcome, Target)
            after, more = step(state, RoundEnded(state.outcome, found), RULES, now)
            assert after is not None
            state, effects = after, [*effects, *more]
        return state, effects

    @staticmethod
    def said(state: State, now: datetime = NOON) -> tuple[str, str]:
        """The reason that is written about the model, and that of the Event."""
        decided = decision(state, RULES, now)
        written = {c.type: c.reason for c in decided.conditions}
        return written.get(ConditionType.MODEL_READY, ""), decided.notice.reason if decided.notice else ""

    def test_its_first_failure_says_so_without_an_event_and_no_other_says_more(self) -> None:
        state, effects = self.asked(self.seen(None, self.COMING), ALL_REFUSED)
        assert Say() in effects
        assert self.said(state) == ("Starting", "")
        assert (
            self.asked(state, *(Round(None, None, NOT_READY), Round(DENIED, DENIED, DENIED)) * ENOUGH, ALL_REFUSED, now=self.IN_TIME)[1]
            == []
        )

    @pytest.mark.parametrize(
        ("conditions", "soon"),
        [((COMING,), True), ((READY,), False), ((COMING, *saying(Round(STARTING, STARTING, STARTING))), False)],
    )
    def test_it_is_first_asked_soon(self, conditions: tuple[Condition, ...], soon: bool) -> None:
        _, (probe, _) = step(None, Seen(isvc(created=NOON, conditions=conditions)), RULES, NOON)
        assert isinstance(probe, Probe)
        assert probe.soon is soon

    def test_once_its_time_is_over_it_gets_its_verdict_and_the_event(self) -> None:
        state, _ = self.asked(self.seen(None, self.COMING), ALL_REFUSED)
        state, _ = self.asked(state, ALL_REFUSED, ALL_REFUSED, now=self.LATE)
        assert self.said(state) == ("Starting", "")
        state, _ = self.asked(state, ALL_REFUSED, now=self.LATE)
        assert self.said(state) == ("ConnectionRefused", "ModelUnready")

    def test_the_first_true_after_it_has_no_event(self) -> None:
        state, _ = self.asked(self.seen(None, self.COMING), ALL_REFUSED, ALL_WELL)
        assert self.said(state) == ("ModelReady", "")

    def test_a_turn_of_kserves_ready_drops_nothing(self) -> None:
        state, _ = self.asked(self.seen(None, self.COMING), ALL_REFUSED)
        after = self.seen(state, self.READY)
        assert after.outcome is state.outcome
        assert self.seen(after, self.COMING).record == state.record

    def test_one_that_is_ready_for_seconds_at_each_start_gets_its_verdict_when_its_time_is_over(self) -> None:
        state = self.seen(None, self.COMING)
        for _ in range(10):
            state, _ = self.asked(self.seen(state, self.COMING), ALL_REFUSED)
            state, _ = self.asked(self.seen(state, self.READY), ALL_REFUSED)
            assert self.said(state) == ("Starting", "")
        for conditions in (self.COMING, self.READY, self.COMING):
            state, _ = self.asked(self.seen(state, conditions, now=self.LATE), ALL_REFUSED, now=self.LATE)
        assert self.said(state) == ("ConnectionRefused", "ModelUnready")

    def test_what_kserve_calls_ready_is_to_be_proven_at_once(self) -> None:
        state, _ = self.asked(self.seen(None, self.READY), *(ALL_REFUSED,) * 3)
        assert self.said(state) == ("ConnectionRefused", "ModelUnready")

    @pytest.mark.parametrize(
        ("found", "now", "said"),
        [
            (ALL_WELL, IN_TIME, ("ModelReady", "")),
            (ALL_REFUSED, IN_TIME, ("", "")),
            (ALL_REFUSED, LATE, ("ConnectionRefused", "ModelUnready")),
        ],
    )
    def test_after_a_restart_it_goes_on(self, found: Round, now: datetime, said: tuple[str, str]) -> None:
        seeded = self.seen(None, self.COMING, *saying(Round(STARTING, STARTING, STARTING), timestamp(NOON)))
        assert not decision(seeded, RULES, NOON)
        state, _ = self.asked(seeded, *(found,) * 3, now=now)
        assert self.said(state, now) == said

    def test_a_model_that_was_ready_before_has_no_such_time(self) -> None:
        state, _ = self.asked(self.seen(None, self.COMING, *saying(ALL_WELL)), *(ALL_REFUSED,) * 3)
        assert self.said(state) == ("ConnectionRefused", "ModelUnready")


class TestRollOut:
    """A change of a service's spec, such as of its model's name, while the pods of before serve."""

    BEFORE = with_conditions(*saying(ALL_WELL))
    AFTER = replace(BEFORE, annotations={"isvcwatch.dev/model-name": "another"}, resource_version="101")
    ROLLING = Condition("PredictorReady", "True", "MinimumReplicasAvailable")
    FAILED = Condition("PredictorReady", "False", "ProgressDeadlineExceeded")
    DONE = Condition("PredictorReady", "True", "NewReplicaSetAvailable")

    def changed(self, *kserves: Condition) -> State:
        """The state once the change was seen."""
        state, _ = step(None, Seen(self.BEFORE), RULES, NOON)
        return self.after(state, Seen(self.now_saying(*kserves)), NOON)

    def now_saying(self, *kserves: Condition) -> InferenceService:
        return replace(self.AFTER, conditions=(*saying(ALL_WELL), *kserves))

    @staticmethod
    def after(state: State | None, happened: Input, now: datetime) -> State:
        following, _ = step(state, happened, RULES, now)
        assert following is not None
        return following

    @staticmethod
    def target(state: State) -> Target:
        assert isinstance(state.outcome, Target)
        return state.outcome

    def test_the_name_that_last_answered_is_asked_as_well(self) -> None:
        target = self.target(self.changed(self.ROLLING))
        assert [hop.model_name for hop in target.hops] == ["another"]
        assert [hop.model_name for hop in target.former] == ["iris"]

    def test_a_name_that_never_answered_is_not(self) -> None:
        state, _ = step(None, Seen(with_conditions(*saying(round_of(NOT_READY)))), RULES, NOON)
        assert self.target(self.after(state, Seen(self.AFTER), NOON)).former == ()

    def test_what_the_pods_of_before_answer_is_the_verdict(self) -> None:
        state = self.changed(self.ROLLING)
        assert self.after(state, RoundEnded(self.target(state), replace(ALL_WELL, by_former=True)), NOON).former is not None

    def test_once_the_new_name_has_answered_the_old_one_is_forgotten_and_nothing_begins_anew(self) -> None:
        state = self.changed(self.ROLLING)
        target = self.target(state)
        state = self.after(state, RoundEnded(target, ALL_WELL), NOON)
        assert state.former is None
        following, effects = step(state, Seen(self.now_saying(self.DONE)), RULES, NOON)
        assert following is not None
        assert following.outcome is target
        assert effects == NOTHING

    def test_changed_back_there_is_nothing_to_remember(self) -> None:
        state = self.after(self.changed(self.ROLLING), Seen(self.BEFORE), NOON)
        assert (self.target(state).former, state.former) == ((), None)

    def test_changed_again_before_the_first_change_has_answered_the_oldest_name_stays(self) -> None:
        third = replace(self.AFTER, annotations={"isvcwatch.dev/model-name": "third"})
        target = self.target(self.after(self.changed(self.ROLLING), Seen(third), NOON))
        assert ([hop.model_name for hop in target.hops], [hop.model_name for hop in target.former]) == (["third"], ["iris"])

    @pytest.mark.parametrize(
        ("kserves", "minutes", "stays"),
        [
            (DONE, 0.3, True),  # KServe's status is of before the change
            (DONE, 0.4, False),
            (ROLLING, 10, True),
            (ROLLING, 16, False),
            (FAILED, 600, True),
            (Condition("LatestDeploymentReady", "Unknown"), 10, True),
            (Condition("LatestDeploymentReady", "True"), 10, False),
        ],
    )
    def test_the_old_name_is_asked_for_as_long_as_its_pods_may_serve(self, kserves: Condition, minutes: float, stays: bool) -> None:
        state, later = self.changed(kserves), NOON + timedelta(minutes=minutes)
        target = self.target(state)
        by_round, effects = step(state, RoundEnded(target, round_of(NOT_READY)), RULES, later)
        assert by_round is not None
        assert bool(self.target(by_round).former) is stays
        assert effects == (NOTHING if stays else (Probe(replace(target, former=()), 0.0),))
        by_change = self.after(state, Seen(replace(self.now_saying(kserves), resource_version="102")), later)
        assert bool(self.target(by_change).former) is stays

    def test_what_else_changes_of_a_hop_is_no_roll_out(self) -> None:
        state, _ = step(None, Seen(self.BEFORE), RULES, NOON)
        probed = replace(self.BEFORE, predictor=ComponentSpec(model_format="sklearn", has_storage=True), resource_version="101")
        after = self.target(self.after(state, Seen(probed), NOON))
        assert after.hops != self.target(self.after(None, Seen(self.BEFORE), NOON)).hops
        assert after.former == ()

    def test_a_canary_is_asked_with_the_pods_of_before_as_well(self) -> None:
        canary = Canary(ComponentSpec(name="v2", model_format="sklearn"), traffic=50, ready=True)
        state, _ = step(None, Seen(self.BEFORE), RULES, NOON)
        with_canary = self.after(state, Seen(replace(self.BEFORE, canaries=(canary,), resource_version="101")), NOON)
        assert [hop.canary for hop in self.target(with_canary).hops] == ["", "v2"]
        assert self.target(with_canary).former == (), "a canary that does not answer is told of"
        renamed = self.after(with_canary, Seen(replace(self.now_saying(self.ROLLING), canaries=(canary,))), NOON)
        assert [(hop.model_name, hop.canary) for hop in self.target(renamed).former] == [("iris", ""), ("another", "v2")]


class TestRestartInARollOut:
    """A ready service whose spec was changed before this process began, so that how its old pods answer is not known."""

    ROLLING = Condition("PredictorReady", "True", "MinimumReplicasAvailable")
    FAILED = Condition("PredictorReady", "False", "ProgressDeadlineExceeded")
    DONE = Condition("PredictorReady", "True", "NewReplicaSetAvailable")
    DOWN = Condition("PredictorReady", "False", "MinimumReplicasUnavailable")

    @staticmethod
    def seen(state: State | None, kserves: Condition, now: datetime = NOON) -> tuple[State, tuple[Effect, ...]]:
        after, effects = step(state, Seen(with_conditions(*saying(ALL_WELL), kserves)), RULES, now)
        assert after is not None
        return after, effects

    @staticmethod
    def asked(state: State, found: Round, now: datetime = NOON, times: int = ENOUGH) -> State:
        for _ in range(times):
            assert isinstance(state.outcome, Target)
            after, _ = step(state, RoundEnded(state.outcome, found), RULES, now)
            assert after is not None
            state = after
        return state

    @staticmethod
    def said(state: State) -> tuple[str, str]:
        assert state.model_ready is not None
        return state.model_ready.status, state.model_ready.reason

    @pytest.mark.parametrize("kserves", [ROLLING, FAILED])
    @pytest.mark.parametrize("found", [ALL_REFUSED, round_of(NOT_READY)])
    def test_its_true_is_held_until_the_new_pods_answer(self, kserves: Condition, found: Round) -> None:
        state, _ = self.seen(None, kserves)
        assert self.said(self.asked(state, found)) == ("True", "ModelReady")
        state = self.asked(self.asked(state, ALL_WELL), found)
        assert self.said(state)[0] == "False"

    def test_a_roll_out_that_is_never_done_does_not_hold_it_for_ever(self) -> None:
        state, _ = self.seen(None, self.ROLLING)
        assert self.said(self.asked(state, ALL_REFUSED, NOON + timedelta(minutes=16))) == ("False", "ConnectionRefused")

    @pytest.mark.parametrize("kserves", [DONE, DOWN])
    def test_one_in_no_roll_out_or_without_available_pods_is_told(self, kserves: Condition) -> None:
        state, _ = self.seen(None, kserves)
        assert self.said(self.asked(state, ALL_REFUSED)) == ("False", "ConnectionRefused")

    def test_while_it_has_failed_and_the_old_pods_serve_the_reason_says_so(self) -> None:
        state, _ = self.seen(None, self.DONE)
        state, effects = self.seen(self.asked(state, ALL_WELL), self.FAILED)
        assert AskAnew(hurried=False) in effects
        state = self.asked(state, ALL_WELL)
        assert self.said(state) == ("True", "RolloutFailed")
        assert decision(state, RULES, NOON).notice is None
        state, effects = self.seen(state, self.DONE)
        assert AskAnew(hurried=False) in effects
        assert self.said(self.asked(state, ALL_WELL)) == ("True", "ModelReady")

    def test_a_restart_after_it_has_failed_writes_nothing(self) -> None:
        ready = Round(None, None, Finding(Status.TRUE, "RolloutFailed"))
        state, _ = step(None, Seen(with_conditions(*saying(ready), self.FAILED)), RULES, NOON)
        assert state is not None
        assert not decision(self.asked(state, ALL_WELL), RULES, NOON)
