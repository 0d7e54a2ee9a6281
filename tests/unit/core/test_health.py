"""Answers in a row become a verdict, with the kubelet's thresholds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.core.conditions import ConditionType, Status
from isvcwatch.core.health import STARTING, Finding, Health, Round, Tracker
from isvcwatch.core.policy import ProbePolicy
from tests.unit.builders import ALL_REFUSED, ALL_WELL, DENIED, LIVE, NOT_FOUND, NOT_READY, READY, REFUSED, SERVES, round_of

Found = tuple[Finding, ...]

# What was held, what was found round after round, and what is held then: failure threshold 3, success threshold 1.
STORIES: list[tuple[str, Finding | None, Found, Finding | None]] = [
    ("nothing was found yet", None, (), None),
    ("one success is enough at first", None, (READY,), READY),
    ("one failure says nothing at first", None, (NOT_READY,), None),
    ("two failures say nothing at first", None, (NOT_READY, NOT_READY), None),
    ("three failures are a first verdict", None, (NOT_READY,) * 3, NOT_READY),
    ("failures of any kind count at first, and the latest names the cause", None, (NOT_READY, DENIED, REFUSED), REFUSED),
    ("a success forgets earlier failures", None, (NOT_READY, NOT_READY, READY, NOT_READY, NOT_READY), READY),
    ("two failures do not end True", READY, (NOT_READY, NOT_READY), READY),
    ("three failures end True", READY, (NOT_READY,) * 3, NOT_READY),
    ("two failures, a success and two failures do not end True", READY, (NOT_READY, NOT_READY, READY, NOT_READY, NOT_READY), READY),
    ("False and Unknown in turn end True all the same", READY, (NOT_READY, DENIED, NOT_READY), NOT_READY),
    ("three times Unknown ends True", READY, (DENIED,) * 3, DENIED),
    ("one success ends False", NOT_READY, (READY,), READY),
    ("one success ends Unknown", DENIED, (READY,), READY),
    ("another cause found twice does not change the cause", NOT_READY, (REFUSED, REFUSED), NOT_READY),
    ("another cause found three times in a row changes it", NOT_READY, (REFUSED,) * 3, REFUSED),
    ("causes in turn change nothing", NOT_READY, (REFUSED, NOT_FOUND) * 5, NOT_READY),
    ("the old cause between starts the count anew", NOT_READY, (REFUSED, REFUSED, NOT_READY, REFUSED, REFUSED), NOT_READY),
    ("Unknown found twice does not replace False", NOT_READY, (DENIED, DENIED), NOT_READY),
    ("Unknown found three times in a row replaces False", NOT_READY, (DENIED,) * 3, DENIED),
    ("False found three times in a row replaces Unknown", DENIED, (NOT_READY,) * 3, NOT_READY),
    ("a failed start, seen through", None, (REFUSED,) * 3 + (NOT_READY,) * 3 + (READY,), READY),
]


@pytest.mark.parametrize(("held", "found", "then"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_a_verdict_turns_as_the_kubelet_would_have_it(held: Finding | None, found: Found, then: Finding | None) -> None:
    tracker = Tracker(held)
    for finding in found:
        tracker = tracker.observe(finding, ProbePolicy())
    assert tracker.verdict == then


@pytest.mark.parametrize(("successes", "verdict"), [(1, NOT_READY), (2, NOT_READY), (3, READY), (4, READY)])
def test_a_success_threshold_of_three_takes_three_successes_in_a_row(successes: int, verdict: Finding) -> None:
    tracker = Tracker(NOT_READY)
    for _ in range(successes):
        tracker = tracker.observe(READY, ProbePolicy(success_threshold=3))
    assert tracker.verdict == verdict


def test_a_failure_between_starts_the_successes_anew() -> None:
    tracker = Tracker(NOT_READY)
    for finding in (READY, READY, NOT_READY, READY, READY):
        tracker = tracker.observe(finding, ProbePolicy(success_threshold=3))
    assert tracker.verdict == NOT_READY


def test_a_failure_threshold_of_one_turns_at_once() -> None:
    assert Tracker(READY).observe(NOT_READY, ProbePolicy(failure_threshold=1)).verdict == NOT_READY


def test_another_message_alone_is_no_other_verdict() -> None:
    reworded = Finding(Status.FALSE, NOT_READY.reason, "in other words")
    tracker = Tracker(NOT_READY)
    for _ in range(5):
        tracker = tracker.observe(reworded, ProbePolicy())
    assert tracker.verdict is NOT_READY


def test_a_finding_is_not_the_same_as_none() -> None:
    assert not READY.same_as(None)


@pytest.mark.parametrize("found", [ALL_WELL, ALL_REFUSED, round_of(NOT_READY)])
def test_what_is_known_already_changes_nothing_not_even_the_object(found: Round) -> None:
    health = Health()
    for _ in range(3):
        health = health.observe(found, ProbePolicy())
    assert health.observe(found, ProbePolicy()) is health


def test_a_start_may_fail_more_often_than_what_has_been_heard_of() -> None:
    policy = ProbePolicy(failure_threshold=2, startup_failure_threshold=5)
    tracker = Tracker()
    for _ in range(4):
        tracker = tracker.observe(NOT_READY, policy)
        assert tracker.verdict is STARTING
    assert tracker.observe(NOT_READY, policy).verdict == NOT_READY
    ready = tracker.observe(READY, policy)
    assert ready.observe(NOT_READY, policy).observe(NOT_READY, policy).verdict == NOT_READY


def test_what_starts_is_said_to_at_its_first_failure_and_what_follows_makes_no_difference() -> None:
    health = Health().observe(ALL_REFUSED.of_start(), ProbePolicy())
    assert [finding for _, finding in health.verdicts()] == [STARTING] * 3
    for found in (ALL_REFUSED, round_of(DENIED)) * 5:
        health = health.observe(found.of_start(), ProbePolicy())
    assert health.model_ready == Tracker(STARTING)


def test_once_the_time_to_start_is_over_failures_of_any_kind_count_and_the_latest_names_the_cause() -> None:
    tracker = Tracker(STARTING)
    for finding in (NOT_READY, DENIED):
        tracker = tracker.observe(finding, ProbePolicy())
        assert tracker.verdict is STARTING
    assert tracker.observe(REFUSED, ProbePolicy()).verdict is REFUSED


def test_what_was_not_asked_stays_as_it_is() -> None:
    policy = ProbePolicy()
    health = Health().observe(ALL_WELL, policy).observe(ALL_REFUSED, policy)
    after = health.observe(Round(None, None, REFUSED), policy)
    assert (after.server_live, after.server_ready) == (health.server_live, health.server_ready)
    assert after.model_ready.streak == 2


def test_what_speaks_for_another_verdict_is_pending() -> None:
    health = Health().observe(ALL_WELL, ProbePolicy())
    assert list(health.pending()) == []
    assert list(health.observe(round_of(NOT_READY), ProbePolicy()).pending()) == [NOT_READY]


def test_each_of_the_three_conditions_is_tracked_by_itself() -> None:
    health = Health()
    for _ in range(3):
        health = health.observe(round_of(NOT_READY), ProbePolicy())
    assert dict(health.verdicts()) == {
        ConditionType.SERVER_LIVE: LIVE,
        ConditionType.SERVER_READY: SERVES,
        ConditionType.MODEL_READY: NOT_READY,
    }


def test_health_without_a_verdict_has_none_to_tell() -> None:
    assert dict(Health().observe(ALL_REFUSED, ProbePolicy()).verdicts()) == {}


def test_what_is_declared_holds_at_once_for_all_three() -> None:
    assert dict(Health().declare(DENIED).verdicts()) == dict.fromkeys(ConditionType, DENIED)


findings = st.sampled_from([READY, NOT_READY, NOT_FOUND, REFUSED, DENIED])
policies = st.builds(ProbePolicy, failure_threshold=st.integers(1, 5), success_threshold=st.integers(1, 5))


@given(st.none() | findings, st.lists(findings, max_size=40), policies)
def test_no_verdict_turns_before_its_threshold(held: Finding | None, found: list[Finding], policy: ProbePolicy) -> None:
    tracker = Tracker(held)
    for number, finding in enumerate(found, 1):
        after = tracker.observe(finding, policy)
        if after.verdict != tracker.verdict:
            assert after.verdict == finding
            good = finding.status is Status.TRUE
            threshold = policy.success_threshold if good else policy.failure_threshold
            recent = found[max(0, number - threshold) : number]
            assert len(recent) == threshold
            assert all((each.status is Status.TRUE) == good for each in recent)
        tracker = after


@given(st.none() | findings, st.lists(findings, max_size=40), policies)
def test_every_verdict_that_lasts_is_reached(held: Finding | None, found: list[Finding], policy: ProbePolicy) -> None:
    tracker = Tracker(held)
    for finding in found:
        tracker = tracker.observe(finding, policy)
    for last in (NOT_READY, READY):
        for _ in range(5):
            tracker = tracker.observe(last, policy)
        assert tracker.verdict == last


servers = st.sampled_from([None, LIVE, NOT_READY, REFUSED, DENIED])
rounds = st.just(ALL_WELL) | st.builds(Round, servers, servers, st.sampled_from([NOT_READY, NOT_FOUND, REFUSED, DENIED]))


@given(st.lists(rounds, max_size=30), policies)
def test_what_is_said_of_a_server_never_contradicts_a_ready_model(found: list[Round], policy: ProbePolicy) -> None:
    health = Health()
    for each in found:
        health = health.observe(each, policy)
        verdicts = [verdict.status for _, verdict in health.verdicts()]
        if health.model_ready.verdict is not None and health.model_ready.verdict.status is Status.TRUE:
            assert Status.FALSE not in verdicts
