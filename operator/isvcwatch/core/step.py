"""Decides what follows from each thing that happens to a service, as this table says.

| input        | what it does |
|--------------|--------------|
| `Seen`       | derives what is done about the service; a new target is judged afresh, and the old conditions stay until then |
| `RoundEnded` | updates the service's health, unless its target has changed since the round began |
| `Told`       | remembers which status of the model was announced |
| `Surveyed`   | updates what is known of the service's replicas; those that disagree are one steady verdict |
| `NamespaceEnds` | leaves the service alone until it is gone: its pods are, or will be |
| `Gone`       | forgets the service |

Where a service's endpoints have changed, `Seen` has it asked anew. The table of `core.witness` says which verdict a round allows, given the
endpoints and the way there.

After `Seen` and `RoundEnded`, a `Say` effect asks for a write if the object does not show the current verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from isvcwatch.core.backing import lacking
from isvcwatch.core.conditions import ConditionType, Status, timestamp
from isvcwatch.core.decide import Decision, Record, decide, seed, told, unsay
from isvcwatch.core.derive import derive, patience
from isvcwatch.core.edges import Edge, Placed, Turned
from isvcwatch.core.health import Finding, Health, Round, Tracker
from isvcwatch.core.objects import DeploymentMode
from isvcwatch.core.paths import Path, is_mute
from isvcwatch.core.reasons import MEANINGS, QUIET, Reason
from isvcwatch.core.replicas import Replicas, Survey, survey_of
from isvcwatch.core.rollout import Former, has_failed, old_pods_serve, reached, stable
from isvcwatch.core.targets import Misconfigured, Outcome, Skipped, Target
from isvcwatch.core.witness import weigh

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from isvcwatch.core.backing import Backing
    from isvcwatch.core.objects import InferenceService, Runtime
    from isvcwatch.core.policy import ProbePolicy


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that apply to every service.

    Attributes:
        defaults: how services are probed that don't say otherwise.
        omit_unknown: leave Unknown off the objects.
    """

    defaults: ProbePolicy
    omit_unknown: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A service, and what is remembered about it.

    Attributes:
        isvc: the service as last seen.
        outcome: what is done about it.
        record: what is held to be so; None while it is left alone.
        stopped: it is stopped, or was and is not probed yet: what its conditions say is from before.
        former: how it was reached before its last change; None once it has answered since, or once the pods of before are gone.
        behind: what stands behind its Services, as far as it is known.
        ends: its namespace is being deleted.
        starts_until: until when it may still be starting; None if it has no such time.
        note: what of it is not asked, or gets no traffic, for messages.
        woke: when it was last found awake after a sleep; None if it never slept.
        survey: whom of its replicas to ask; None if there are not several.
        replicas: what is known of them; None before the first survey.
    """

    isvc: InferenceService
    outcome: Outcome
    record: Record | None
    stopped: bool = False
    former: Former | None = None
    behind: tuple[Backing, ...] = ()
    ends: bool = False
    starts_until: datetime | None = None
    note: str = ""
    woke: datetime | None = None
    survey: Survey | None = None
    replicas: Replicas | None = None

    @property
    def model_ready(self) -> Finding | None:
        """The verdict about the model; None while there is none."""
        return self.record.health.model_ready.verdict if self.record else None


# Inputs.


@dataclass(frozen=True, slots=True)
class Seen:
    """The service is new or has changed, or its runtime or its endpoints have."""

    isvc: InferenceService
    runtime: Runtime | None = None
    behind: tuple[Backing, ...] = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """The service was deleted."""


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """A round of probing has ended.

    Attributes:
        target: the same object that the schedule was given; a round with any other object belongs to an outdated target.
        found: what the round found.
        doubted: whether to hold back a verdict that the model does not answer, since most of the fleet does not answer.
        fresh: whether all of it was asked on new connections, since the latest change of the endpoints was known.
        path: what is known of the way into the target's namespace, if it found silence.
    """

    target: Target
    found: Round
    doubted: bool = False
    fresh: bool = False
    path: Path = Path.OPEN


@dataclass(frozen=True, slots=True)
class Told:
    """A decision has been carried out: its conditions are written and its Event is recorded."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Surveyed:
    """Each replica of a service has been asked.

    Attributes:
        target: the same object that the survey was made of; a survey of any other object belongs to an outdated target.
        found: the finding about each replica, by its pod's name.
    """

    target: Target
    found: Mapping[str, Finding]


@dataclass(frozen=True, slots=True)
class NamespaceEnds:
    """The service's namespace is being deleted."""


Input: TypeAlias = Seen | Gone | RoundEnded | Surveyed | Told | NamespaceEnds


# Effects.


@dataclass(frozen=True, slots=True)
class Probe:
    """Probe this target from now on; its first round starts after `delay` seconds at the earliest, and within a second more if `soon`."""

    target: Target
    delay: float
    soon: bool = False


@dataclass(frozen=True, slots=True)
class AskAnew:
    """Ask the service at once and on new connections, since something is known to have changed about who answers.

    Attributes:
        hurried: whether an answer is not to be waited for long, since there is other evidence that none will come.
    """

    hurried: bool


@dataclass(frozen=True, slots=True)
class AskReplicas:
    """Ask each replica by itself from now on.

    Attributes:
        survey: whom to ask; None to ask none.
        within: seconds in which the first of these surveys is to start; None for when it is its turn.
    """

    survey: Survey | None
    within: float | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """Stop probing the service."""


@dataclass(frozen=True, slots=True)
class Say:
    """Write about the service soon, since its object does not show the current verdicts; `decision` then says what to write."""


Effect: TypeAlias = Probe | AskAnew | AskReplicas | Rest | Say | Edge

NOTHING: Final[tuple[Effect, ...]] = ()

AT_ONCE: Final = 0.1
"""Seconds in which replicas are asked once one of them has failed."""

CONFIRMED: Final = 2.0
"""Seconds until what a survey has found is confirmed by another."""

WAKES: Final = timedelta(seconds=patience.DEFAULT)
"""How long a service may take to start that was scaled to zero."""


def step(state: State | None, happened: Input, rules: Rules, now: datetime) -> tuple[State | None, tuple[Effect, ...]]:
    """A service's new state and the effects of an input; if nothing changes, the same state and no effects.

    Args:
        state: the service's state; None if the service is not known.
        happened: the input.
        rules: the rules that apply to every service.
        now: this moment.
    """
    match happened:
        case RoundEnded():
            return _round_ended(state, happened, rules, now)
        case Seen():
            return _seen(state, happened, rules, now)
        case Told(decision):
            return _told(state, decision), NOTHING
        case Surveyed():
            return _surveyed(state, happened, rules, now)
        case NamespaceEnds():
            return _namespace_ends(state)
        case Gone():
            return None, (Rest(),) if state and isinstance(state.outcome, Target) else NOTHING


def decision(state: State, rules: Rules, now: datetime) -> Decision:
    """The conditions to write and the Event to record for a service as it now stands; empty if nothing is to be done."""
    if _is_no_longer_vouched_for(state):
        return unsay(state.isvc)
    if state.record is None:
        return Decision()
    return decide(state.record, state.isvc, timestamp(now), omit_unknown=rules.omit_unknown, note=state.note)


def _round_ended(state: State | None, ended: RoundEnded, rules: Rules, now: datetime) -> tuple[State | None, tuple[Effect, ...]]:
    """Update the health. Nearly every round confirms the verdicts, and then returns early."""
    if state is None or state.record is None or state.outcome is not ended.target:
        return state, NOTHING
    record, former, target = state.record, state.former, ended.target
    lack = lacking(target.hops, state.behind) if state.behind else None
    if former is not None and lack is None:
        if ended.found.model_ready.status is Status.TRUE and not ended.found.by_former:
            state = replace(state, former=None)
        elif not former.may_serve(state.isvc, now):
            return _without_former(state, record, target, now)
    found = _allowed(state, record, ended, lack)
    if found is None:
        return state, NOTHING
    starts = _starts(state, record, found, now)
    health = _after(record.health, found.of_start() if starts else found, lack, target)
    if health is record.health or (
        health.model_ready.verdict is not record.health.model_ready.verdict and not starts and _is_held(state, ended, found)
    ):
        return state, NOTHING
    after = replace(state, record=replace(record, health=health))
    effects = _survey_of_a_fall(state, record, found)
    if health.same_verdicts(record.health):
        return after, effects
    return _say(after, (*effects, *_turns(state.isvc, record.health, health)), rules, now)


def _allowed(state: State, record: Record, ended: RoundEnded, lack: Finding | None) -> Round | None:
    """The round as it counts by all evidence; None if nothing follows from it yet."""
    found = weigh(ended.found, ended.target, lack, ended.path, fresh=ended.fresh)
    if found is None or found.model_ready is lack:
        return found
    if _waits_for_pods(state, found) or (state.survey is not None and _waits_for_survey(state, record)):
        return None
    return _by_replicas(_by_rollout(found, state.isvc), state.replicas)


def _waits_for_pods(state: State, found: Round) -> bool:
    """Whether a service was in a roll-out when it was first seen, and its new pods don't answer yet: those of before serve otherwise."""
    return state.former is not None and not state.former.hops and found.model_ready.status is not Status.TRUE


def _by_rollout(found: Round, isvc: InferenceService) -> Round:
    """The round as it counts where a roll-out has failed: the model is ready, and stays as it was."""
    if found.model_ready.status is not Status.TRUE or not has_failed(isvc):
        return found
    return replace(found, model_ready=Finding(Status.TRUE, Reason.ROLLOUT_FAILED, MEANINGS[Reason.ROLLOUT_FAILED]))


def _is_held(state: State, ended: RoundEnded, found: Round) -> bool:
    """Whether a verdict must not change yet: the watcher doubts itself, asks others, or confirms that only some replicas fail."""
    if ended.doubted or (ended.path is Path.ASKING and is_mute(found.model_ready)):
        return True
    confirming = state.replicas is not None and state.replicas.is_mixed and not state.replicas.split
    return confirming and found.model_ready.status is Status.FALSE


def _survey_of_a_fall(state: State, record: Record, found: Round) -> tuple[Effect, ...]:
    """The effect of the first failure in a row of a service with several replicas: it may be that of one of them."""
    if state.survey is None or record.health.model_ready.latest is not None or found.model_ready.status is not Status.FALSE:
        return NOTHING
    return (AskReplicas(state.survey, AT_ONCE),)


def _waits_for_survey(state: State, record: Record) -> bool:
    """Whether an earlier process found that replicas disagree, and this one has not asked them yet."""
    verdict = record.health.model_ready.verdict
    return state.replicas is None and verdict is not None and verdict.reason == Reason.SOME_REPLICAS_FAIL


def _by_replicas(found: Round, replicas: Replicas | None) -> Round:
    """The round as it counts while replicas disagree: which of them it has met is chance."""
    steady = replicas.finding() if replicas else None
    return Round(None, None, steady) if steady else found


def _surveyed(state: State | None, surveyed: Surveyed, rules: Rules, now: datetime) -> tuple[State | None, tuple[Effect, ...]]:
    if state is None or state.record is None or state.survey is None or state.outcome is not surveyed.target:
        return state, NOTHING
    replicas = (state.replicas or Replicas()).after(surveyed.found)
    record, health = state.record, state.record.health
    effects: tuple[Effect, ...] = () if replicas.is_sure else (AskReplicas(state.survey, CONFIRMED),)
    after = replace(state, replicas=replicas)
    verdict, steady = health.model_ready.verdict, replicas.finding()
    if steady is None and verdict is not None and verdict.reason == Reason.SOME_REPLICAS_FAIL:
        return after, (*effects, AskAnew(hurried=False))
    if steady is None or verdict is None or verdict.is_start or steady.same_as(verdict):
        return after, effects
    split = replace(health, model_ready=Tracker(steady))
    after = replace(after, record=replace(record, health=split))
    return _say(after, (*effects, *_turns(state.isvc, health, split)), rules, now)


def _after(health: Health, found: Round, lack: Finding | None, target: Target) -> Health:
    """The health after a round. A ready model without endpoints and without an answer has two witnesses against it: one round is enough."""
    verdict = health.model_ready.verdict
    if found.model_ready is lack and verdict is not None and verdict.status is Status.TRUE:
        return health.declare(found.model_ready)
    return health.observe(found, target.policy)


def _starts(state: State, record: Record, found: Round, now: datetime) -> bool:
    """Whether a failed round is not held against a service, since its model has not been ready yet and still has time to start."""
    in_time = state.starts_until is not None and now < state.starts_until
    return in_time and found.model_ready.status is not Status.TRUE and record.health.model_ready.is_new


def _seen(state: State | None, seen: Seen, rules: Rules, now: datetime) -> tuple[State, tuple[Effect, ...]]:
    isvc = seen.isvc
    if state is not None and state.ends:
        return replace(state, isvc=isvc), NOTHING
    derived = derive(isvc, seen.runtime, rules.defaults, seen.behind)
    outcome = derived.outcome
    former = _former(state, isvc, outcome, now)
    if former and former.hops and isinstance(outcome, Target):
        outcome = replace(outcome, former=(*former.hops, *(hop for hop in outcome.hops if hop.canary)))
    if state is not None and _is_same(state, outcome):
        outcome = state.outcome  # the very object that the schedule holds: its rounds are known by it
    record = _record(state, isvc, outcome, now)
    stopped = isvc.stopped or (record is None and state is not None and state.stopped)
    woke = _woke(state, outcome, now)
    starts_until = max((moment for moment in (derived.starts_until, woke and woke + WAKES) if moment), default=None)
    after = State(isvc, outcome, record, stopped, former, seen.behind, starts_until=starts_until, note=derived.note, woke=woke)
    if isinstance(outcome, Target) and (survey := survey_of(outcome, seen.behind)):
        kept = state.replicas if state is not None and state.survey is not None else None
        after = replace(after, survey=survey, replicas=kept)
    effects = _asked_anew(state, after) if state is not None and state.outcome is outcome else tuple(_placed(state, after))
    return _say(after, (*effects, *_surveys(state, after)), rules, now)


def _surveys(before: State | None, after: State) -> Iterator[Effect]:
    """The effect of a change of the replicas to ask: at once if some of those of before have failed, and may be gone by now."""
    if before is None or before.survey is None:
        if after.survey is not None:
            yield AskReplicas(after.survey)
    elif before.survey != after.survey:
        failed = before.replicas is not None and before.replicas.is_mixed
        yield AskReplicas(after.survey, AT_ONCE if failed else None)


def _namespace_ends(state: State | None) -> tuple[State | None, tuple[Effect, ...]]:
    if state is None or state.ends:
        return state, NOTHING
    after = replace(
        state, outcome=Skipped(Reason.DELETING, "its namespace is being deleted"), record=None, former=None, survey=None, ends=True
    )
    return after, tuple(_placed(state, after))


def _asked_anew(before: State, after: State) -> tuple[Effect, ...]:
    """The effect of a change of the endpoints behind a target, and of a roll-out that has failed or no longer has."""
    turned = has_failed(before.isvc) is not has_failed(after.isvc)
    if not isinstance(after.outcome, Target) or (before.behind == after.behind and not turned):
        return NOTHING
    return (AskAnew(hurried=lacking(after.outcome.hops, after.behind) is not None),)


def _woke(state: State | None, outcome: Outcome, now: datetime) -> datetime | None:
    """When the service was last found awake after a sleep at zero: no time on the object tells it."""
    if state is None or not isinstance(outcome, Target):
        return None
    slept = isinstance(state.outcome, Skipped) and state.outcome.reason is Reason.SCALES_TO_ZERO
    return now if slept else state.woke


def _was_ready(isvc: InferenceService) -> bool:
    """Whether an earlier process has found the model ready."""
    model = isvc.condition(ConditionType.MODEL_READY)
    return model is not None and model.status == Status.TRUE


def _is_same(state: State, outcome: Outcome) -> bool:
    """Whether nothing about the outcome has changed. A target that has answered since its change needs its former hops no longer."""
    if state.outcome == outcome:
        return True
    return isinstance(state.outcome, Target) and state.former is None and replace(state.outcome, former=()) == outcome


def _former(state: State | None, isvc: InferenceService, outcome: Outcome, now: datetime) -> Former | None:
    """How the service was reached before its last change, for as long as the pods of before may serve."""
    if state is None and isinstance(outcome, Target) and _was_ready(isvc) and old_pods_serve(isvc):
        return Former((), now)
    if state is None or not isinstance(state.outcome, Target) or not isinstance(outcome, Target):
        return None
    former, before, after = state.former, reached(state.outcome.hops), reached(outcome.hops)
    if before != after:
        if former is not None:
            former = replace(former, since=now)
        elif state.model_ready is not None and state.model_ready.status is Status.TRUE:
            former = Former(stable(state.outcome.hops), now)
    return former if former and reached(former.hops) != after and former.may_serve(isvc, now) else None


def _without_former(state: State, record: Record, target: Target, now: datetime) -> tuple[State, tuple[Effect, ...]]:
    """The pods of before the last change are gone: the target is judged afresh by those of after it."""
    alone = replace(target, former=())
    afresh = replace(record, health=seed(state.isvc, timestamp(now)).health)
    after = replace(state, outcome=alone, record=afresh, former=None, survey=survey_of(alone, state.behind))
    return after, (Probe(alone, 0.0), *_surveys(state, after))


def _told(state: State | None, decision: Decision) -> State | None:
    if state is None or state.record is None or decision.notice is None:
        return state
    return replace(state, record=told(state.record, decision.notice.status, split=decision.notice.cause == Reason.SOME_REPLICAS_FAIL))


def _say(state: State, effects: tuple[Effect, ...], rules: Rules, now: datetime) -> tuple[State, tuple[Effect, ...]]:
    """Add a `Say` if the object does not show the verdicts; else count the model's status as announced: a first True needs no Event."""
    if decision(state, rules, now):
        return state, (*effects, Say())
    verdict = state.model_ready
    if state.record and verdict and verdict.status is not state.record.announced and verdict.reason not in QUIET:
        return replace(state, record=told(state.record, verdict.status)), effects
    return state, effects


def _record(state: State | None, isvc: InferenceService, outcome: Outcome, now: datetime) -> Record | None:
    """The service's record after a change of its object."""
    if isinstance(outcome, Skipped):
        return None
    if state is None or state.record is None:
        # A service is judged afresh after a stop: if KServe has kept the conditions, they are from before it.
        record = Record(Health()) if state and state.stopped else seed(isvc, timestamp(now))
    elif state.outcome is not outcome:
        # A changed target is judged afresh: the object's conditions stay until then, and findings about the old target are dropped.
        record = replace(state.record, health=seed(isvc, timestamp(now)).health)
    else:
        record = state.record
    if isinstance(outcome, Misconfigured):
        record = replace(record, health=record.health.declare(Finding(Status.UNKNOWN, outcome.reason, outcome.message)))
    return record


def _placed(before: State | None, after: State) -> Iterator[Effect]:
    """The effects of a change in what is done about a service."""
    if isinstance(after.outcome, Target):
        known = after.record is not None and any(True for _ in after.record.health.verdicts())
        yield Probe(after.outcome, 0.0 if known else after.outcome.policy.initial_delay, soon=not known and after.starts_until is not None)
    elif before is not None and isinstance(before.outcome, Target):
        yield Rest()
    yield Placed(after.isvc, after.outcome)


def _turns(isvc: InferenceService, before: Health, after: Health) -> Iterator[Turned]:
    """An edge for each condition whose verdict has changed."""
    were = dict(before.verdicts())
    for kind, verdict in after.verdicts():
        if not verdict.same_as(were.get(kind)):
            yield Turned(isvc, kind, were.get(kind), verdict)


def _is_no_longer_vouched_for(state: State) -> bool:
    """Whether a service's conditions must be removed, since it is in Standard mode and may now be scaled to zero.

    They stay in Knative mode, where any write to a service at zero makes KServe report it as in progress, and wherever KServe removes
    them itself.
    """
    outcome = state.outcome
    return isinstance(outcome, Skipped) and outcome.reason is Reason.SCALES_TO_ZERO and state.isvc.mode is DeploymentMode.STANDARD
