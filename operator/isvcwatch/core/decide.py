"""Decides from a target's health which conditions to write, which to remove, and which Event to record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from isvcwatch.core.conditions import SEVERITY, Condition, ConditionType, Status, is_timestamp, one_line
from isvcwatch.core.health import STARTING, Finding, Health
from isvcwatch.core.reasons import QUIET, EventReason, Reason

if TYPE_CHECKING:
    from isvcwatch.core.objects import InferenceService


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event to record on the InferenceService.

    Attributes:
        reason: the Event's reason, which names the change of the verdict.
        status: what ModelReady has become.
        cause: the condition's reason.
        message: the condition's message.
        since: the condition's lastTransitionTime, which distinguishes this change from others to the same status.
    """

    reason: EventReason
    status: Status
    cause: str
    message: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is remembered of one target.

    Attributes:
        health: verdicts and streaks.
        announced: the ModelReady status that was last announced to people; None if none was announced yet.
        split: whether it was announced last that some replicas fail while others serve.
        unsure: whether that Event may be missing, so that it is recorded again; since its name stays the same, no second one comes of it.
    """

    health: Health
    announced: Status | None = None
    split: bool = False
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a service now; empty while nothing has changed.

    Attributes:
        conditions: the conditions to write.
        notice: the Event to record.
        removed: our conditions to remove from the object, since they are no longer known to be true, or are Unknown and to be left off.
    """

    conditions: tuple[Condition, ...] = ()
    notice: Notice | None = None
    removed: tuple[ConditionType, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.notice or self.writes)

    @property
    def writes(self) -> bool:
        """Whether there are conditions to write or to remove."""
        return bool(self.conditions or self.removed)


RECENT: Final = timedelta(hours=1)
"""How long after a change of the verdict a new process records its Event again: as long as API servers keep Events."""


def seed(isvc: InferenceService, now: str) -> Record:
    """The record of a service as its conditions in the cluster show it, so that a restarted watcher continues from there.

    Args:
        isvc: the service.
        now: this moment as `conditions.timestamp` gives it.
    """
    verdicts = {}
    for kind in ConditionType:
        found = isvc.condition(kind)
        if found is not None and found.status in set(Status):
            verdicts[kind] = Finding(Status(found.status), found.reason, found.message)
    model = isvc.condition(ConditionType.MODEL_READY)
    told = verdicts.get(ConditionType.MODEL_READY)
    if told is not None and told.reason in QUIET:
        return Record(Health.seeded(verdicts))  # no Event ever told of it
    # The previous process may have ended after it wrote the condition and before it recorded the Event. The Event of a True is not recorded
    # again, since the status before it is not known: it may have been the first verdict, which needs no Event.
    again = model is not None and told is not None and told.status is not Status.TRUE and _is_recent(model.last_transition_time, now)
    split = told is not None and told.reason == Reason.SOME_REPLICAS_FAIL
    return Record(Health.seeded(verdicts), told.status if told else None, split, again)


def decide(record: Record, isvc: InferenceService, now: str, *, omit_unknown: bool = False, note: str = "") -> Decision:
    """Decide what to write and to announce, so that the object shows the record's verdicts.

    A condition is written when its status or its reason differs from the object's, or when another writer broke it: without severity,
    KServe folds it into its own Ready, and with another time format KServe can't read the object. A condition is never written for its
    message alone, so that an upgrade that changes the wording writes nothing; but while a service starts, KServe's report of a failure is
    added once.

    Args:
        record: the target's verdicts, and what was announced.
        isvc: the object as it stands.
        now: this moment as `conditions.timestamp` gives it.
        omit_unknown: leave Unknown off the object, so that only Events and metrics show it.
        note: what is added to the message about the model.
    """
    record = _noted(record, note)
    omitted = {kind for kind, verdict in record.health.verdicts() if omit_unknown and verdict.status is Status.UNKNOWN}
    verdicts = [(kind, verdict) for kind, verdict in record.health.verdicts() if kind not in omitted]
    wanted = (_wanted(kind, verdict, isvc, now) for kind, verdict in verdicts)
    conditions = tuple(c for c in wanted if c is not None)
    model = next((c for c in conditions if c.type == ConditionType.MODEL_READY), isvc.condition(ConditionType.MODEL_READY))
    # A condition that is left off the object has no time. An empty time gives its first Event the same name in every process.
    since = model.last_transition_time if model else "" if omitted and record.announced is None else now
    removed = tuple(kind for kind in ConditionType if kind in omitted and isvc.condition(kind) is not None)
    return Decision(conditions, _notice(record, since, now), removed)


def unsay(isvc: InferenceService) -> Decision:
    """Remove our conditions from a service that is no longer probed."""
    return Decision(removed=tuple(kind for kind in ConditionType if isvc.condition(kind) is not None))


def told(record: Record, status: Status, *, split: bool = False) -> Record:
    """The record after the model's status was announced to people, and whether replicas disagree."""
    return Record(record.health, status, split)


def _wanted(kind: ConditionType, verdict: Finding, isvc: InferenceService, now: str) -> Condition | None:
    there = isvc.condition(kind)
    reported = isvc.failure if verdict.is_start else ""
    if (
        there is not None
        and not (reported and there.message == STARTING.message)
        and (there.status, there.reason, there.severity) == (verdict.status, verdict.reason, SEVERITY)
        and is_timestamp(there.last_transition_time)
    ):
        return None
    since = there.last_transition_time if there is not None and there.status == verdict.status else ""
    if not is_timestamp(since):
        since = now
    message = f"{STARTING.message}; KServe last reported: {reported}" if reported else verdict.message
    return Condition(kind, verdict.status, verdict.reason, one_line(message), since, SEVERITY)


def _noted(record: Record, note: str) -> Record:
    """The record with a note added to the message of the verdict about the model."""
    model = record.health.model_ready
    if not note or model.verdict is None or model.verdict.is_start:
        return record
    verdict = replace(model.verdict, message=f"{model.verdict.message}; {note}")
    return replace(record, health=replace(record.health, model_ready=replace(model, verdict=verdict)))


def _is_recent(since: str, now: str) -> bool:
    if not (is_timestamp(since) and is_timestamp(now)):
        return False
    return abs(datetime.fromisoformat(now) - datetime.fromisoformat(since)) < RECENT


def _notice(record: Record, since: str, now: str) -> Notice | None:
    """The Event for a change of ModelReady, or of whether its replicas agree while it is True.

    A start and a first True have none: a model recovers only from a status that was announced.
    """
    verdict = record.health.model_ready.verdict
    if verdict is None or verdict.reason in QUIET:
        return None
    if verdict.status is Status.TRUE and record.announced in {Status.TRUE, None}:
        split = verdict.reason == Reason.SOME_REPLICAS_FAIL
        if split is not record.split:
            reason = EventReason.SOME_REPLICAS_FAIL if split else EventReason.ALL_REPLICAS_SERVE
            return Notice(reason, verdict.status, verdict.reason, verdict.message, now)
    if verdict.status == record.announced and not record.unsure:
        return None
    if verdict.status is Status.TRUE:
        return Notice(EventReason.MODEL_RECOVERED, verdict.status, verdict.reason, verdict.message, since) if record.announced else None
    reason = EventReason.MODEL_UNREADY if verdict.status is Status.FALSE else EventReason.MODEL_UNKNOWN
    return Notice(reason, verdict.status, verdict.reason, verdict.message, since)
