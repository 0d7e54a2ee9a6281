"""What stands behind a Service is evidence that needs no probe."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from isvcwatch.core.backing import Backing, backings, lacking
from isvcwatch.core.conditions import Condition, Status
from isvcwatch.core.derive import derive
from isvcwatch.core.objects import EndpointSlice, Replica
from isvcwatch.core.reasons import Reason
from isvcwatch.core.step import NOTHING, AskAnew, Probe, Rest, RoundEnded, Rules, Say, Seen, step
from isvcwatch.core.targets import Skipped, Target
from tests.unit.builders import ALL_REFUSED, ALL_WELL, DEFAULTS, NOT_READY, hop, isvc, round_of, saying, with_conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.core.health import Round
    from isvcwatch.core.step import Effect, State

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULES = Rules(DEFAULTS)
SERVICE = "iris-predictor"
READY = Replica("10.1.0.1", "iris-0")
STARTING = Replica("10.1.0.2", "iris-1", ready=False, serving=False)
ENDING = Replica("10.1.0.3", "iris-2", ready=False, serving=True, ending=True)
ENDED = Replica("10.1.0.4", "iris-3", ready=False, serving=False, ending=True)


def behind(*endpoints: Replica) -> tuple[Backing, ...]:
    return (Backing(SERVICE, endpoints),)


def slice_of(*endpoints: Replica, service: str = SERVICE) -> EndpointSlice:
    return EndpointSlice("models", "iris", service, endpoints)


class TestBacking:
    @pytest.mark.parametrize(
        ("endpoints", "serving"),
        [
            ([], 0),
            ([READY], 1),
            ([READY, STARTING, ENDING], 1),
            ([STARTING], 0),
            ([STARTING, ENDING], 1),  # kube-proxy sends traffic to a pod that ends while no other is ready
            ([ENDED], 0),
        ],
    )
    def test_traffic_goes_to_those_that_are_ready_else_to_those_that_still_serve(self, endpoints: list[Replica], serving: int) -> None:
        assert Backing(SERVICE, tuple(endpoints)).serving == serving

    def test_a_pod_in_several_slices_and_families_counts_once(self) -> None:
        (found,) = backings([slice_of(READY), slice_of(replace(READY, address="fd00::1")), slice_of(STARTING)])
        assert [endpoint.pod for endpoint in found.endpoints] == ["iris-0", "iris-1"]

    def test_services_are_told_apart(self) -> None:
        found = backings([slice_of(READY), slice_of(service="iris-transformer")])
        assert [(backing.service, backing.serving) for backing in found] == [(SERVICE, 1), ("iris-transformer", 0)]

    @pytest.mark.parametrize(
        ("backing", "reason"),
        [
            ((), None),
            (behind(READY), None),
            (behind(), Reason.NO_ENDPOINTS),
            (behind(STARTING), Reason.NONE_READY),
            ((Backing("another"),), None),
        ],
    )
    def test_only_a_slice_is_evidence_and_only_about_its_service(self, backing: tuple[Backing, ...], reason: Reason | None) -> None:
        found = lacking([replace(hop(), service=SERVICE)], backing)
        assert (found.reason if found else None) == reason


class Stage:
    """A service that is held to be ready, and its endpoints."""

    def __init__(self, *endpoints: Replica, found: Round = ALL_WELL) -> None:
        self.state: State | None = None
        self.effects: tuple[Effect, ...] = ()
        self.isvc = with_conditions(*saying(found))
        self.see(*endpoints)

    def see(self, *endpoints: Replica) -> Sequence[Effect]:
        self.state, self.effects = step(self.state, Seen(self.isvc, None, behind(*endpoints)), RULES, NOON)
        return self.effects

    def find(self, found: Round, *, fresh: bool) -> Sequence[Effect]:
        assert self.state
        assert isinstance(self.state.outcome, Target)
        self.state, self.effects = step(self.state, RoundEnded(self.state.outcome, found, fresh=fresh), RULES, NOON)
        return self.effects

    @property
    def verdict(self) -> tuple[str, str]:
        assert self.state
        assert self.state.model_ready
        return self.state.model_ready.status, self.state.model_ready.reason


class TestWithoutEndpoints:
    def test_a_change_of_the_endpoints_has_the_service_asked_anew(self) -> None:
        stage = Stage(READY)
        assert stage.see(READY, STARTING) == (AskAnew(hurried=False),)
        assert stage.see(READY, STARTING) == NOTHING
        assert stage.see() == (AskAnew(hurried=True),)
        assert stage.see(STARTING) == (AskAnew(hurried=True),)
        assert stage.see(READY) == (AskAnew(hurried=False),)

    @pytest.mark.parametrize(("endpoints", "reason"), [([], "NoEndpoints"), ([STARTING], "NoneReady")])
    def test_one_round_without_an_answer_is_enough(self, endpoints: list[Replica], reason: str) -> None:
        stage = Stage(READY)
        stage.see(*endpoints)
        assert Say() in stage.find(ALL_REFUSED, fresh=True)
        assert stage.verdict == ("False", reason)

    def test_an_answer_on_a_kept_connection_proves_nothing(self) -> None:
        stage = Stage(READY, found=round_of(NOT_READY))
        stage.see()
        assert stage.find(ALL_WELL, fresh=False) == NOTHING
        assert stage.verdict == ("False", "ModelNotReady")

    def test_an_answer_on_a_new_connection_proves_that_clients_get_one(self) -> None:
        stage = Stage(READY)
        stage.see()
        stage.find(ALL_WELL, fresh=True)
        assert stage.verdict == ("True", "ModelReady")

    def test_a_model_that_was_never_ready_has_its_time_to_start(self) -> None:
        state, _ = step(None, Seen(isvc(), None, behind(STARTING)), RULES, NOON)
        assert state
        assert isinstance(state.outcome, Target)
        for _ in range(DEFAULTS.failure_threshold):
            assert state.model_ready is None
            state, _ = step(state, RoundEnded(state.outcome, ALL_REFUSED, fresh=True), RULES, NOON)
            assert state
        assert state.model_ready
        assert state.model_ready.reason == Reason.NONE_READY

    def test_once_there_are_endpoints_the_probe_alone_tells(self) -> None:
        stage = Stage(READY)
        stage.see()
        stage.find(ALL_REFUSED, fresh=True)
        stage.see(READY)
        stage.find(ALL_WELL, fresh=False)
        assert stage.verdict == ("True", "ModelReady")


class TestAsleep:
    PREDICTOR_READY = Condition("PredictorReady", "True")
    KEDA = isvc(annotations={"serving.kserve.io/autoscalerClass": "keda"}, conditions=(PREDICTOR_READY,))

    @pytest.mark.parametrize("endpoints", [[], [ENDING], [ENDED]])
    def test_one_that_its_autoscaler_has_scaled_to_zero_is_left_alone(self, endpoints: list[Replica]) -> None:
        outcome = derive(self.KEDA, None, DEFAULTS, behind(*endpoints)).outcome
        assert isinstance(outcome, Skipped)
        assert outcome.reason is Reason.SCALES_TO_ZERO

    @pytest.mark.parametrize(
        ("service", "endpoints"),
        [
            (KEDA, [READY]),
            (KEDA, [STARTING]),
            (replace(KEDA, conditions=(Condition("PredictorReady", "False"),)), []),
            (replace(KEDA, annotations={}), []),
        ],
    )
    def test_with_pods_or_where_kserve_calls_it_not_ready_or_nobody_scales_it_is_asked(
        self, service: object, endpoints: list[Replica]
    ) -> None:
        outcome = derive(service, None, DEFAULTS, behind(*endpoints)).outcome  # type: ignore[arg-type]
        assert isinstance(outcome, Target)
        assert not outcome.hops[0].may_sleep

    def test_where_no_endpoints_are_known_a_refusal_may_be_its_sleep(self) -> None:
        outcome = derive(self.KEDA, None, DEFAULTS).outcome
        assert isinstance(outcome, Target)
        assert outcome.hops[0].may_sleep

    def test_it_is_probed_again_when_it_wakes(self) -> None:
        state, _ = step(None, Seen(self.KEDA, None, behind(READY)), RULES, NOON)
        state, effects = step(state, Seen(self.KEDA, None, behind()), RULES, NOON)
        assert Rest() in effects
        state, effects = step(state, Seen(self.KEDA, None, behind(STARTING)), RULES, NOON)
        assert any(isinstance(effect, Probe) for effect in effects)
        assert state
        assert state.model_ready is None
        target = state.outcome
        assert isinstance(target, Target)
        for _ in range(5):
            state, _ = step(state, RoundEnded(target, ALL_REFUSED, fresh=True), RULES, NOON + timedelta(minutes=5))
            assert state
        assert state.model_ready
        assert state.model_ready.reason == Reason.STARTING
        for _ in range(DEFAULTS.failure_threshold):
            state, _ = step(state, RoundEnded(target, ALL_REFUSED, fresh=True), RULES, NOON + timedelta(minutes=11))
            assert state
        assert state.model_ready
        assert state.model_ready.reason == Reason.NONE_READY


def test_the_status_of_a_lack_is_false() -> None:
    found = lacking([replace(hop(), service=SERVICE)], behind())
    assert found
    assert found.status is Status.FALSE
    assert SERVICE in found.message
