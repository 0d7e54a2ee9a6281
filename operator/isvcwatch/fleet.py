"""The fleet: holds the state of every service, takes what happens to a service by `feed`, and carries out what follows from it.

It knows no API server and no HTTP: the schedule, the queue of services to write about, and the subscribers to edges are passed in.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from isvcwatch.core.backing import lacking
from isvcwatch.core.conditions import ConditionType, Status
from isvcwatch.core.edges import Doubt, Edge, Failed, PathTurned, Turned
from isvcwatch.core.gate import NAMELESS, Gate, NamesGate, is_silence
from isvcwatch.core.health import Finding
from isvcwatch.core.paths import Path, Paths, is_answer, is_mute
from isvcwatch.core.reasons import CUT, Reason
from isvcwatch.core.step import AskAnew, AskReplicas, Probe, Rest, RoundEnded, Say, State, Surveyed, decision, step
from isvcwatch.core.targets import Misconfigured, Skipped, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from isvcwatch.core.decide import Decision
    from isvcwatch.core.health import Health
    from isvcwatch.core.objects import InferenceService
    from isvcwatch.core.replicas import Survey
    from isvcwatch.core.step import Effect, Input, Rules

KINDS: Final = {Target: "probed", Skipped: "skipped", Misconfigured: "misconfigured"}


class Schedule(Protocol):
    """Starts rounds of probing for the targets that it holds."""

    def set(self, target: Target, delay: float = 0.0, *, soon: bool = False) -> None:
        """Probe the target from now on; its first round starts after `delay` seconds at the earliest."""

    def ask_anew(self, uid: str, *, hurried: bool) -> None:
        """Probe the service at once and on new connections; if hurried, not wait long for an answer until it is asked anew otherwise."""

    def remove(self, uid: str) -> None:
        """Stop probing the service with this UID."""

    wells: int
    """How many rounds so far found their model ready."""

    calm: bool
    """Whether targets keep to their usual period while a verdict is pending, since the gate holds verdicts back."""


class Surveys(Protocol):
    """Asks each replica of the services that it holds."""

    def set(self, survey: Survey, within: float | None = None) -> None:
        """Ask these replicas from now on, for the first time within so many seconds; None for when it is their turn."""

    def remove(self, uid: str) -> None:
        """Ask the replicas of this service no longer."""


class Fleet:
    """Passes what happens to a service to `core.step`, and carries out the effects.

    Args:
        rules: what holds for every service.
        schedule: probes the targets.
        say: takes the UID of each service whose object does not show the current verdicts.
        clock: the time of day.
        subscribers: take every edge.
        seconds: a clock that only goes forward.
        check_network: has the watcher check its own network; called when a model that was ready gives no answer.
        gate: holds accusations while the watcher doubts itself.
        surveys: asks the replicas of services that have several; None to ask none.
    """

    def __init__(
        self,
        rules: Rules,
        schedule: Schedule,
        say: Callable[[str], None],
        clock: Callable[[], datetime],
        subscribers: Sequence[Callable[[Edge], None]] = (),
        seconds: Callable[[], float] = time.monotonic,
        check_network: Callable[[], None] = lambda: None,
        gate: Gate | None = None,
        surveys: Surveys | None = None,
    ) -> None:
        self._rules = rules
        self._schedule = schedule
        self._say = say
        self._clock = clock
        self._subscribers = tuple(subscribers)
        self._seconds = seconds
        self._check_network = check_network
        self._gate = gate or Gate()
        self._surveys = surveys
        self._names = NamesGate()
        self._paths = Paths()
        self._doubt_told = False
        self._states: dict[str, State] = {}

    def __iter__(self) -> Iterator[State]:
        return iter(self._states.values())

    def feed(self, uid: str, happened: Input) -> None:
        """Take in what has happened to a service. An exception becomes a `Failed` edge, so that one service can't stop the others.

        A survey is left out while the watcher doubts its own network, through which some replicas may be reached and others not.
        """
        if type(happened) is Surveyed and self._gate.is_closed:
            return
        before = self._states.get(uid)
        try:
            if type(happened) is RoundEnded and before is not None and before.outcome is happened.target:
                happened = self._with_what_is_known(before, happened)
            after, effects = step(before, happened, self._rules, self._clock())
        except Exception as error:  # noqa: BLE001 -- see above
            self.publish(Failed(uid, error))
            return
        if after is None:
            self._states.pop(uid, None)
        elif after is not before:
            self._states[uid] = after
        self._remember(uid, before, after)
        for effect in effects:
            self._carry_out(uid, effect)

    def plan(self, uid: str) -> tuple[InferenceService, Decision] | None:
        """The conditions to write and the Event to record for a service as it now stands; None if there are none."""
        state = self._states.get(uid)
        decided = decision(state, self._rules, self._clock()) if state else None
        return (state.isvc, decided) if state and decided else None

    def is_urgent(self, uid: str) -> bool:
        """Whether the service's model has a verdict other than ready."""
        state = self._states.get(uid)
        verdict = state.model_ready if state else None
        return verdict is not None and verdict.status is not Status.TRUE

    def health(self, target: Target) -> Health | None:
        """The health of a target; None if the service has another target by now."""
        state = self._states.get(target.uid)
        return state.record.health if state and state.record and state.outcome is target else None

    @property
    def impaired(self) -> bool:
        """Whether the watcher doubts its own network, so that no model is reported as down for not answering."""
        return self._gate.is_closed or self._names.is_closed(self._seconds())

    @property
    def nameless(self) -> bool:
        """Whether a name that always exists can't be looked up."""
        return not self._names.is_over(self._seconds())

    def cut(self) -> Iterator[tuple[str, Reason]]:
        """The namespaces whose models are called Unknown since none answers, each with the reason."""
        return self._paths.cut()

    def counts(self) -> Counter[str]:
        """How many services are probed, skipped and misconfigured."""
        return Counter(KINDS[type(state.outcome)] for state in self)

    def network_checked(self, *, reached: bool) -> None:
        """The watcher has checked its own network, and reached what is always there, or not."""
        self._gate.checked(self._seconds(), self._schedule.wells, reached=reached)
        self._say_doubt()

    def names_checked(self, *, found: bool) -> None:
        """The watcher has looked up a name that always exists, and found it, or not."""
        self._names.checked(self._seconds(), found=found)
        self._say_doubt()

    def reconsider(self) -> None:
        """End the watcher's doubt if the fleet is well again. Must be called regularly, since rounds that succeed don't check this."""
        if self._gate.is_closed:
            self._gate.holds(self._seconds(), self._schedule.wells)
        self._say_doubt()

    def _carry_out(self, uid: str, effect: Effect) -> None:
        match effect:
            case Probe(target, delay, soon):
                self._schedule.set(target, delay, soon=soon)
            case AskAnew(hurried):
                self._schedule.ask_anew(uid, hurried=hurried)
            case AskReplicas(survey, within):
                self._ask_replicas(uid, survey, within)
            case Rest():
                self._schedule.remove(uid)
                self._ask_replicas(uid, None, None)
            case Say():
                self._say(uid)
            case Turned(isvc, ConditionType.MODEL_READY, _, Finding(reason=Reason() as reason)) if reason in CUT:
                self.publish(effect)
                if self._paths.tell(isvc.namespace, reason):
                    self.publish(PathTurned(isvc.namespace, reason))
            case edge:
                self.publish(edge)

    def _ask_replicas(self, uid: str, survey: Survey | None, within: float | None) -> None:
        if self._surveys is None:
            return
        if survey is None:
            self._surveys.remove(uid)
        else:
            self._surveys.set(survey, within)

    def publish(self, edge: Edge) -> None:
        """Pass an edge to all subscribers."""
        for subscriber in self._subscribers:
            subscriber(edge)

    def _remember(self, uid: str, before: State | None, after: State | None) -> None:
        """Keep what is known of the way into a namespace in step with the services that are probed there."""
        if after is not None and isinstance(after.outcome, Target):
            if before is None and after.model_ready is not None:
                self._paths.remember(after.isvc.namespace, uid, after.model_ready, self._seconds())
        elif before is not None:
            self._paths.forget(before.isvc.namespace, uid)

    def _with_what_is_known(self, state: State, ended: RoundEnded) -> RoundEnded:
        """A round with what is known of the watcher's own network and of the way into the service's namespace, if it found silence."""
        uid, namespace, found = ended.target.uid, ended.target.namespace, ended.found.model_ready
        now = self._seconds()
        if is_answer(found):
            if self._paths.answered(namespace, uid, now):
                self.publish(PathTurned(namespace, None))
            return ended
        if state.behind and lacking(ended.target.hops, state.behind):  # its endpoints explain its silence, which is no sign of the network
            self._paths.forget(namespace, uid)
            return ended
        if not is_mute(found):
            self._paths.forget(namespace, uid)
            return replace(ended, doubted=self._doubts(state, found))
        if self._doubts(state, found):
            return replace(ended, doubted=True)
        path = Path.OPEN if self._gate.is_told else self._paths.fell_silent(namespace, uid, now)
        if path is Path.ASKING:
            for witness in self._paths.witnesses(namespace, now):
                self._schedule.ask_anew(witness, hurried=False)
        return replace(ended, path=path)

    def _doubts(self, state: State, found: Finding) -> bool:
        """Whether a model that does not answer keeps its verdict, since the watcher's own network or the cluster's DNS may be the reason.

        Of a model that was never ready, only that its name can't be looked up is held back: its namespace tells of the rest.
        """
        if state.record is None or not is_silence(found):
            return False
        now, tracker = self._seconds(), state.record.health.model_ready
        ready = tracker.verdict is not None and tracker.verdict.status is Status.TRUE
        if not ready and not (tracker.is_new and found.reason in NAMELESS):
            return False
        if tracker.latest is None:
            if ready:
                self._gate.fell_silent(now, self._schedule.wells)
            self._check_network()
        if not ready:
            return not self._names.is_over(now)
        holds = self._gate.holds(now, self._schedule.wells) or self._names.holds(now, found)
        self._say_doubt()
        return holds

    def _say_doubt(self) -> None:
        """Each turn of the watcher's doubt is one edge."""
        impaired, told = self.impaired, self._doubt_told
        self._schedule.calm = self._doubt_told = impaired
        if impaired and not told:
            self.publish(self._cause())
        elif told and not impaired:
            over = self._gate.closed_since is None and self._names.is_over(self._seconds())
            self.publish(Doubt.ENDED if over else Doubt.OUTAGE)

    def _cause(self) -> Doubt:
        """Why the watcher doubts itself."""
        if not self._gate.is_closed:
            return Doubt.NAMELESS
        return Doubt.CUT_OFF if self._gate.cut_off else Doubt.SILENCE
