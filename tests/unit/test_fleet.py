"""What happens to services is fed to the fleet, and what follows goes out: to the schedule, to the queue, to whoever wants to know."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from isvcwatch.core.backing import Backing
from isvcwatch.core.conditions import Status
from isvcwatch.core.edges import PathTurned
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.objects import ComponentSpec, DeploymentMode, Replica
from isvcwatch.core.paths import HELD
from isvcwatch.core.reasons import EventReason, Reason
from isvcwatch.core.step import Gone, NamespaceEnds, RoundEnded, Rules, Seen, Surveyed, Told
from isvcwatch.core.targets import Misconfigured, Skipped, Target
from isvcwatch.fleet import Fleet
from isvcwatch.telemetry.edges import log_edge
from tests.unit.builders import (
    ALL_REFUSED,
    ALL_WELL,
    DEFAULTS,
    DENIED,
    LONG_AGO,
    NOT_READY,
    annotated,
    isvc,
    round_of,
    saying,
    with_conditions,
)

if TYPE_CHECKING:
    from isvcwatch.core.decide import Decision
    from isvcwatch.core.edges import Edge
    from isvcwatch.core.objects import InferenceService

UID = "uid-of-iris"
HELD_ROUNDS = int(HELD)
"""Rounds of a second each in which a model that fell silent with its neighbours keeps its verdict."""
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class FakeSchedule:
    """What is probed at present, and after what delay."""

    targets: dict[str, Target] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    anew: list[tuple[str, bool]] = field(default_factory=list)
    wells: int = 0
    calm: bool = False

    def set(self, target: Target, delay: float = 0.0, *, soon: bool = False) -> None:  # noqa: ARG002 -- as the scheduler has it
        self.targets[target.uid] = target
        self.delays.append(delay)

    def ask_anew(self, uid: str, *, hurried: bool) -> None:
        self.anew.append((uid, hurried))

    def remove(self, uid: str) -> None:
        self.targets.pop(uid, None)


class Stage:
    """A fleet with a writer that writes at once, or, told to, not at all."""

    def __init__(self, initial_delay: float = 0.0) -> None:
        self.schedule = FakeSchedule()
        self.requests: list[str] = []
        self.written: list[Decision] = []
        rules = Rules(replace(DEFAULTS, initial_delay=initial_delay))
        self.fleet = Fleet(rules, self.schedule, self.requests.append, lambda: NOON, (log_edge,))

    def hear(self, service: InferenceService) -> None:
        self.fleet.feed(service.uid, Seen(service))

    def find(self, found: Round, times: int = 1) -> None:
        """So many rounds of what is probed now."""
        for _ in range(times):
            self.end(self.schedule.targets[UID], found)

    def end(self, target: Target, found: Round) -> None:
        self.fleet.feed(target.uid, RoundEnded(target, found))

    def write(self) -> Decision | None:
        """Carry out what is planned, as the status writer does: it is done, then the object comes back changed."""
        planned = self.fleet.plan(UID)
        if planned is None:
            return None
        service, decision = planned
        kept = [c for c in service.conditions or () if c and c.type not in {new.type for new in decision.conditions}]
        self.fleet.feed(UID, Told(decision))
        if decision.conditions:
            self.hear(replace(service, conditions=(*kept, *decision.conditions), has_status=True))
        self.written.append(decision)
        return decision

    @property
    def notices(self) -> list[EventReason]:
        return [decision.notice.reason for decision in self.written if decision.notice]

    @property
    def outcome(self) -> object:
        (state,) = self.fleet
        return state.outcome


def statuses(decision: Decision | None) -> dict[str, str]:
    return {c.type: c.status for c in decision.conditions} if decision else {}


def test_a_new_service_is_probed_and_nothing_is_said_before_a_verdict() -> None:
    stage = Stage()
    stage.hear(isvc())
    assert UID in stage.schedule.targets
    assert stage.fleet.plan(UID) is None
    assert stage.requests == []


def test_a_first_success_is_written_and_is_no_event() -> None:
    stage = Stage()
    stage.hear(isvc())
    stage.find(ALL_WELL)
    assert statuses(stage.write()) == {"ServerLive": "True", "ServerReady": "True", "ModelReady": "True"}
    assert stage.notices == []


def test_a_first_failure_is_written_and_told_after_its_threshold() -> None:
    stage = Stage()
    stage.hear(isvc())
    stage.find(ALL_REFUSED, 2)
    assert stage.requests == []
    stage.find(ALL_REFUSED)
    assert stage.requests == [UID]
    assert statuses(stage.write()) == {"ServerLive": "False", "ServerReady": "False", "ModelReady": "False"}
    assert stage.notices == [EventReason.MODEL_UNREADY]


def test_an_unchanged_tick_asks_for_nothing() -> None:
    stage = Stage()
    stage.hear(isvc())
    stage.find(ALL_WELL)
    stage.write()
    stage.requests.clear()
    stage.find(ALL_WELL, 100)
    assert stage.requests == []
    assert stage.write() is None


def test_a_life_is_told_edge_by_edge_and_never_twice() -> None:
    stage = Stage()
    stage.hear(isvc())
    for found in (ALL_WELL, round_of(NOT_READY), round_of(NOT_READY), ALL_WELL, round_of(DENIED), ALL_WELL, ALL_WELL):
        stage.find(found, 3)
        stage.write()
        assert stage.write() is None
    assert stage.notices == [
        EventReason.MODEL_UNREADY,
        EventReason.MODEL_RECOVERED,
        EventReason.MODEL_UNKNOWN,
        EventReason.MODEL_RECOVERED,
    ]


def test_a_flap_that_is_over_before_it_was_written_is_not_told() -> None:
    stage = Stage()
    stage.hear(isvc())
    stage.find(ALL_WELL)
    stage.write()
    stage.find(round_of(NOT_READY), 3)
    stage.find(ALL_WELL)
    assert stage.write() is None


def test_an_old_state_that_the_watch_brings_late_is_written_anew_and_not_told_anew() -> None:
    stage = Stage()
    stage.hear(with_conditions(*saying(ALL_WELL)))
    before = with_conditions(*saying(ALL_WELL))
    stage.find(round_of(NOT_READY), 3)
    stage.write()
    stage.hear(before)
    again = stage.write()
    assert statuses(again) == {"ModelReady": "False"}
    assert stage.notices == [EventReason.MODEL_UNREADY]


class TestRestart:
    def test_what_the_object_says_is_taken_up(self) -> None:
        stage = Stage(initial_delay=60)
        stage.hear(with_conditions(*saying(round_of(NOT_READY))))
        stage.find(round_of(NOT_READY), 5)
        assert stage.requests == []
        assert stage.schedule.delays == [0.0]

    def test_a_recovery_while_it_was_away_is_told(self) -> None:
        stage = Stage()
        stage.hear(with_conditions(*saying(round_of(NOT_READY))))
        stage.find(ALL_WELL)
        stage.write()
        assert stage.notices == [EventReason.MODEL_RECOVERED]

    def test_a_new_service_is_left_alone_for_its_initial_delay(self) -> None:
        stage = Stage(initial_delay=60)
        stage.hear(isvc())
        assert stage.schedule.delays == [60.0]

    def test_a_wrong_severity_is_repaired_at_once(self) -> None:
        stage = Stage()
        live, ready, model = saying(ALL_WELL)
        stage.hear(with_conditions(live, ready, replace(model, severity="")))
        assert stage.requests == [UID]
        repaired = stage.write()
        assert repaired is not None
        assert [c.last_transition_time for c in repaired.conditions] == [LONG_AGO]
        assert repaired.notice is None


class Doubting:
    """A fleet of twenty models that are held to be ready."""

    COUNT = 20

    def __init__(self) -> None:
        self.now = 0.0
        self.checks = 0
        self.schedule = FakeSchedule()
        self.fleet = Fleet(Rules(DEFAULTS), self.schedule, lambda _: None, lambda: NOON, (log_edge,), lambda: self.now, self.check)
        for number in range(self.COUNT):
            self.fleet.feed(str(number), Seen(isvc(uid=str(number), name=f"m{number}", conditions=saying(ALL_WELL))))

    def check(self) -> None:
        self.checks += 1

    def find(self, found: Round, rounds: int = 3, count: int = COUNT) -> None:
        for _ in range(rounds):
            for target in list(self.schedule.targets.values())[:count]:
                self.fleet.feed(target.uid, RoundEnded(target, found))
                self.schedule.wells += found.model_ready.status is Status.TRUE

    def reason(self, uid: str) -> str:
        verdict = next(state.model_ready for state in self.fleet if state.isvc.uid == uid)
        return verdict.reason if verdict else ""

    @property
    def accused(self) -> int:
        return sum(self.fleet.is_urgent(str(number)) for number in range(self.COUNT))


class TestSelfDoubt:
    def test_where_all_fall_silent_at_once_nobody_is_accused(self) -> None:
        doubting = Doubting()
        with capture_logs() as lines:
            doubting.find(ALL_REFUSED, rounds=10)
        assert doubting.accused == 0
        assert doubting.fleet.impaired
        assert doubting.schedule.calm
        assert [line["event"] for line in lines] == ["watcher_impaired"]

    def test_when_they_answer_again_it_is_as_if_nothing_had_been(self) -> None:
        doubting = Doubting()
        doubting.find(ALL_REFUSED)
        with capture_logs() as lines:
            doubting.find(ALL_WELL)
            doubting.fleet.reconsider()
        assert not doubting.fleet.impaired
        assert not doubting.schedule.calm
        assert doubting.accused == 0
        assert [line["event"] for line in lines] == ["watcher_recovered"]

    def test_a_few_are_not_accused_either_while_the_watcher_can_not_reach_what_is_always_there(self) -> None:
        doubting = Doubting()
        doubting.schedule.wells = 1000
        with capture_logs() as lines:
            doubting.find(ALL_REFUSED, rounds=1, count=2)
            assert doubting.checks == 2
            doubting.fleet.network_checked(reached=False)
            doubting.fleet.network_checked(reached=False)
            doubting.find(ALL_REFUSED, count=2)
            assert doubting.accused == 0
            doubting.fleet.network_checked(reached=True)
            doubting.find(ALL_REFUSED, count=2)
        assert doubting.accused == 2
        assert [line["event"] for line in lines if line["event"] != "transition"] == ["watcher_impaired", "watcher_recovered"]

    def test_a_network_that_stays_away_does_not_keep_an_outage_from_being_told(self) -> None:
        doubting = Doubting()
        doubting.find(ALL_REFUSED, rounds=1, count=2)
        doubting.fleet.network_checked(reached=False)
        doubting.now += 300
        doubting.find(ALL_REFUSED, count=2)
        doubting.fleet.network_checked(reached=False)
        assert doubting.accused == 2
        assert not doubting.fleet.impaired

    def test_an_outage_that_lasts_is_told_of_all(self) -> None:
        doubting = Doubting()
        doubting.find(ALL_REFUSED)
        doubting.now += 300
        with capture_logs() as lines:
            doubting.find(ALL_REFUSED)
        assert doubting.accused == doubting.COUNT
        assert [line["event"] for line in lines if line["event"] != "transition"] == ["mass_outage"]

    @pytest.mark.parametrize("reason", [Reason.NAME_NOT_FOUND, Reason.RESOLVER_FAILED])
    def test_while_a_name_that_always_exists_is_not_found_no_model_is_accused_for_its_name(self, reason: Reason) -> None:
        """Kept connections answer on, so that names fail one by one and most of the fleet is well."""
        nameless = round_of(Finding(Status.FALSE, reason, "no such name"))
        doubting = Doubting()
        doubting.schedule.wells = 1000
        with capture_logs() as lines:
            doubting.find(nameless, rounds=1, count=1)
            assert doubting.checks == 1
            doubting.fleet.names_checked(found=False)
            for count in range(1, doubting.COUNT + 1):
                doubting.find(nameless, count=count)
                doubting.schedule.wells += 1000
                doubting.fleet.names_checked(found=False)
                doubting.fleet.reconsider()
            assert doubting.accused == 0
            assert doubting.schedule.calm
            doubting.fleet.names_checked(found=True)
            doubting.find(nameless, count=2)  # what was remembered of the lookups before
            assert doubting.accused == 0
            doubting.now += 3
            doubting.fleet.reconsider()
            assert not doubting.schedule.calm
        assert [line["event"] for line in lines] == ["watcher_impaired", "watcher_recovered"]
        doubting.find(nameless, count=2)
        assert doubting.accused == 2

    def test_meanwhile_a_model_is_accused_of_all_else(self) -> None:
        doubting = Doubting()
        doubting.schedule.wells = 1000
        doubting.fleet.names_checked(found=False)
        doubting.find(ALL_REFUSED, count=2)
        assert doubting.accused == 2

    def test_names_that_stay_away_are_told_of_as_an_outage(self) -> None:
        nameless = round_of(Finding(Status.FALSE, Reason.NAME_NOT_FOUND, "no such name"))
        doubting = Doubting()
        doubting.schedule.wells = 1000
        with capture_logs() as lines:
            doubting.fleet.names_checked(found=False)
            doubting.now += 299
            doubting.find(nameless, count=3)
            doubting.fleet.reconsider()
            assert doubting.accused == 0
            doubting.now += 1
            doubting.fleet.reconsider()
            assert not doubting.schedule.calm
            doubting.find(nameless, count=3)
        assert doubting.accused == 3
        assert [line["event"] for line in lines if line["event"] != "transition"] == ["watcher_impaired", "mass_outage"]

    def test_a_few_are_accused(self) -> None:
        doubting = Doubting()
        doubting.schedule.wells = 1000
        doubting.find(ALL_REFUSED, count=5)
        assert doubting.accused == 5

    def test_models_whose_services_have_lost_their_endpoints_are_told_and_are_no_sign_of_the_network(self) -> None:
        """As where a namespace is scaled down, or is being deleted."""
        doubting = Doubting()
        for number in range(doubting.COUNT):
            seen = isvc(uid=str(number), name=f"m{number}", conditions=saying(ALL_WELL))
            doubting.fleet.feed(str(number), Seen(seen, None, (Backing("iris-predictor"),)))
        doubting.find(ALL_REFUSED, rounds=1)
        assert doubting.accused == doubting.COUNT
        assert not doubting.fleet.impaired

    def test_no_replica_is_accused_meanwhile(self) -> None:
        doubting = Doubting()
        replicas = tuple(Replica(f"10.1.0.{number}", f"iris-{number}") for number in range(2))
        seen = isvc(uid="0", name="m0", conditions=saying(ALL_WELL))
        doubting.fleet.feed("0", Seen(seen, None, (Backing("iris-predictor", replicas, (8080,)),)))
        doubting.find(ALL_REFUSED)
        found = {"iris-0": ALL_WELL.model_ready, "iris-1": ALL_REFUSED.model_ready}
        for _ in range(3):
            doubting.fleet.feed("0", Surveyed(doubting.schedule.targets["0"], found))
        assert doubting.reason("0") == "ModelReady"
        doubting.find(ALL_WELL)
        doubting.fleet.reconsider()
        for _ in range(2):
            doubting.fleet.feed("0", Surveyed(doubting.schedule.targets["0"], found))
        assert doubting.reason("0") == "SomeReplicasFail"

    def test_what_servers_answer_is_never_held(self) -> None:
        doubting = Doubting()
        doubting.find(round_of(NOT_READY))
        assert doubting.accused == doubting.COUNT


class TestAtZero:
    def test_what_was_said_of_a_service_that_may_be_at_zero_is_taken_back_once(self) -> None:
        stage = Stage()
        stage.hear(with_conditions(*saying(ALL_WELL)))
        scaled = replace(
            with_conditions(*saying(ALL_WELL)),
            predictor=ComponentSpec(min_replicas=0),
            annotations={"serving.kserve.io/autoscalerClass": "none"},
        )
        stage.hear(scaled)
        planned = stage.fleet.plan(UID)
        assert planned is not None
        assert planned[1].removed == ("ServerLive", "ServerReady", "ModelReady")
        assert planned[1].notice is None
        stage.hear(replace(scaled, conditions=()))
        assert stage.fleet.plan(UID) is None

    def test_nothing_is_written_to_one_of_knatives(self) -> None:
        stage = Stage()
        scaled = replace(with_conditions(*saying(ALL_WELL)), predictor=ComponentSpec(min_replicas=0), mode=DeploymentMode.KNATIVE)
        stage.hear(scaled)
        assert stage.fleet.plan(UID) is None
        assert stage.requests == []


class TestStop:
    def test_a_stopped_service_is_neither_probed_nor_written(self) -> None:
        stage = Stage()
        stage.hear(isvc())
        stage.find(ALL_WELL)
        stage.hear(isvc(stopped=True, conditions=()))
        assert stage.schedule.targets == {}
        assert stage.fleet.plan(UID) is None

    def test_a_round_that_was_under_way_is_dropped(self) -> None:
        stage = Stage()
        stage.hear(isvc())
        target = stage.schedule.targets[UID]
        stage.hear(isvc(stopped=True))
        for _ in range(3):
            stage.end(target, ALL_REFUSED)
        assert stage.requests == []

    def test_after_a_start_it_is_judged_afresh_whatever_its_conditions_say(self) -> None:
        stage = Stage()
        stage.hear(isvc())
        stage.hear(isvc(stopped=True))
        stage.hear(with_conditions(*saying(ALL_WELL)))
        stage.find(round_of(NOT_READY), 2)
        assert stage.write() is None
        stage.find(round_of(NOT_READY))
        assert statuses(stage.write())["ModelReady"] == "False"
        assert stage.notices == [EventReason.MODEL_UNREADY]

    def test_after_a_start_an_initial_delay_holds_again(self) -> None:
        stage = Stage(initial_delay=60)
        stage.hear(isvc())
        stage.hear(isvc(stopped=True))
        stage.hear(with_conditions(*saying(ALL_WELL)))
        assert stage.schedule.delays == [60.0, 60.0]

    def test_it_is_judged_afresh_also_where_the_address_comes_after_the_start(self) -> None:
        """With ingress creation on, a service that was started again has no address until its first pod is ready."""
        stage = Stage(initial_delay=60)
        stage.hear(isvc(stopped=True, conditions=saying(ALL_WELL)))
        stage.hear(isvc(address_url="", url="", conditions=saying(ALL_WELL)))
        stage.hear(isvc(conditions=saying(ALL_WELL)))
        assert stage.schedule.delays == [60.0]
        stage.find(round_of(NOT_READY), 2)
        assert stage.write() is None

    def test_a_restart_of_the_watcher_while_it_is_stopped_changes_nothing_of_that(self) -> None:
        stage = Stage()
        stage.hear(isvc(stopped=True, conditions=saying(round_of(NOT_READY))))
        stage.hear(isvc(conditions=saying(round_of(NOT_READY))))
        stage.find(ALL_WELL)
        assert statuses(stage.write())["ModelReady"] == "True"
        assert stage.notices == []


class TestChange:
    def test_another_target_is_probed_instead(self) -> None:
        stage = Stage()
        stage.hear(isvc())
        stage.hear(isvc(address_url="http://iris-predictor.models.svc:9000"))
        assert stage.schedule.targets[UID].hops[0].base_url == "http://iris-predictor.models.svc:9000"
        assert len(stage.schedule.delays) == 2

    def test_a_change_that_does_not_concern_the_target_leaves_the_schedule_alone(self) -> None:
        stage = Stage()
        stage.hear(isvc())
        stage.hear(isvc(resource_version="101"))
        assert len(stage.schedule.delays) == 1

    def test_a_round_of_the_target_as_it_was_is_dropped(self) -> None:
        stage = Stage()
        stage.hear(isvc())
        before = stage.schedule.targets[UID]
        stage.hear(isvc(address_url="http://iris-predictor.models.svc:9000"))
        for _ in range(3):
            stage.end(before, ALL_REFUSED)
        assert stage.requests == []

    def test_verdicts_stay_and_streaks_start_anew(self) -> None:
        stage = Stage()
        stage.hear(with_conditions(*saying(ALL_WELL)))
        stage.find(ALL_REFUSED, 2)
        stage.hear(replace(with_conditions(*saying(ALL_WELL)), address_url="http://iris-predictor.models.svc:9000"))
        stage.find(ALL_REFUSED, 2)
        assert stage.write() is None
        stage.find(ALL_REFUSED)
        assert statuses(stage.write())["ModelReady"] == "False"

    def test_conditions_that_someone_wiped_are_asked_to_be_written_again_and_not_told(self) -> None:
        stage = Stage()
        stage.hear(with_conditions(*saying(round_of(NOT_READY))))
        stage.hear(isvc(conditions=None))
        assert stage.requests == [UID]
        assert statuses(stage.write()) == {"ServerLive": "True", "ServerReady": "True", "ModelReady": "False"}
        assert stage.notices == []

    def test_a_condition_that_someone_changed_is_set_right(self) -> None:
        stage = Stage()
        stage.hear(with_conditions(*saying(ALL_WELL)))
        stage.hear(with_conditions(*saying(ALL_REFUSED)))
        assert statuses(stage.write()) == {"ServerLive": "True", "ServerReady": "True", "ModelReady": "True"}

    def test_a_service_that_is_gone_is_forgotten(self) -> None:
        stage = Stage()
        stage.hear(isvc())
        target = stage.schedule.targets[UID]
        stage.fleet.feed(UID, Gone())
        stage.fleet.feed(UID, Gone())
        stage.end(target, ALL_REFUSED)
        assert (list(stage.fleet), stage.schedule.targets, stage.fleet.plan(UID)) == ([], {}, None)

    def test_what_was_carried_out_for_one_that_is_gone_meanwhile_is_nobodys(self) -> None:
        stage = Stage()
        stage.hear(annotated(protocol="v9"))
        planned = stage.fleet.plan(UID)
        assert planned is not None
        stage.fleet.feed(UID, Gone())
        stage.fleet.feed(UID, Told(planned[1]))
        assert list(stage.fleet) == []


class TestMisconfigured:
    def test_it_is_unknown_at_once_and_not_probed(self) -> None:
        stage = Stage()
        stage.hear(annotated(protocol="v9"))
        assert isinstance(stage.outcome, Misconfigured)
        assert stage.schedule.targets == {}
        written = stage.write()
        assert {(c.status, c.reason) for c in written.conditions} == {("Unknown", "InvalidAnnotation")} if written else False
        assert stage.notices == [EventReason.MODEL_UNKNOWN]

    def test_a_restart_says_nothing_new(self) -> None:
        stage = Stage()
        stage.hear(annotated(protocol="v9"))
        written = stage.write()
        assert written is not None
        again = Stage()
        again.hear(replace(annotated(protocol="v9"), conditions=written.conditions))
        planned = again.fleet.plan(UID)
        assert planned is not None
        assert planned[1].conditions == ()
        assert planned[1].notice == written.notice  # told again within the hour, and there already by its name

    def test_repaired_it_is_probed_and_recovers(self) -> None:
        stage = Stage()
        stage.hear(annotated(protocol="v9"))
        written = stage.write()
        assert written is not None
        stage.hear(replace(annotated(protocol="v2"), conditions=written.conditions))
        assert stage.write() is None
        stage.find(ALL_WELL)
        assert statuses(stage.write())["ModelReady"] == "True"
        assert stage.notices == [EventReason.MODEL_UNKNOWN, EventReason.MODEL_RECOVERED]

    def test_a_ready_service_that_becomes_misconfigured_says_so_at_once(self) -> None:
        stage = Stage()
        stage.hear(with_conditions(*saying(ALL_WELL)))
        stage.hear(replace(annotated(period_seconds="soon"), conditions=saying(ALL_WELL)))
        assert stage.schedule.targets == {}
        assert statuses(stage.write()) == {"ServerLive": "Unknown", "ServerReady": "Unknown", "ModelReady": "Unknown"}


@pytest.mark.parametrize(
    ("service", "kind"),
    [
        (isvc(), "probed"),
        (isvc(stopped=True), "skipped"),
        (isvc(address_url="", url=""), "skipped"),
        (isvc(mode=DeploymentMode.MODEL_MESH), "skipped"),
        (annotated(url="x"), "misconfigured"),
    ],
)
def test_services_are_counted_by_what_is_done_about_them(service: InferenceService, kind: str) -> None:
    stage = Stage()
    stage.hear(service)
    assert stage.fleet.counts() == {kind: 1}


def test_a_transition_is_one_line_and_a_tick_is_none() -> None:
    stage = Stage()
    stage.hear(with_conditions(*saying(ALL_WELL)))
    with capture_logs() as lines:
        stage.find(round_of(NOT_READY), 10)
        stage.find(ALL_WELL, 10)
    assert [(line["log_level"], line["condition"], line["before"], line["after"], line["reason"]) for line in lines] == [
        ("warning", "ModelReady", Status.TRUE, Status.FALSE, Reason.MODEL_NOT_READY),
        ("info", "ModelReady", Status.FALSE, Status.TRUE, Reason.MODEL_READY),
    ]


def test_why_a_service_is_left_alone_is_logged_but_for_an_address_that_is_yet_to_come() -> None:
    stage = Stage()
    with capture_logs() as lines:
        stage.hear(isvc(address_url="", url=""))
        stage.hear(isvc())
        stage.hear(isvc(stopped=True))
        stage.hear(annotated(protocol="v9"))
    assert [line["event"] for line in lines] == ["watching", "left_alone", "cannot_be_watched"]
    assert isinstance(stage.outcome, Misconfigured | Skipped)


def test_a_bug_that_one_service_brings_out_is_said_and_costs_the_others_nothing() -> None:
    stage = Stage()
    with capture_logs() as lines:
        stage.hear(isvc(uid="bad", annotations=None))
        stage.hear(isvc())
    assert [(line["event"], line.get("uid")) for line in lines] == [("object_failed", "bad"), ("watching", None)]
    assert list(stage.schedule.targets) == [UID]


class Neighbours:
    """Models of two namespaces that are held to be ready, asked as the schedule would ask them, and what is told."""

    def __init__(self, *names: str, conditions: bool = True) -> None:
        self.now = 0.0
        self.schedule = FakeSchedule(wells=1000)
        self.edges: list[Edge] = []
        self.fleet = Fleet(Rules(DEFAULTS), self.schedule, lambda _: None, lambda: NOON, (self.edges.append,), lambda: self.now)
        for name in names:
            namespace = name.partition("-")[0]
            said = saying(ALL_WELL) if conditions else ()
            self.fleet.feed(name, Seen(isvc(uid=name, namespace=namespace, name=name, conditions=said)))

    def find(self, found: Round, *names: str, rounds: int = 3, apart: float = 1.0) -> None:
        for _ in range(rounds):
            for name in names:
                self.fleet.feed(name, RoundEnded(self.schedule.targets[name], found))
            self.now += apart

    def verdict(self, name: str) -> tuple[str, str]:
        found = next(state.model_ready for state in self.fleet if state.isvc.uid == name)
        return (found.status, found.reason) if found else ("", "")

    @property
    def turned(self) -> list[tuple[str, Reason | None]]:
        return [(edge.namespace, edge.reason) for edge in self.edges if isinstance(edge, PathTurned)]


HANGS = Finding(Status.FALSE, Reason.TIMED_OUT, "no answer")
ALL_HANG = Round(HANGS, HANGS, HANGS)


class TestTheWayThere:
    def test_one_of_several_is_accused_once_another_of_its_namespace_has_answered(self) -> None:
        there = Neighbours("shop-a", "shop-b", "bank-a")
        there.find(ALL_HANG, "shop-a")
        assert there.verdict("shop-a") == ("True", "ModelReady")
        assert {uid for uid, _ in there.schedule.anew} == {"shop-b"}
        there.find(ALL_WELL, "shop-b", rounds=1)
        there.find(ALL_HANG, "shop-a", rounds=1)
        assert there.verdict("shop-a") == ("False", "TimedOut")

    def test_where_all_of_a_namespace_fall_silent_none_is_accused_and_they_are_unknown_after_a_while(self) -> None:
        there = Neighbours("shop-a", "shop-b", "bank-a")
        there.find(ALL_HANG, "shop-a", "shop-b", rounds=HELD_ROUNDS)
        assert there.verdict("shop-a") == ("True", "ModelReady")
        there.find(ALL_HANG, "shop-a", "shop-b")
        assert {there.verdict(name) for name in ("shop-a", "shop-b")} == {("Unknown", "NamespaceSilent")}
        assert there.verdict("bank-a") == ("True", "ModelReady")
        assert there.turned == [("shop", Reason.NAMESPACE_SILENT)]
        assert list(there.fleet.cut()) == [("shop", Reason.NAMESPACE_SILENT)]

    def test_they_are_ready_again_without_an_event_each(self) -> None:
        there = Neighbours("shop-a", "shop-b")
        there.find(ALL_HANG, "shop-a", "shop-b", rounds=HELD_ROUNDS + 3)
        there.find(ALL_WELL, "shop-a", "shop-b", rounds=1)
        assert there.verdict("shop-a") == ("True", "ModelReady")
        assert there.turned == [("shop", Reason.NAMESPACE_SILENT), ("shop", None)]
        planned = there.fleet.plan("shop-a")
        assert planned is None or planned[1].notice is None

    def test_a_namespace_that_was_never_reached_accuses_nobody(self) -> None:
        there = Neighbours("shop-a", "shop-b", conditions=False)
        there.find(ALL_HANG, "shop-a", "shop-b", rounds=25)
        assert {there.verdict(name) for name in ("shop-a", "shop-b")} == {("Unknown", "NeverReached")}
        assert there.turned == [("shop", Reason.NEVER_REACHED)]
        planned = there.fleet.plan("shop-a")
        assert planned is not None
        assert {(c.status, c.reason) for c in planned[1].conditions} == {("Unknown", "NeverReached")}
        assert planned[1].notice is None

    def test_a_refusal_was_sent_by_somebody(self) -> None:
        there = Neighbours("shop-a", conditions=False)
        there.find(ALL_REFUSED, "shop-a")
        assert there.verdict("shop-a") == ("False", "ConnectionRefused")

    def test_what_is_known_of_a_namespace_lasts_through_a_restart(self) -> None:
        silent = Finding(Status.UNKNOWN, Reason.NAMESPACE_SILENT, "all have fallen silent")
        there = Neighbours()
        for name in ("shop-a", "shop-b"):
            said = saying(Round(silent, silent, silent))
            there.fleet.feed(name, Seen(isvc(uid=name, namespace="shop", name=name, conditions=said)))
        there.find(ALL_HANG, "shop-a", "shop-b", rounds=HELD_ROUNDS + 3)
        assert there.verdict("shop-a") == ("Unknown", "NamespaceSilent")
        assert there.turned == []
        there.find(ALL_WELL, "shop-a", rounds=1)
        planned = there.fleet.plan("shop-a")
        assert planned is not None
        assert planned[1].notice is None

    def test_a_model_without_a_verdict_is_not_accused_for_its_name_while_no_name_is_found(self) -> None:
        nameless = round_of(Finding(Status.FALSE, Reason.NAME_NOT_FOUND, "no such name"))
        there = Neighbours("shop-a", conditions=False)
        there.fleet.names_checked(found=False)
        there.find(nameless, "shop-a", rounds=500)
        assert there.verdict("shop-a") == ("", "")
        assert there.fleet.nameless
        there.fleet.names_checked(found=True)
        there.now += 5
        there.find(nameless, "shop-a", rounds=1)
        assert there.verdict("shop-a") == ("False", "NameNotFound")

    def test_a_namespace_that_ends_accuses_nobody_and_is_asked_no_longer(self) -> None:
        there = Neighbours("shop-a", "shop-b", "bank-a")
        there.find(ALL_REFUSED, "shop-a")
        assert there.fleet.plan("shop-a") is not None
        for uid in ("shop-a", "shop-b"):
            there.fleet.feed(uid, NamespaceEnds())
        assert there.fleet.plan("shop-a") is None
        assert set(there.schedule.targets) == {"bank-a"}
        there.fleet.feed("shop-a", Seen(isvc(uid="shop-a", namespace="shop", name="shop-a", resource_version="101")))
        assert set(there.schedule.targets) == {"bank-a"}
        assert there.fleet.counts() == {"skipped": 2, "probed": 1}
