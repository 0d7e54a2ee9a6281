"""One round: asks a target's servers, and descends the ladder only to explain a failure."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from isvcwatch.client.protocols import Question, Reading, Verdict, named
from isvcwatch.client.protocols import reasons as words
from isvcwatch.client.protocols.urls import join_url, parse_base_url
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.reasons import MEANINGS, Reason
from isvcwatch.probing.failures import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.client.protocols import Answer
    from isvcwatch.core.targets import Hop, Target

log = structlog.get_logger(__name__)

DOWN: Final = frozenset({words.SERVER_ERROR})
"""Readings that are no answer about readiness, yet tell that the model does not answer: a client gets an error too."""

ASKED_AS_WELL: Final = frozenset({"vllm"})
"""Protocols whose list of models stays as it is when the engine has died: a listed model proves nothing without its server's health."""

PROVEN_LIVE: Final = Finding(Status.TRUE, Reason.SERVER_LIVE, "the server answers")
PROVEN_READY: Final = Finding(Status.TRUE, Reason.SERVER_READY, "the server serves its model")


class Transport(Protocol):
    """How a request is made."""

    async def get(self, url: str, timeout: float, *, own_host: bool) -> Answer:  # noqa: ASYNC109
        """The answer of a URL; raises ProbeError where there is none."""
        ...


class Metrics(Protocol):
    """Who counts."""

    def probe(self, outcome: str, seconds: float) -> None:
        """A request ended with this reason after so long."""


class Prober:
    """Asks by each hop's protocol; what an answer means is the protocol's to say."""

    def __init__(self, transport: Transport, metrics: Metrics | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._metrics = metrics
        self._clock = clock

    async def round(self, target: Target) -> Round:
        """Ask every hop. All must answer; the first that doesn't, entry first, explains the failure."""
        rounds = await asyncio.gather(*(self._hop(hop, target.policy.timeout) for hop in target.hops))
        worst = next((found for found in rounds if found.model_ready.status is not Status.TRUE), rounds[0])
        if len(target.hops) == 1:
            return worst
        component = target.hops[rounds.index(worst)].component
        return Round(*(_naming(finding, component) for finding in (worst.server_live, worst.server_ready, worst.model_ready)))

    async def ask(self, hop: Hop, question: Question, timeout: float) -> Finding:  # noqa: ASYNC109
        """One question to one server."""
        began = self._clock()
        finding = await self._ask(hop, question, timeout)
        if self._metrics:
            self._metrics.probe(finding.reason, self._clock() - began)
        return finding

    async def _hop(self, hop: Hop, timeout: float) -> Round:  # noqa: ASYNC109
        """A healthy model costs one request: one that answers ready has proved its server live and ready."""
        model = await self.ask(hop, Question.MODEL_READY, timeout)
        if model.status is Status.TRUE and hop.protocol not in ASKED_AS_WELL:
            return Round(PROVEN_LIVE, PROVEN_READY, model)
        if model.reason in NOTHING_LISTENS:
            return Round(model, model, model)
        live, ready = await asyncio.gather(
            self.ask(hop, Question.SERVER_LIVE, timeout),
            self.ask(hop, Question.SERVER_READY, timeout),
        )
        if ready.reason == Reason.NO_SUCH_ROUTE:
            ready = _as_ready_as_live(live)
        if model.status is Status.TRUE and ready.status is not Status.TRUE:
            model = ready
        return Round(live, ready, model)

    async def _ask(self, hop: Hop, question: Question, timeout: float) -> Finding:  # noqa: ASYNC109
        protocol = named(hop.protocol)
        route = protocol.path(question, hop.model_name)
        if route is None:
            return Finding(Status.UNKNOWN, Reason.NO_SUCH_ROUTE, f"the {hop.protocol} protocol has no route that tells")
        url = join_url(parse_base_url(hop.base_url), route)
        try:
            answer = await self._transport.get(url, timeout, own_host=hop.own_host)
        except ProbeError as error:
            return error.finding()
        return _finding(protocol.read(question, answer, hop.model_name), url, answer.status)


NOTHING_LISTENS: Final = frozenset(
    {Reason.CONNECTION_REFUSED, Reason.UNREACHABLE, Reason.NAME_NOT_FOUND, Reason.RESOLVER_FAILED, Reason.TARGET_REFUSED, Reason.TLS_FAILED}
)
"""Failures below HTTP: another route of the same server would say the same."""


def _finding(reading: Reading, url: str, status: int) -> Finding:
    """A reading as a finding: whatever is not an answer is Unknown, but for errors that clients would get as well."""
    if reading.verdict is Verdict.YES:
        return Finding(Status.TRUE, reading.reason, MEANINGS[Reason(reading.reason)])
    no = reading.verdict is Verdict.NO or reading.reason in DOWN
    said = f": {reading.detail}" if reading.detail else ""
    return Finding(Status.FALSE if no else Status.UNKNOWN, reading.reason, f"{url} answered {status}{said}")


def _as_ready_as_live(live: Finding) -> Finding:
    """The server's readiness in a protocol that has no route for it (V1): a server that answers is all that can be known to be ready."""
    if live.status is Status.TRUE:
        return Finding(Status.TRUE, Reason.SERVER_READY, "the server answers; its protocol has no route for more")
    return live


def _naming(finding: Finding, component: str) -> Finding:
    """The finding, naming which part of the service it is about, unless all is well."""
    if finding.status is Status.TRUE:
        return finding
    return Finding(finding.status, finding.reason, f"{component}: {finding.message}")
