"""The seam between a corpus of other people's InferenceServices and isvcwatch: from raw objects to the verdict on ModelReady.

What a runner of cases must give is a network: `ask(method, url, body=b"") -> (status, headers, body)`, which raises one of the exceptions
below where there is no answer. All else is the operator's own code: parsing, derivation, rounds, discovery and judging.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from isvcwatch.client.protocols import Answer
from isvcwatch.client.transport import Ask, WireError, asks
from isvcwatch.client.transport import errors as wire
from isvcwatch.client.transport.errors import Phase
from isvcwatch.core.derive import derive
from isvcwatch.core.health import Health, Round
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.targets import Skipped, Target
from isvcwatch.kube import parse
from isvcwatch.kube.kinds import CLUSTER_RUNTIMES, RUNTIMES, runtime_of
from isvcwatch.kube.store import Store
from isvcwatch.probing.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Callable

    Network = Callable[..., tuple[int, dict[str, str], bytes]]


structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # the runner prints its own lines


class Refused(Exception):  # noqa: N818 -- the names are the runner's
    """The connection is refused: nothing listens there."""


class TimedOut(Exception):  # noqa: N818
    """No answer within the timeout."""


class NoSuchName(Exception):  # noqa: N818
    """The host's name does not exist."""


class NotHTTP(Exception):  # noqa: N818
    """What came back is not HTTP."""


class TLSFailed(Exception):  # noqa: N818
    """The handshake failed."""


@dataclass
class Verdict:
    """What isvcwatch makes of a service.

    Attributes:
        skipped: it is left alone: nothing is asked, nothing is written.
        status: what ModelReady becomes: "True", "False" or "Unknown"; None where it is skipped.
        reason, message: the condition's.
        asked: (method, url) of every request, in order.
    """

    skipped: bool
    status: str | None
    reason: str
    message: str
    asked: list[tuple[str, str]] = field(default_factory=list)


async def judge(isvc: dict[str, Any], runtimes: list[dict[str, Any]], ask: Network) -> Verdict:
    """The verdict after as many rounds as the default policy wants."""
    store = Store(lambda _: None)
    for number, runtime in enumerate(runtimes):
        metadata = runtime["metadata"]
        store.put(RUNTIMES if metadata.get("namespace") else CLUSTER_RUNTIMES, {**runtime, "metadata": {"uid": str(number), **metadata}})
    service = parse.inference_service(isvc)
    outcome = derive(service, runtime_of(store, service), ProbePolicy()).outcome
    if not isinstance(outcome, Target):
        skipped = isinstance(outcome, Skipped)
        return Verdict(skipped, None if skipped else "Unknown", str(outcome.reason), outcome.message)
    network = TheirNetwork(ask)
    prober, health = Prober(network, Uncounted()), Health()
    plan = prober.plan(outcome)
    for _ in range(max(outcome.policy.failure_threshold, outcome.policy.success_threshold)):
        ended: asyncio.Future[Round | None] = asyncio.get_running_loop().create_future()
        prober.start(plan, ended.set_result)
        found = await ended
        assert found is not None
        health = health.observe(found, outcome.policy)
    verdict = health.model_ready.verdict
    assert verdict is not None
    return Verdict(False, str(verdict.status.value), str(verdict.reason), verdict.message, network.asked)


class Uncounted:
    """Metrics of nobody."""

    def probe(self, outcome: str, seconds: float) -> None:
        """Not counted."""

    def inquired(self) -> None:
        """Not counted."""

    def looked(self, result: str) -> None:
        """Not counted."""


class TheirNetwork:
    """The prober's transport over a runner's network; as the real one, it refuses hosts that are not the service's own."""

    def __init__(self, ask: Network) -> None:
        self._ask = ask
        self.asked: list[tuple[str, str]] = []

    def ask(
        self,
        url: str,
        *,
        own_host: bool,
        method: str = "GET",
        body: bytes = b"",
        verified: bool = True,
        at: tuple[str, int] | None = None,
        routed: bool = False,
    ) -> Ask:
        del verified, at, routed
        return asks.get(url, None, asks.Endpoints(), own_host=own_host, method=method, body=body)

    def start(self, ask: Ask, timeout: float, done: Callable[[Answer | WireError], None], **_: object) -> asyncio.Handle:
        del timeout
        return asyncio.get_running_loop().call_soon(lambda: done(self._outcome(ask)))

    def _outcome(self, ask: Ask) -> Answer | WireError:
        self.asked.append((ask.method, ask.url))
        if not ask.endpoint.own_host:
            return wire.RefusedAddressError("the host is not a Service of the service's own namespace", Phase.NAME)
        try:
            status, headers, body = self._ask(ask.method, ask.url, ask.payload.partition(b"\r\n\r\n")[2])
        except Exception as error:
            for kind, becomes in _ERRORS.items():
                if isinstance(error, kind):
                    return becomes(str(error), Phase.ANSWER)
            raise
        return Answer(status, body, headers)


_ERRORS: dict[type[Exception], type[WireError]] = {
    Refused: wire.RefusedError,
    TimedOut: wire.TimedOutError,
    NoSuchName: wire.NameNotFoundError,
    NotHTTP: wire.InvalidAnswerError,
    TLSFailed: wire.TLSError,
}
