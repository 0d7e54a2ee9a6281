"""How soon a target is asked again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.core import pace
from isvcwatch.core.health import Finding, Health
from isvcwatch.core.policy import ProbePolicy
from tests.unit.builders import ALL_REFUSED, ALL_WELL, DENIED, NOT_READY, READY, REFUSED, round_of

POLICY = ProbePolicy(period=10.0, edge_period=1.0, slow_period=60.0, failure_threshold=3, success_threshold=2)
EDGE, PERIOD, SLOW = 1.0, 10.0, 60.0


def after(*found: Finding, policy: ProbePolicy = POLICY) -> Health:
    health = Health()
    for finding in found:
        health = health.observe(round_of(finding), policy)
    return health


WELL = (READY,) * 2
ILL = (NOT_READY,) * 3


@pytest.mark.parametrize(
    ("health", "delay"),
    [
        (Health(), EDGE),
        (after(READY), EDGE),
        (after(*WELL), PERIOD),
        (after(*WELL, NOT_READY), EDGE),
        (after(*WELL, NOT_READY, NOT_READY), EDGE),
        (after(*WELL, *ILL), PERIOD),
        (after(*WELL, NOT_READY, READY), PERIOD),
        (after(*ILL, READY), EDGE),
        (after(*ILL, REFUSED), EDGE),
        (after(*ILL, REFUSED, NOT_READY), PERIOD),
        (after(*ILL, *(DENIED,) * 3), PERIOD),
    ],
)
def test_what_is_being_confirmed_is_asked_sooner(health: Health, delay: float) -> None:
    assert pace.delay(health, POLICY, 0.0) == delay


def test_also_where_only_the_servers_own_health_is_being_confirmed() -> None:
    health = after(*WELL).observe(ALL_REFUSED, POLICY).observe(round_of(READY, live=REFUSED), POLICY)
    assert pace.delay(health, POLICY, 0.0) == EDGE
    assert not pace.is_steady(health)


@pytest.mark.parametrize(("down", "delay"), [(0, 10), (599, 10), (600, 10), (660, 11), (1200, 20), (3600, 60), (1e6, 60)])
def test_what_has_long_been_down_is_asked_less_and_less_often(down: float, delay: float) -> None:
    assert pace.delay(after(*ILL), POLICY, down) == delay


def test_a_period_longer_than_the_slow_one_is_kept() -> None:
    assert pace.delay(after(*ILL), ProbePolicy(period=300.0), 1e6) == 300.0


def test_what_has_long_been_down_and_answers_ready_is_asked_again_soon() -> None:
    assert pace.delay(after(*ILL, READY), POLICY, 1e6) == EDGE


def test_causes_that_go_on_changing_for_long_are_no_longer_news() -> None:
    assert pace.delay(after(*ILL, REFUSED), POLICY, 1200.0) == 20.0


class TestStart:
    GATED = ProbePolicy(failure_threshold=3, startup_failure_threshold=30, success_threshold=2)

    def test_a_start_is_given_its_time_a_period_a_round(self) -> None:
        for failures in range(29):
            health = after(*(NOT_READY,) * failures, policy=self.GATED)
            assert pace.starts_up(health, self.GATED)
            assert pace.delay(health, self.GATED, 1e6) == PERIOD
            assert not pace.silence_tells(health, self.GATED)

    def test_its_first_success_is_confirmed_soon(self) -> None:
        assert pace.delay(after(NOT_READY, READY, policy=self.GATED), self.GATED, 100.0) == EDGE

    def test_while_it_has_time_to_start_it_is_asked_once_a_period_and_soon_again_when_that_is_over(self) -> None:
        health = Health().observe(ALL_REFUSED.of_start(), POLICY)
        assert pace.delay(health, POLICY, 1e6) == PERIOD
        assert not pace.silence_tells(health, POLICY)
        assert pace.delay(health.observe(ALL_REFUSED, POLICY), POLICY, 1e6) == EDGE

    def test_it_ends_with_the_first_verdict(self) -> None:
        assert not pace.starts_up(after(*(NOT_READY,) * 30, policy=self.GATED), self.GATED)
        assert not pace.starts_up(after(*WELL, policy=self.GATED), self.GATED)


@pytest.mark.parametrize(("health", "tells"), [(Health(), True), (after(*WELL), True), (after(*ILL), False), (after(*ILL, READY), False)])
def test_silence_tells_something_only_where_a_failure_would_be_news(health: Health, tells: bool) -> None:
    assert pace.silence_tells(health, POLICY) is tells


@given(
    st.lists(st.sampled_from([READY, NOT_READY, REFUSED, DENIED]), max_size=20),
    st.floats(0, 1e7),
    st.builds(ProbePolicy, period=st.floats(0.1, 3600), edge_period=st.floats(0.1, 3600), slow_period=st.floats(0.1, 3600)),
)
def test_the_delay_is_always_within_its_bounds(found: list[Finding], down: float, policy: ProbePolicy) -> None:
    health = after(*found, policy=policy)
    delay = pace.delay(health, policy, down)
    assert policy.edge <= delay <= max(policy.period, policy.slow_period)
    if pace.is_steady(health):
        assert pace.delay(health, policy, 0.0) == policy.period


def test_the_steady_state_is_to_be_ready_with_nothing_against_it() -> None:
    assert pace.is_steady(after(*WELL))
    assert pace.is_steady(Health().observe(ALL_WELL, ProbePolicy()))
    assert not any(pace.is_steady(health) for health in (Health(), after(READY), after(*ILL), after(*WELL, NOT_READY)))
