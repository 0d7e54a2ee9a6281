"""From health to what must be said: which conditions to write, and which Event tells of the edge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from isvcwatch.core.conditions import SEVERITY, Condition, ConditionType, Status, is_timestamp, one_line
from isvcwatch.core.health import Finding, Health
from isvcwatch.core.reasons import EventReason

if TYPE_CHECKING:
    from isvcwatch.core.objects import InferenceService


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event to record on the InferenceService.

    Attributes:
        reason: which edge.
        status: what ModelReady has become.
        cause: the condition's reason.
        message: the condition's message.
        since: the condition's lastTransitionTime, by which one turn is told from another.
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
        announced: the ModelReady status that people were last told of; None where nobody was told anything yet.
        unsure: whether they were is not known for certain, so that it is told again: its Event has the same name, and is there once.
    """

    health: Health
    announced: Status | None = None
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now; empty while nothing has changed.

    Attributes:
        conditions: to be written.
        notice: to be told.
        removed: our conditions that are to go, since nobody vouches for them any more.
    """

    conditions: tuple[Condition, ...] = ()
    notice: Notice | None = None
    removed: tuple[ConditionType, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.conditions or self.notice or self.removed)


RECENT: Final = timedelta(hours=1)
"""For how long a turn is told again by the next process: as long as API servers keep Events. Told again, it has the same name."""


def seed(isvc: InferenceService, now: str) -> Record:
    """What the cluster already says about a service: where a restarted watcher takes up.

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
    # The process before may have ended between the condition and its Event. What a True was before is not known: it is never told again.
    again = model is not None and told is not None and told.status is not Status.TRUE and _is_recent(model.last_transition_time, now)
    return Record(Health.seeded(verdicts), told.status if told else None, again)


def decide(record: Record, isvc: InferenceService, now: str, *, omit_unknown: bool = False) -> Decision:
    """What to write and to tell, so that the object says what the record holds.

    A condition is written when its status or its reason differs from what is there, or when somebody broke it: without its severity
    KServe folds it into its own Ready, and with another form of time KServe can't read the object. Never for a message alone, so that an
    upgrade that words things better writes nothing.

    Args:
        record: what is held to be so.
        isvc: the object as it stands.
        now: this moment as `conditions.timestamp` gives it.
        omit_unknown: leave Unknown off the object, and say it by Events and metrics alone.
    """
    omitted = {kind for kind, verdict in record.health.verdicts() if omit_unknown and verdict.status is Status.UNKNOWN}
    verdicts = [(kind, verdict) for kind, verdict in record.health.verdicts() if kind not in omitted]
    wanted = (_wanted(kind, verdict, isvc.condition(kind), now) for kind, verdict in verdicts)
    conditions = tuple(c for c in wanted if c is not None)
    model = next((c for c in conditions if c.type == ConditionType.MODEL_READY), isvc.condition(ConditionType.MODEL_READY))
    # What is left off the object has no time there: told first, it is one turn, whichever process tells it.
    since = model.last_transition_time if model else "" if omitted and record.announced is None else now
    removed = tuple(kind for kind in ConditionType if kind in omitted and isvc.condition(kind) is not None)
    return Decision(conditions, _notice(record, since), removed)


def unsay(isvc: InferenceService) -> Decision:
    """Take back what was said of a service that came to be left alone."""
    return Decision(removed=tuple(kind for kind in ConditionType if isvc.condition(kind) is not None))


def told(record: Record, status: Status) -> Record:
    """The record once people know of that status of the model."""
    return Record(record.health, status)


def _wanted(kind: ConditionType, verdict: Finding, there: Condition | None, now: str) -> Condition | None:
    if (
        there is not None
        and (there.status, there.reason, there.severity) == (verdict.status, verdict.reason, SEVERITY)
        and is_timestamp(there.last_transition_time)
    ):
        return None
    since = there.last_transition_time if there is not None and there.status == verdict.status else ""
    if not is_timestamp(since):
        since = now
    return Condition(kind, verdict.status, verdict.reason, one_line(verdict.message), since, SEVERITY)


def _is_recent(since: str, now: str) -> bool:
    if not (is_timestamp(since) and is_timestamp(now)):
        return False
    return abs(datetime.fromisoformat(now) - datetime.fromisoformat(since)) < RECENT


def _notice(record: Record, since: str) -> Notice | None:
    """The Event of an edge of ModelReady. A first True is no news: only what was said to be otherwise can recover."""
    verdict = record.health.model_ready.verdict
    if verdict is None or (verdict.status == record.announced and not record.unsure):
        return None
    if verdict.status is Status.TRUE:
        return Notice(EventReason.MODEL_RECOVERED, verdict.status, verdict.reason, verdict.message, since) if record.announced else None
    reason = EventReason.MODEL_UNREADY if verdict.status is Status.FALSE else EventReason.MODEL_UNKNOWN
    return Notice(reason, verdict.status, verdict.reason, verdict.message, since)
