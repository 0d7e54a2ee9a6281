"""From health to what must be said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isvcwatch.core.conditions import MESSAGE_LIMIT, Condition, ConditionType, Status, is_timestamp
from isvcwatch.core.decide import Decision, Notice, Record, decide, seed, told
from isvcwatch.core.health import STARTING, Finding, Health, Round
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.reasons import EventReason
from tests.unit.builders import (
    ALL_REFUSED,
    ALL_WELL,
    DENIED,
    LIVE,
    LONG_AGO,
    NOT_FOUND,
    NOT_READY,
    NOW,
    READY,
    SERVES,
    condition,
    isvc,
    round_of,
    saying,
    with_conditions,
)

ONCE = ProbePolicy(failure_threshold=1)


def holding(found: Round, announced: Status | None = None) -> Record:
    """A record whose verdicts are what a round found."""
    return Record(Health().observe(found, ONCE), announced)


class TestSeed:
    @pytest.mark.parametrize("found", [ALL_WELL, ALL_REFUSED, round_of(DENIED), round_of(NOT_READY)])
    def test_a_restart_takes_up_what_the_object_says_and_says_nothing(self, found: Round) -> None:
        there = with_conditions(*saying(found))
        record = seed(there, NOW)
        each = (found.server_live, found.server_ready, found.model_ready)
        assert [verdict.status for _, verdict in record.health.verdicts()] == [finding.status for finding in each if finding]
        assert decide(record, there, NOW) == Decision()

    def test_a_restart_in_the_middle_of_good_times_says_nothing_after_the_next_round(self) -> None:
        there = with_conditions(*saying(ALL_WELL))
        record = seed(there, NOW)
        assert not decide(replace(record, health=record.health.observe(ALL_WELL, ONCE)), there, NOW)

    def test_a_restart_does_not_let_one_failure_flip_a_condition(self) -> None:
        there = with_conditions(*saying(ALL_WELL))
        record = seed(there, NOW)
        record = replace(record, health=record.health.observe(ALL_REFUSED, ProbePolicy()).observe(ALL_REFUSED, ProbePolicy()))
        assert not decide(record, there, NOW)

    def test_an_object_without_conditions_seeds_nothing(self) -> None:
        assert seed(isvc(conditions=None), NOW) == Record(Health(), None)

    def test_a_status_that_is_none_of_three_is_not_taken_up(self) -> None:
        assert seed(with_conditions(Condition("ModelReady", "Maybe")), NOW) == Record(Health(), None)

    def test_what_the_object_says_of_the_model_counts_as_announced(self) -> None:
        assert seed(with_conditions(condition("ModelReady", NOT_READY)), NOW).announced is Status.FALSE

    def test_conditions_of_others_are_not_taken_up(self) -> None:
        assert seed(with_conditions(Condition("Ready", "True"), None), NOW) == Record(Health(), None)


class TestConditions:
    def test_without_a_verdict_nothing_is_written(self) -> None:
        assert decide(Record(Health()), isvc(conditions=None), NOW) == Decision()

    def test_first_verdicts_are_written_as_of_now(self) -> None:
        written = decide(holding(ALL_WELL), isvc(), NOW).conditions
        assert written == saying(ALL_WELL, since=NOW)

    def test_what_is_there_already_is_not_written(self) -> None:
        assert decide(holding(ALL_WELL, Status.TRUE), with_conditions(*saying(ALL_WELL)), NOW) == Decision()

    def test_only_what_differs_is_written(self) -> None:
        written = decide(holding(round_of(NOT_READY), Status.FALSE), with_conditions(*saying(ALL_WELL)), NOW).conditions
        assert written == (condition(ConditionType.MODEL_READY, NOT_READY, since=NOW),)

    def test_another_reason_is_written_and_keeps_its_time(self) -> None:
        there = with_conditions(*saying(round_of(NOT_READY)))
        written = decide(holding(round_of(NOT_FOUND), Status.FALSE), there, NOW).conditions
        assert written == (condition(ConditionType.MODEL_READY, NOT_FOUND, since=LONG_AGO),)

    def test_another_message_alone_is_not_written(self) -> None:
        reworded = Finding(READY.status, READY.reason, "in other words")
        assert not decide(holding(round_of(reworded), Status.TRUE), with_conditions(*saying(ALL_WELL)), NOW)

    @pytest.mark.parametrize("since", ["", "yesterday", "2026-11-23T19:00:00", "2026-11-23T19:00:00.5Z", "2026-11-23T19:00:00+01:00"])
    def test_a_time_that_kserve_can_not_read_is_repaired_and_nothing_else_moves(self, since: str) -> None:
        live, ready, _ = saying(ALL_WELL)
        there = with_conditions(live, ready, condition(ConditionType.MODEL_READY, READY, since=since))
        (repaired,) = decide(holding(ALL_WELL, Status.TRUE), there, NOW).conditions
        assert (repaired.type, repaired.status, repaired.last_transition_time) == ("ModelReady", "True", NOW)

    @pytest.mark.parametrize("severity", ["", "Warning", "Error", "info"])
    def test_a_wrong_severity_is_repaired_and_nothing_else_moves(self, severity: str) -> None:
        live, ready, _ = saying(ALL_WELL)
        there = with_conditions(live, ready, condition(ConditionType.MODEL_READY, READY, severity=severity))
        assert decide(holding(ALL_WELL, Status.TRUE), there, NOW).conditions == (condition(ConditionType.MODEL_READY, READY),)

    @pytest.mark.parametrize("since", ["", "yesterday", "2026-11-23T18:00:00", "2026-11-23T18:00:00.5Z", "2026-11-23T18:00:00+00:00"])
    def test_a_malformed_time_is_never_written_back(self, since: str) -> None:
        there = with_conditions(condition(ConditionType.MODEL_READY, NOT_READY, since=since))
        model = decide(holding(round_of(NOT_FOUND), Status.FALSE), there, NOW).conditions[-1]
        assert (model.type, model.last_transition_time) == ("ModelReady", NOW)

    def test_the_time_moves_when_the_status_does(self) -> None:
        written = decide(holding(ALL_REFUSED, Status.FALSE), with_conditions(*saying(ALL_WELL)), NOW).conditions
        assert {c.last_transition_time for c in written} == {NOW}

    def test_what_was_wiped_is_written_again(self) -> None:
        assert decide(holding(ALL_WELL, Status.TRUE), isvc(conditions=None), NOW) == Decision(saying(ALL_WELL, since=NOW))

    @pytest.mark.parametrize("message", ["two\nlines", "x" * 100_000, "\x00" * 10, ""])
    def test_every_message_is_one_bounded_line(self, message: str) -> None:
        finding = Finding(Status.FALSE, "ServerError", message)
        for written in decide(holding(Round(finding, finding, finding)), isvc(), NOW).conditions:
            assert len(written.message) <= MESSAGE_LIMIT
            assert written.message.isprintable()
            assert is_timestamp(written.last_transition_time)

    def test_a_decision_is_true_where_there_is_something_to_do(self) -> None:
        assert not Decision()
        assert Decision(saying(ALL_WELL))
        assert Decision(notice=Notice(EventReason.MODEL_UNREADY, Status.FALSE, "ModelNotReady", ""))


class TestOmittedUnknown:
    def test_unknown_is_left_off_the_object_and_told_all_the_same(self) -> None:
        decision = decide(holding(round_of(DENIED)), isvc(), NOW, omit_unknown=True)
        assert ConditionType.MODEL_READY not in {c.type for c in decision.conditions}
        assert decision.notice is not None
        assert decision.notice.reason is EventReason.MODEL_UNKNOWN

    def test_a_condition_that_becomes_unknown_is_taken_away(self) -> None:
        decision = decide(holding(round_of(DENIED), Status.TRUE), with_conditions(*saying(ALL_WELL)), NOW, omit_unknown=True)
        assert decision.removed == (ConditionType.MODEL_READY,)
        assert decision.notice is not None

    def test_told_by_another_process_it_is_the_same_turn(self) -> None:
        first, second = (decide(holding(round_of(DENIED)), isvc(), now, omit_unknown=True).notice for now in (LONG_AGO, NOW))
        assert first == second

    def test_what_is_known_is_written_as_ever(self) -> None:
        assert decide(holding(ALL_WELL), isvc(), NOW, omit_unknown=True) == decide(holding(ALL_WELL), isvc(), NOW)


class TestNotices:
    @pytest.mark.parametrize(
        ("announced", "found", "told_as"),
        [
            (None, READY, None),
            (None, NOT_READY, EventReason.MODEL_UNREADY),
            (None, DENIED, EventReason.MODEL_UNKNOWN),
            (Status.TRUE, READY, None),
            (Status.TRUE, NOT_READY, EventReason.MODEL_UNREADY),
            (Status.TRUE, DENIED, EventReason.MODEL_UNKNOWN),
            (Status.FALSE, READY, EventReason.MODEL_RECOVERED),
            (Status.FALSE, NOT_FOUND, None),
            (Status.FALSE, DENIED, EventReason.MODEL_UNKNOWN),
            (Status.UNKNOWN, READY, EventReason.MODEL_RECOVERED),
            (Status.UNKNOWN, NOT_READY, EventReason.MODEL_UNREADY),
            (Status.UNKNOWN, DENIED, None),
        ],
    )
    def test_an_edge_is_told(self, announced: Status | None, found: Finding, told_as: EventReason | None) -> None:
        notice = decide(holding(round_of(found), announced), isvc(), NOW).notice
        expected = Notice(told_as, found.status, found.reason, found.message, NOW) if told_as else None
        assert notice == expected

    def test_an_edge_is_not_told_twice(self) -> None:
        record = holding(round_of(NOT_READY), Status.TRUE)
        assert decide(record, isvc(), NOW).notice
        assert not decide(told(record, Status.FALSE), isvc(), NOW).notice

    @pytest.mark.parametrize(
        ("since", "found", "again"),
        [
            ("2026-11-23T18:30:00Z", NOT_READY, True),
            ("2026-11-23T18:30:00Z", DENIED, True),
            ("2026-11-23T18:30:00Z", READY, False),
            (LONG_AGO, NOT_READY, False),
            ("soon", NOT_READY, False),
        ],
    )
    def test_what_was_told_within_the_hour_is_told_again_by_the_next_process(self, since: str, found: Finding, again: bool) -> None:
        there = with_conditions(condition("ModelReady", found, since))
        record = seed(there, NOW)
        assert record.announced is found.status
        notice = decide(record, there, NOW).notice
        assert (notice is not None) is again
        if notice:
            assert notice.since == since
            assert decide(told(record, found.status), there, NOW).notice is None

    def test_a_recovery_is_told_although_its_illness_is_not_known_to_have_been(self) -> None:
        there = with_conditions(condition("ModelReady", NOT_READY, "2026-11-23T18:30:00Z"))
        record = Record(holding(ALL_WELL, None).health, Status.FALSE, unsure=True)
        notice = decide(record, there, NOW).notice
        assert notice is not None
        assert notice.reason is EventReason.MODEL_RECOVERED

    def test_the_servers_own_edges_are_conditions_and_no_events(self) -> None:
        found = Round(LIVE, Finding(Status.FALSE, "ServerNotReady", ""), READY)
        assert found.server_ready != SERVES
        assert decide(holding(found, Status.TRUE), with_conditions(*saying(ALL_WELL)), NOW).notice is None


class TestStart:
    SAID = Round(STARTING, STARTING, STARTING)
    FAILED = "exit code 137"

    def test_what_kserve_reports_is_told_with_it(self) -> None:
        written = decide(holding(self.SAID), isvc(failure=self.FAILED), NOW).conditions
        assert {c.message for c in written} == {f"{STARTING.message}; KServe last reported: exit code 137"}

    def test_a_report_that_comes_later_is_added_once_and_the_time_stays(self) -> None:
        there = isvc(conditions=saying(self.SAID), failure=self.FAILED)
        written = decide(holding(self.SAID), there, NOW).conditions
        assert {c.last_transition_time for c in written} == {LONG_AGO}
        for later in ("exit code 1", ""):
            assert not decide(holding(self.SAID), replace(there, conditions=written, failure=later), NOW)
            assert not decide(seed(there, NOW), replace(there, conditions=written, failure=later), NOW)

    def test_it_is_no_longer_told_once_there_is_a_verdict(self) -> None:
        written = decide(holding(ALL_REFUSED), isvc(failure=self.FAILED), NOW).conditions
        assert all("137" not in c.message for c in written)
        assert not decide(holding(ALL_REFUSED), isvc(conditions=saying(ALL_REFUSED), failure=self.FAILED), NOW).conditions


class TestNote:
    NOTE = "canary v2 not asked: it speaks gRPC"

    @pytest.mark.parametrize("found", [ALL_WELL, ALL_REFUSED])
    def test_what_is_not_asked_is_named_in_the_message_about_the_model(self, found: Round) -> None:
        written = {c.type: c.message for c in decide(holding(found), isvc(), NOW, note=self.NOTE).conditions}
        assert written[ConditionType.MODEL_READY] == f"{found.model_ready.message}; {self.NOTE}"
        assert self.NOTE not in written[ConditionType.SERVER_READY]

    def test_so_it_is_in_the_event(self) -> None:
        notice = decide(holding(ALL_REFUSED), isvc(), NOW, note=self.NOTE).notice
        assert notice is not None
        assert notice.message.endswith(self.NOTE)

    def test_it_alone_writes_nothing(self) -> None:
        assert not decide(holding(ALL_WELL, Status.TRUE), isvc(conditions=saying(ALL_WELL)), NOW, note=self.NOTE)
