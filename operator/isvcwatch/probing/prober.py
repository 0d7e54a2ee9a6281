"""One round: asks a target's servers, and descends the ladder only to explain a failure. Callbacks, no task: most are one request."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from typing import TYPE_CHECKING, Final, Protocol, overload

import structlog

from isvcwatch.client.transport import ExhaustedError
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.reasons import Reason
from isvcwatch.probing.failures import CRASHED, NOTHING_LISTENS
from isvcwatch.probing.rungs import WELL, Asker, Ladder

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.client.protocols import Answer
    from isvcwatch.client.transport import Ask, WireError
    from isvcwatch.core.targets import Component, Target
    from isvcwatch.probing.rungs import Rung

    Done = Callable[[Round | None], None]
    """Called once with what a round found; None where the watcher itself could not ask, which says nothing about the target."""

log = structlog.get_logger(__name__)

EXHAUSTED: Final = "Exhausted"
"""Outcome of a request that the watcher had no file descriptor or port for: told by metrics and the log, of no target."""

EXHAUSTED_SAID_EVERY: Final = 60.0
"""Seconds between two lines of the log about it."""

EXPLAIN_EVERY: Final = 30.0
"""Seconds after which a failure that lasts is explained anew: the server's own health, between two turns of its model's."""

ALL_WELL: Final = Round(
    Finding(Status.TRUE, Reason.SERVER_LIVE, "the server answers"),
    Finding(Status.TRUE, Reason.SERVER_READY, "the server serves its model"),
    WELL[Reason.MODEL_READY],
)
"""A model that answers ready has proved its server live and ready."""


class Cancellable(Protocol):
    """What is under way and can be given up."""

    def cancel(self) -> None:
        """Give it up; nobody is called back."""


class Transport(Asker, Protocol):
    """How a request is made: `client.transport.Transport`."""

    def start(
        self,
        ask: Ask,
        timeout: float,
        done: Callable[[Answer | WireError], None],
        *,
        doubt_after: float = math.inf,
        doubt: Callable[[], None] | None = None,
    ) -> Cancellable:
        """Send it. `done` is called once, later; `doubt` before it, if nothing has come back after `doubt_after` seconds."""


class Metrics(Protocol):
    """Who counts."""

    def probe(self, outcome: str, seconds: float) -> None:
        """A request ended with this reason after so long."""


class Plan:
    """A target's servers, made ready to be asked; lasts as long as the target is as it is.

    Attributes:
        ladders: one a hop, entry first.
        timeout: seconds for each request.
        host: what the entry's connections have in common, to bound those at one address.
        unsure: whether a failure is to be explained in any case, since a verdict is being confirmed.
    """

    __slots__ = ("host", "ladders", "timeout", "unsure")

    def __init__(self, asker: Asker, target: Target) -> None:
        self.ladders = tuple(Ladder(asker, hop) for hop in target.hops)
        self.timeout = target.policy.timeout
        ask = self.ladders[0].model.ask
        self.host = ask.endpoint if ask is not None else None
        self.unsure = True


class Prober:
    """Asks by each hop's protocol; what an answer means is the protocol's to say."""

    def __init__(self, transport: Transport, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.transport = transport
        self.metrics = metrics
        self.clock = clock
        self._exhausted_said = -math.inf

    def plan(self, target: Target) -> Plan:
        """A target made ready."""
        return Plan(self.transport, target)

    def start(self, plan: Plan, done: Done, *, doubt_after: float = math.inf, doubt: Callable[[], None] | None = None) -> Cancellable:
        """Start a round: all hops are asked at once, all must answer; the first that doesn't, entry first, explains the failure.

        Args:
            plan: the target.
            done: called once, never from inside this call, and not after the round was cancelled.
            doubt_after: seconds without an answer after which a failure begins to be explained, and `doubt` is called.
            doubt: called at most once a hop.
        """
        if len(plan.ladders) == 1:
            return _Climb(self, plan, plan.ladders[0], done, doubt_after, doubt)
        return _Joint(self, plan, done, doubt_after, doubt)

    def exhausted(self, error: ExhaustedError) -> None:
        """The watcher itself can't ask: say so, once in a while."""
        if self.clock() - self._exhausted_said >= EXHAUSTED_SAID_EVERY:
            self._exhausted_said = self.clock()
            log.error("out_of_resources", why=str(error), so="rounds are left out, and no verdict comes from them")


class _Climb:
    """One hop's part in one round."""

    __slots__ = (
        "_began",
        "_descended",
        "_done",
        "_doubt",
        "_doubt_after",
        "_ladder",
        "_live",
        "_model",
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
        self._model: Finding | None = None
        self._live: Finding | None = None
        self._ready: Finding | None = None
        self._began = prober.clock()
        self._under_way = [self._start_model()]

    def cancel(self) -> None:
        """Give up what is under way."""
        for exchange in self._under_way:
            exchange.cancel()

    def _start_model(self) -> Cancellable:
        rung = self._ladder.model
        if rung.ask is None:
            return asyncio.get_running_loop().call_soon(self._model_known)
        return self._start(rung.ask, self._model_came)

    def _start(self, ask: Ask, came: Callable[[Answer | WireError], None]) -> Cancellable:
        doubt = self._doubted if self._doubt else None
        return self._prober.transport.start(ask, self._plan.timeout, came, doubt_after=self._doubt_after, doubt=doubt)

    def _model_known(self) -> None:
        known = self._ladder.model.known or CRASHED
        self._end(Round(known, known, known))

    def _model_came(self, came: Answer | WireError) -> None:
        model = self._read(self._ladder.model, came, self._began)
        if model is None:
            self._end(None)
        elif model.status is Status.TRUE and not self._ladder.asked_as_well:
            self._ladder.explained = ""
            self._end(ALL_WELL)
        elif model.reason in NOTHING_LISTENS:
            self._ladder.explained = ""
            self._end(Round(model, model, model))
        else:
            self._model = model
            if self._descended:
                self._join()
            elif model.status is Status.TRUE or self._is_to_be_explained(model.reason):
                self._descend()
            else:
                self._end(Round(None, None, model))

    def _doubted(self) -> None:
        """Nothing has come back for a while: begin to explain what will most likely be a failure."""
        doubt, self._doubt = self._doubt, None
        if doubt:
            if not self._descended and self._is_to_be_explained(Reason.TIMED_OUT):
                self._descend()
            doubt()

    def _is_to_be_explained(self, reason: str) -> bool:
        ladder = self._ladder
        return self._plan.unsure or ladder.explained != reason or self._prober.clock() - ladder.explained_at >= EXPLAIN_EVERY

    def _descend(self) -> None:
        """Ask for the server's own health; where one route tells both, once."""
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
        """End the round once all that was asked has been answered."""
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
        if self._descended:
            self.cancel()
        self._done(found)

    def _read(self, rung: Rung, came: Answer | WireError, began: float) -> Finding | None:
        finding = _meaning(rung, came)
        if isinstance(came, ExhaustedError):
            self._prober.exhausted(came)
        self._prober.metrics.probe(finding.reason if finding else EXHAUSTED, self._prober.clock() - began)
        return finding


class _Joint:
    """A round of several hops: it ends once each has."""

    __slots__ = ("_climbs", "_done", "_found", "_plan")

    def __init__(self, prober: Prober, plan: Plan, done: Done, doubt_after: float, doubt: Callable[[], None] | None) -> None:
        self._plan = plan
        self._done = done
        self._found: dict[int, Round] = {}
        self._climbs = [
            _Climb(prober, plan, ladder, functools.partial(self._hop_done, number), doubt_after, doubt)
            for number, ladder in enumerate(plan.ladders)
        ]

    def cancel(self) -> None:
        """Give up what is under way."""
        for climb in self._climbs:
            climb.cancel()

    def _hop_done(self, number: int, found: Round | None) -> None:
        if found is None:
            self.cancel()
            self._done(None)
            return
        self._found[number] = found
        if len(self._found) == len(self._climbs):
            self._done(self._worst())

    def _worst(self) -> Round:
        for number, ladder in enumerate(self._plan.ladders):
            found = self._found[number]
            if found.model_ready.status is not Status.TRUE:
                component = ladder.hop.component
                return Round(
                    _naming(found.server_live, component), _naming(found.server_ready, component), _naming(found.model_ready, component)
                )
        return self._found[0]


def _meaning(rung: Rung, came: Answer | WireError) -> Finding | None:
    try:
        return rung.read(came)
    except Exception:  # a bug must not look like health, nor end the others' probing
        log.exception("probe_crashed", url=rung.url)
        return CRASHED


def _as_ready_as_live(live: Finding) -> Finding:
    """The server's readiness in a protocol that has no route for it (V1): a server that answers is all that can be known to be ready."""
    if live.status is Status.TRUE:
        return Finding(Status.TRUE, Reason.SERVER_READY, "the server answers; its protocol has no route for more")
    return live


@overload
def _naming(finding: Finding, component: Component) -> Finding: ...
@overload
def _naming(finding: None, component: Component) -> None: ...
def _naming(finding: Finding | None, component: Component) -> Finding | None:
    """The finding, naming which part of the service it is about, unless all is well."""
    if finding is None or finding.status is Status.TRUE:
        return finding
    return Finding(finding.status, finding.reason, f"{component}: {finding.message}")
