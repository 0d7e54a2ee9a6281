"""Runs one round: asks for the models, and for the servers' own health only to explain a failure. It uses callbacks instead of tasks."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, overload

import structlog

from isvcwatch.client.protocols import declared
from isvcwatch.client.transport import ExhaustedError, WireError
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.reasons import Reason
from isvcwatch.probing.discovery import Look
from isvcwatch.probing.failures import CRASHED, NOTHING_LISTENS
from isvcwatch.probing.rungs import Asker, Ladder

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.client.protocols import Answer
    from isvcwatch.client.transport import Ask
    from isvcwatch.core.targets import Hop, Target
    from isvcwatch.probing.discovery import Cancellable, Learned
    from isvcwatch.probing.rungs import Rung

    P = ParamSpec("P")

    Done = Callable[[Round | None], None]
    """Called once with what a round found; None if the watcher itself could not ask, which says nothing about the target."""

log = structlog.get_logger(__name__)

EXHAUSTED: Final = "Exhausted"
"""The outcome of a request that the watcher had no file descriptor or port for. It is counted and logged, but for no target."""

EXHAUSTED_SAID_EVERY: Final = 60.0
"""Seconds between two log lines about exhausted descriptors or ports."""

EXPLAIN_EVERY: Final = 30.0
"""Seconds after which the server's own health is asked for again while its model goes on failing."""


ALL_CRASHED: Final = Round(CRASHED, CRASHED, CRASHED)
"""What a round has found that a bug has ended."""

HURRY: Final = 1.0
"""Seconds that an answer is waited for where other evidence says that none will come."""


class Carrier(Asker, Protocol):
    """Prepares and sends requests, as `client.transport.Transport` does."""

    def start(
        self,
        ask: Ask,
        timeout: float,
        done: Callable[[Answer | WireError], None],
        *,
        doubt_after: float = math.inf,
        doubt: Callable[[], None] | None = None,
        fresh: bool = False,
    ) -> Cancellable:
        """Send a request. Later, `done` is called once; `doubt` is called before it if no answer has come after `doubt_after` seconds."""


class ProbeCounter(Protocol):
    """Counts requests to model servers."""

    def probe(self, outcome: str, seconds: float) -> None:
        """Count a request that ended with this outcome after so many seconds."""

    def inquired(self) -> None:
        """Count a request of a closer look."""

    def looked(self, result: str) -> None:
        """Count a closer look by its result: `recognised`, `unknown`, or `declared` if the container's own readiness route is used."""


class Plan:
    """A target with the prepared requests to its servers; it is used until the target changes.

    Attributes:
        target: the target that it is made from.
        ladders: one for each hop, with the one that clients reach first.
        timeout: seconds for each request.
        host: what the entry's connections have in common, to bound those at one address.
        unsure: whether a failure is to be explained in any case, since a verdict is being confirmed.
        fresh: whether the round is asked on new connections, so that it meets whoever serves now, and perhaps another replica.
        hurried: whether an answer is not waited for long, nor a failure looked into, since other evidence explains it.
        former: the servers that answered before the service changed; None once those of after it have answered.
    """

    __slots__ = ("former", "fresh", "host", "hurried", "ladders", "target", "timeout", "unsure")

    def __init__(self, asker: Asker, target: Target) -> None:
        self.target = target
        self.ladders = tuple(Ladder(asker, hop) for hop in target.hops)
        self.timeout = target.policy.timeout
        ask = self.ladders[0].models[0].ask
        self.host = ask.endpoint if ask is not None else None
        self.unsure = True
        self.fresh = False
        self.hurried = False
        self.former = Plan(asker, replace(target, hops=target.former, former=())) if target.former else None

    def hurry(self, hurried: bool) -> None:
        """Wait no longer than `HURRY` for each answer from now on, or as long as usual."""
        self.hurried = hurried
        self.timeout = min(self.target.policy.timeout, HURRY) if hurried else self.target.policy.timeout
        if self.former is not None:
            self.former.hurry(hurried)


class Prober:
    """Starts rounds. Each hop's protocol says what to ask and what an answer means."""

    def __init__(self, transport: Carrier, metrics: ProbeCounter, clock: Callable[[], float] = time.monotonic) -> None:
        self.transport = transport
        self.metrics = metrics
        self.clock = clock
        self._exhausted_said = -math.inf

    def plan(self, target: Target) -> Plan:
        """Prepare a target for probing."""
        return Plan(self.transport, target)

    def start(self, plan: Plan, done: Done, *, doubt_after: float = math.inf, doubt: Callable[[], None] | None = None) -> Cancellable:
        """Start a round: all hops are asked at once and must be ready. The first one that fails, in the hops' order, gives the reason.

        Args:
            plan: the prepared target.
            done: called once, never from inside this call, and not after the round was cancelled.
            doubt_after: seconds without an answer after which a failure begins to be explained, and `doubt` is called.
            doubt: called at most once for each hop.
        """
        if plan.former is not None:
            return _Either(self, plan, done, doubt_after, doubt)
        return self.climb(plan, done, doubt_after, doubt)

    def climb(self, plan: Plan, done: Done, doubt_after: float = math.inf, doubt: Callable[[], None] | None = None) -> Cancellable:
        """Ask the hops of a plan, and no others."""
        if len(plan.ladders) == 1:
            return _Climb(self, plan, plan.ladders[0], done, doubt_after, doubt)
        return _Joint(self, plan, done, doubt_after, doubt)

    def ask_replica(self, plan: Plan, number: int, at: tuple[str, int], done: Callable[[Finding | None], None]) -> Cancellable:
        """Ask one replica for the model, by the way that has proved right for its service.

        Args:
            plan: the service's plan.
            number: which of its hops the replica is a server of.
            at: the replica's IP address and port.
            done: called once, later, with the finding; with None if the watcher itself could not ask.
        """
        ladder = plan.ladders[number]
        rung = ladder.of_replica(*at)
        if rung.ask is None:
            return asyncio.get_running_loop().call_soon(done, rung.known)
        began = self.clock()

        def came(answer: Answer | WireError) -> None:
            if isinstance(answer, ExhaustedError):
                self.exhausted(answer)
            finding = _meaning(rung, answer)
            self.metrics.probe(finding.reason if finding else EXHAUSTED, self.clock() - began)
            done(_tempered(ladder, finding) if finding else None)

        return self.transport.start(rung.ask, plan.target.policy.timeout, came)

    def say_learned(self, plan: Plan, learned: Learned) -> None:
        """Count a closer look that has ended, and log its outcome."""
        by_its_own_route = learned.hops[0].protocol == declared.NAME
        self.metrics.looked("declared" if by_its_own_route else "recognised" if learned.server else "unknown")
        log.info(
            "looked_closer",
            namespace=plan.target.namespace,
            name=plan.target.name,
            server=learned.server or None,
            protocol=learned.hops[0].protocol,
            models=list(learned.models) if learned.models is not None else None,
            so=learned.note or None,
        )

    def exhausted(self, error: ExhaustedError) -> None:
        """Count and, once in a while, log that the watcher has run out of descriptors or ports."""
        if self.clock() - self._exhausted_said >= EXHAUSTED_SAID_EVERY:
            self._exhausted_said = self.clock()
            log.error("out_of_resources", why=str(error), so="rounds are left out, and no verdict comes from them")


class _Climb:
    """Asks one hop in one round."""

    __slots__ = (
        "_began",
        "_descended",
        "_done",
        "_doubt",
        "_doubt_after",
        "_is_over",
        "_ladder",
        "_live",
        "_looked",
        "_model",
        "_models",
        "_plan",
        "_prober",
        "_ready",
        "_under_way",
    )

    def __init__(
        self,
        prober: Prober,
        plan: Plan,
        ladder: Ladder,
        done: Done,
        doubt_after: float,
        doubt: Callable[[], None] | None,
    ) -> None:
        self._prober = prober
        self._plan = plan
        self._ladder = ladder
        self._done = done
        self._doubt_after = doubt_after
        self._doubt = doubt
        self._descended = False
        self._looked = False
        self._is_over = False
        self._model: Finding | None = None
        self._models: dict[int, Finding] = {}
        self._live: Finding | None = None
        self._ready: Finding | None = None
        self._began = prober.clock()
        self._under_way = self._start_models()

    def cancel(self) -> None:
        """Cancel the requests under way."""
        for exchange in self._under_way:
            exchange.cancel()
        if self._ladder.looker is self:
            self._ladder.looker = None

    def _start_models(self) -> list[Cancellable]:
        """Ask for the model, or for each of several models."""
        started: list[Cancellable] = []
        for number, rung in enumerate(self._ladder.models):
            if rung.ask is None:
                started.append(asyncio.get_running_loop().call_soon(self._guarded(functools.partial(self._model_known, rung))))
                break
            started.append(self._start(rung.ask, functools.partial(self._model_came, number)))
        return started

    def _start(self, ask: Ask, came: Callable[[Answer | WireError], None]) -> Cancellable:
        doubt = self._guarded(self._doubted) if self._doubt else None
        plan, came = self._plan, self._guarded(came)
        return self._prober.transport.start(ask, plan.timeout, came, doubt_after=self._doubt_after, doubt=doubt, fresh=plan.fresh)

    def _guarded(self, call: Callable[P, None]) -> Callable[P, None]:
        """The callback so that an exception in it ends the round: a round that never ended would keep its target from being asked again."""

        def called(*args: P.args, **options: P.kwargs) -> None:
            try:
                call(*args, **options)
            except Exception:  # a bug must not look like health, or stop the probing of others
                log.exception("probe_crashed", url=self._ladder.hop.base_url)
                self._crash()

        return called

    def _crash(self) -> None:
        self._prober.metrics.probe(CRASHED.reason, self._prober.clock() - self._began)
        if not self._is_over:
            self.cancel()
            self._end(ALL_CRASHED)

    def _model_known(self, rung: Rung) -> None:
        known = rung.known or CRASHED
        if known.reason == Reason.NO_SUCH_ROUTE:  # the server's own health can still be asked for
            self._model = known
            self._descend()
        else:
            self._end(Round(known, known, known))

    def _model_came(self, number: int, came: Answer | WireError) -> None:
        rungs = self._ladder.models
        model = self._read(rungs[number], came, self._began)
        if model is None:
            self._end(None)
        elif len(rungs) == 1:
            self._weigh(model)
        else:
            self._models[number] = model
            if len(self._models) == len(rungs):
                self._weigh(_together(self._models))

    def _weigh(self, model: Finding) -> None:
        """Check a finding before it counts: a yes must come from a server that can say no, and a no to a guess leads to a closer look."""
        ladder = self._ladder
        if model.status is Status.TRUE:
            if ladder.proof is None and not all(rung.proves for rung in ladder.models):
                self._ask_the_impossible(model)
                return
            if ladder.proof is not False:
                ladder.is_well()
                self._settle(model)
                return
            model = _worthless(ladder.hop)
        if any(rung.knows_model for rung in ladder.models):
            ladder.name_is_known()
        if not self._looked and not self._plan.hurried and ladder.wants_look(model, self._prober.clock()):
            self._look_closer(model)
        else:
            self._settle(ladder.tempered(model))

    def _settle(self, model: Finding) -> None:
        ladder = self._ladder
        if model.status is Status.TRUE and not ladder.asked_as_well:
            ladder.explained = ""
            self._end(ladder.well(model))
        elif model.reason in NOTHING_LISTENS or ladder.is_of_no_server(model):
            ladder.explained = ""
            self._end(Round(model, model, model))
        else:
            self._model = model
            if self._descended:
                self._join()
            elif model.status is Status.TRUE or self._is_to_be_explained(model.reason):
                self._descend()
            else:
                self._end(Round(None, None, model))

    def _ask_the_impossible(self, model: Finding) -> None:
        """Ask for a model that can't exist, since a yes proves nothing if the server says yes to that as well."""
        rung = self._ladder.impossible()

        def came(answer: Answer | WireError) -> None:
            found = self._meant(rung, answer)
            if found is None:
                self._end(None)
            elif isinstance(answer, WireError):
                self._settle(Finding(Status.UNKNOWN, found.reason, found.message))
            else:
                self._ladder.proof = found.status is not Status.TRUE
                self._weigh(model)

        if rung.ask is None:
            self._ladder.proof = True
            self._weigh(model)
        else:
            self._prober.metrics.inquired()
            self._under_way.append(self._start(rung.ask, came))

    def _look_closer(self, model: Finding) -> None:
        """Take a closer look at the server, and ask again with what was learned."""
        ladder, prober = self._ladder, self._prober
        for exchange in self._under_way:
            exchange.cancel()
        self._looked = True
        ladder.looker = self
        self._descended = False
        self._live = self._ready = None

        def start(ask: Ask, came: Callable[[Answer | WireError], None]) -> Cancellable:
            prober.metrics.inquired()
            return prober.transport.start(ask, self._plan.timeout, came)

        def done(learned: Learned | None) -> None:
            ladder.looker = None
            if learned is None:
                self._settle(CRASHED)
                return
            ladder.learn(learned, prober.clock())
            prober.say_learned(self._plan, learned)
            self._models.clear()
            self._began = prober.clock()
            self._under_way = self._start_models()

        self._under_way = []
        self._under_way = [Look(ladder.guess(), model, prober.transport.ask, start, self._guarded(done)), *self._under_way]

    def _doubted(self) -> None:
        """Begin to explain a failure when no answer has come for a while."""
        doubt, self._doubt = self._doubt, None
        if doubt:
            if not self._descended and self._is_to_be_explained(Reason.TIMED_OUT):
                self._descend()
            doubt()

    def _is_to_be_explained(self, reason: str) -> bool:
        ladder = self._ladder
        return self._plan.unsure or ladder.explained != reason or self._prober.clock() - ladder.explained_at >= EXPLAIN_EVERY

    def _descend(self) -> None:
        """Ask for the server's liveness and readiness, with one request if both have the same route."""
        self._descended = True
        live, ready = self._ladder.server()
        self._live, self._ready = live.known, ready.known
        began = self._prober.clock()

        def live_came(came: Answer | WireError) -> None:
            self._live = self._read(live, came, began)
            if live.url == ready.url:
                self._ready = _meaning(ready, came)
            self._join() if self._live else self._end(None)

        def ready_came(came: Answer | WireError) -> None:
            self._ready = self._read(ready, came, began)
            self._join() if self._ready else self._end(None)

        if live.ask:
            self._under_way.append(self._start(live.ask, live_came))
        if ready.ask and ready.url != live.url:
            self._under_way.append(self._start(ready.ask, ready_came))

    def _join(self) -> None:
        """End the round once all requests have been answered."""
        model, live, ready = self._model, self._live, self._ready
        if model is None or live is None or ready is None:
            return
        if ready.reason == Reason.NO_SUCH_ROUTE:
            ready = _as_ready_as_live(live)
        self._ladder.explained = "" if model.status is Status.TRUE else model.reason
        self._ladder.explained_at = self._prober.clock()
        if model.status is Status.TRUE and ready.status is not Status.TRUE:
            model = ready
        self._end(Round(live, ready, model))

    def _end(self, found: Round | None) -> None:
        self._is_over = True
        if self._descended:
            self.cancel()
        self._done(found)

    def _read(self, rung: Rung, came: Answer | WireError, began: float) -> Finding | None:
        finding = self._meant(rung, came)
        self._prober.metrics.probe(finding.reason if finding else EXHAUSTED, self._prober.clock() - began)
        return finding

    def _meant(self, rung: Rung, came: Answer | WireError) -> Finding | None:
        if isinstance(came, ExhaustedError):
            self._prober.exhausted(came)
        return _meaning(rung, came)


class _Either:
    """A round of a service that is being changed: where its new pods don't answer, those of before may."""

    __slots__ = ("_done", "_found", "_plan", "_prober", "_under_way")

    def __init__(self, prober: Prober, plan: Plan, done: Done, doubt_after: float, doubt: Callable[[], None] | None) -> None:
        self._prober = prober
        self._plan = plan
        self._done = done
        self._found: Round | None = None
        self._under_way = prober.climb(plan, self._came, doubt_after, doubt)

    def cancel(self) -> None:
        """Give up what is under way."""
        self._under_way.cancel()

    def _came(self, found: Round | None) -> None:
        if found is not None and found.model_ready.status is Status.TRUE:
            self._plan.former = None
        if found is None or self._plan.former is None:
            self._done(found)
            return
        self._found = found
        try:
            self._under_way = self._prober.climb(self._plan.former, self._former_came)
        except Exception:  # as in a climb
            log.exception("probe_crashed", url=self._plan.ladders[0].hop.base_url)
            self._done(found)

    def _former_came(self, former: Round | None) -> None:
        if former is None or former.model_ready.status is not Status.TRUE:
            self._done(self._found)
            return
        said = f"the pods of before the last change still serve: {former.model_ready.message}"
        self._done(replace(former, model_ready=replace(former.model_ready, message=said), by_former=True))


class _Joint:
    """A round of several hops, which ends once each hop's part has ended."""

    __slots__ = ("_climbs", "_clock", "_done", "_found", "_plan")

    def __init__(self, prober: Prober, plan: Plan, done: Done, doubt_after: float, doubt: Callable[[], None] | None) -> None:
        self._plan = plan
        self._clock = prober.clock
        self._done = done
        self._found: dict[int, Round] = {}
        self._climbs = [
            _Climb(prober, plan, ladder, functools.partial(self._hop_done, number), doubt_after, doubt)
            for number, ladder in enumerate(plan.ladders)
        ]

    def cancel(self) -> None:
        """Cancel the requests under way."""
        for climb in self._climbs:
            climb.cancel()

    def _hop_done(self, number: int, found: Round | None) -> None:
        if found is None:
            self.cancel()
            self._done(None)
            return
        self._found[number] = found
        if len(self._found) == len(self._climbs):
            try:
                worst = self._worst()
            except Exception:  # as in a climb
                log.exception("probe_crashed", url=self._plan.ladders[0].hop.base_url)
                worst = ALL_CRASHED
            self._done(worst)

    def _worst(self) -> Round:
        now = self._clock()
        for number, ladder in enumerate(self._plan.ladders):
            found = self._found[number]
            if found.model_ready.status is not Status.TRUE and not ladder.is_starting(now):
                part = ladder.hop.part
                return Round(_naming(found.server_live, part), _naming(found.server_ready, part), _naming(found.model_ready, part))
        return self._found[0]


def _together(found: dict[int, Finding]) -> Finding:
    """The finding that several models agree on, if it is not known which one is the service's; Unknown if they disagree."""
    models = [found[number] for number in sorted(found)]
    worst = next((model for model in models if model.status is not Status.TRUE), None)
    if worst is None:
        return models[0]
    if any(model.status is Status.TRUE for model in models):
        return Finding(Status.UNKNOWN, Reason.MODELS_DISAGREE, f"not all models of the server are ready: {worst.message}")
    return worst


def _worthless(hop: Hop) -> Finding:
    return Finding(
        Status.UNKNOWN,
        Reason.UNEXPECTED_ANSWER,
        f"{hop.base_url} says yes for a model that can't exist as well as for `{hop.model_name}`: its yes means nothing",
    )


def _meaning(rung: Rung, came: Answer | WireError) -> Finding | None:
    try:
        return rung.read(came)
    except Exception:  # a bug must not look like health, or stop the probing of others
        log.exception("probe_crashed", url=rung.url)
        return CRASHED


def _tempered(ladder: Ladder, finding: Finding) -> Finding:
    try:
        return ladder.tempered(finding)
    except Exception:  # as above
        log.exception("probe_crashed", url=ladder.hop.base_url)
        return CRASHED


def _as_ready_as_live(live: Finding) -> Finding:
    """The server's readiness in a protocol without a route for it (V1), which is that of its liveness, since nothing more can be known."""
    if live.status is Status.TRUE:
        return Finding(Status.TRUE, Reason.SERVER_READY, "the server answers; its protocol has no route for more")
    return live


@overload
def _naming(finding: Finding, part: str) -> Finding: ...
@overload
def _naming(finding: None, part: str) -> None: ...
def _naming(finding: Finding | None, part: str) -> Finding | None:
    """The finding with the part of the service named in its message, unless the finding is True."""
    if finding is None or finding.status is Status.TRUE:
        return finding
    return Finding(finding.status, finding.reason, f"{part}: {finding.message}")
