"""The middle of the way: what is remembered of each service, between what is heard, what is found out and what is said.

Knows no API server and no HTTP: the schedule and the writer are given to it.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import structlog

from isvcwatch.core.conditions import Status, timestamp
from isvcwatch.core.decide import Record, decide, seed, told, unsay
from isvcwatch.core.derive import derive
from isvcwatch.core.gate import Gate, is_silence
from isvcwatch.core.health import Finding, Health
from isvcwatch.core.objects import DeploymentMode
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Misconfigured, Skipped, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from isvcwatch.core.decide import Decision
    from isvcwatch.core.health import Round
    from isvcwatch.core.objects import InferenceService, Runtime
    from isvcwatch.core.policy import ProbePolicy

log = structlog.get_logger(__name__)


class Schedule(Protocol):
    """Who sees to it that targets are probed."""

    def set(self, target: Target, delay: float = 0.0) -> None:
        """Probe it from now on, not before `delay` seconds."""

    def remove(self, uid: str) -> None:
        """Probe it no longer."""

    wells: int
    """Rounds so far that found their model ready."""

    calm: bool
    """Whether no verdict is to be confirmed quickly, since none is given."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A service, and what is remembered of it.

    Attributes:
        isvc: as last heard of.
        outcome: what is done about it.
        record: what is held to be so; None while it is left alone.
        stopped: it is stopped, or was and is not probed yet: what its conditions say is from before.
    """

    isvc: InferenceService
    outcome: Target | Skipped | Misconfigured
    record: Record | None
    stopped: bool = False


class Watcher:
    """Keeps a record of each service; asks for a write when the object doesn't say what the record holds."""

    def __init__(
        self,
        defaults: ProbePolicy,
        schedule: Schedule,
        request_write: Callable[[str], None],
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
        *,
        omit_unknown: bool = False,
    ) -> None:
        self._defaults = defaults
        self._schedule = schedule
        self._request_write = request_write
        self._clock = clock
        self._seconds = seconds
        self._omit_unknown = omit_unknown
        self._gate = Gate()
        self._watched: dict[str, Watched] = {}

    def __iter__(self) -> Iterator[Watched]:
        return iter(self._watched.values())

    @property
    def impaired(self) -> bool:
        """Whether the watcher doubts itself: no model is accused of silence."""
        return self._gate.is_closed

    def counts(self) -> Counter[str]:
        """How many services are probed, skipped and misconfigured."""
        kinds = {Target: "probed", Skipped: "skipped", Misconfigured: "misconfigured"}
        return Counter(kinds[type(watched.outcome)] for watched in self)

    # What is heard from the cluster.

    def changed(self, isvc: InferenceService, runtime: Runtime | None) -> None:
        """A service is new or has changed, or its runtime has."""
        before = self._watched.get(isvc.uid)
        outcome = derive(isvc, runtime, self._defaults).outcome
        if before is not None and before.outcome == outcome:
            outcome = before.outcome  # the very object that the schedule holds: who reports on it is known by it
        record = self._record(isvc, outcome, before)
        stopped = isvc.stopped or (record is None and before is not None and before.stopped)
        self._watched[isvc.uid] = Watched(isvc, outcome, record, stopped)
        if before is None or before.outcome is not outcome:
            self._reschedule(isvc, outcome, record)
        self._say(isvc.uid)

    def gone(self, uid: str) -> None:
        """A service is no more."""
        if self._watched.pop(uid, None):
            self._schedule.remove(uid)

    # What is found out.

    def observed(self, target: Target, found: Round) -> Health | None:
        """A round of a target has ended: its health then. None where the target has changed meanwhile: what was found is nobody's.

        Nearly every round finds what is known: then nothing is done, nor looked at.
        """
        watched = self._watched.get(target.uid)
        if watched is None or watched.record is None or watched.outcome is not target:
            return None
        before = watched.record.health
        health = before.observe(found, target.policy)
        if health is not before and self._is_held(before, health):
            return before
        if health is not before:
            self._watched[target.uid] = replace(watched, record=replace(watched.record, health=health))
            if not health.same_verdicts(before):
                self._log_turns(watched, health)
                self._say(target.uid)
        return health

    def _is_held(self, before: Health, after: Health) -> bool:
        """Whether a model is not to be accused of silence, since most of the fleet has fallen silent with it."""
        held, latest = before.model_ready, after.model_ready.verdict if after.model_ready.latest is None else after.model_ready.latest
        if held.verdict is None or held.verdict.status is not Status.TRUE or latest is None or not is_silence(latest):
            return False
        now, wells = self._seconds(), self._schedule.wells
        if held.latest is None:
            self._gate.fell_silent(now, wells)
        was = self.impaired
        holds = self._gate.holds(now, wells)
        self._say_impaired(was)
        return holds and after.model_ready.verdict is not held.verdict

    def doubts(self) -> None:
        """See whether the fleet is well again; called now and then, since nothing is judged that has not changed."""
        was = self.impaired
        if was:
            self._gate.holds(self._seconds(), self._schedule.wells)
            self._say_impaired(was)

    def _say_impaired(self, was: bool) -> None:
        """Say when the watcher begins to doubt itself, when it tells all the same, and when that is over; once each."""
        self._schedule.calm = self.impaired
        if self.impaired and not was:
            log.error(
                "watcher_impaired", why="most models have fallen silent at once", so="none is called False for that until some answer"
            )
        elif was and not self.impaired:
            log.warning("watcher_recovered" if self._gate.closed_since is None else "mass_outage", so="verdicts are given again")

    # What is said.

    def plan(self, uid: str) -> tuple[InferenceService, Decision] | None:
        """What is to be done about a service as it now stands."""
        watched = self._watched.get(uid)
        if watched is not None and _no_longer_vouched(watched):
            decision = unsay(watched.isvc)
            return (watched.isvc, decision) if decision else None
        if watched is None or watched.record is None:
            return None
        decision = decide(watched.record, watched.isvc, timestamp(self._clock()), omit_unknown=self._omit_unknown)
        return (watched.isvc, decision) if decision else None

    def is_urgent(self, uid: str) -> bool:
        """Whether the service's model is not held to be ready."""
        watched = self._watched.get(uid)
        verdict = watched.record.health.model_ready.verdict if watched and watched.record else None
        return verdict is not None and verdict.status is not Status.TRUE

    def done(self, uid: str, decision: Decision) -> None:
        """A plan has been carried out."""
        watched = self._watched.get(uid)
        if watched and watched.record and decision.notice:
            self._watched[uid] = replace(watched, record=replace(watched.record, announced=decision.notice.status, unsure=False))

    def _say(self, uid: str) -> None:
        if self.plan(uid):
            self._request_write(uid)
        else:
            watched = self._watched[uid]
            if watched.record:  # a first True needs no telling, and counts as told
                self._watched[uid] = replace(watched, record=told(watched.record))

    def _record(self, isvc: InferenceService, outcome: Target | Skipped | Misconfigured, before: Watched | None) -> Record | None:
        """What is held to be so after a change of the object."""
        if isinstance(outcome, Skipped):
            return None
        if before is None or before.record is None:
            # After a stop it is judged afresh: what the conditions say, if KServe has left them, is from before.
            record = Record(Health()) if before and before.stopped else seed(isvc, timestamp(self._clock()))
        elif before.outcome is not outcome:
            # Judged afresh: what the object says stays until then, and what was found of the target before is not said of this one.
            record = replace(before.record, health=seed(isvc, timestamp(self._clock())).health)
        else:
            record = before.record
        if isinstance(outcome, Misconfigured):
            record = replace(record, health=record.health.declare(Finding(Status.UNKNOWN, outcome.reason, outcome.message)))
        return record

    def _reschedule(self, isvc: InferenceService, outcome: Target | Skipped | Misconfigured, record: Record | None) -> None:
        at = {"namespace": isvc.namespace, "name": isvc.name}
        if isinstance(outcome, Target):
            known = record is not None and any(True for _ in record.health.verdicts())
            self._schedule.set(outcome, 0.0 if known else outcome.policy.initial_delay)
            log.info("watching", **at, urls=[hop.base_url for hop in outcome.hops], model=outcome.hops[0].model_name)
            return
        self._schedule.remove(isvc.uid)
        if isinstance(outcome, Misconfigured):
            log.warning("cannot_be_watched", **at, reason=outcome.reason, why=outcome.message)
        elif outcome.reason is not Reason.NO_ADDRESS:
            log.info("left_alone", **at, reason=outcome.reason, why=outcome.message)

    def _log_turns(self, watched: Watched, after: Health) -> None:
        """One line for each verdict that has changed; none for a probe."""
        before = dict(watched.record.health.verdicts()) if watched.record else {}
        for kind, verdict in after.verdicts():
            was = before.get(kind)
            if was is not verdict and not verdict.same_as(was):
                say = log.info if verdict.status is Status.TRUE else log.warning
                say(
                    "transition",
                    namespace=watched.isvc.namespace,
                    name=watched.isvc.name,
                    condition=kind,
                    before=was.status if was else None,
                    after=verdict.status,
                    reason=verdict.reason,
                    message=verdict.message,
                )


def _no_longer_vouched(watched: Watched) -> bool:
    """Whether what was said of a service can no longer be known: in Standard mode it came to be one that may be at zero.

    Not in Knative mode, where any write to a service at zero makes KServe say that it is in progress; not where KServe wipes it anyway.
    """
    outcome, isvc = watched.outcome, watched.isvc
    return isinstance(outcome, Skipped) and outcome.reason is Reason.SCALES_TO_ZERO and isvc.mode is DeploymentMode.STANDARD
