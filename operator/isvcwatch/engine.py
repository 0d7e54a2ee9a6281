"""Joins the probing side: transport, scheduler, prober, fleet, metrics. It knows no API server; its caller feeds it what happens."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from isvcwatch.client.transport import Transport
from isvcwatch.client.transport.transport import MAX_AGE
from isvcwatch.core.gate import SHARE, Gate
from isvcwatch.core.step import RoundEnded, Rules, Surveyed
from isvcwatch.fleet import Fleet
from isvcwatch.probing.garbage import Garbage
from isvcwatch.probing.prober import Prober
from isvcwatch.probing.scheduler import Scheduler
from isvcwatch.probing.surveyor import PERIOD, Surveyor
from isvcwatch.telemetry.edges import log_edge
from isvcwatch.telemetry.metrics import EngineNumbers, Metrics, ModelSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from isvcwatch.core.edges import Edge
    from isvcwatch.core.health import Finding, Health, Round
    from isvcwatch.core.policy import ProbePolicy
    from isvcwatch.core.targets import Target
    from isvcwatch.probing.addresses import AddressPolicy


LOOKUP_SHARE: Final = 0.5
"""The part of a probe's time that the lookup of its name may take: a resolver that is slow is none of the model's doing."""

DOUBT: Final = 1.0
"""Seconds between two looks at whether the fleet is well again."""


class Engine:
    """Probes the services that it is told of, and asks for a write where an object's conditions differ from the verdicts.

    Made inside the event loop that it runs on.

    Args:
        policy: how services are probed that don't say otherwise.
        addresses: which addresses may be connected to.
        say: takes the UID of each service whose object does not show the current verdicts.
        trust: makes a context that checks servers' certificates.
        max_age: seconds after which a kept connection is renewed.
        omit_unknown: leave Unknown off the objects.
        doubt_share: part of the fleet that must fall silent at once for the watcher to doubt its own network.
        check_network: has the watcher check its own network.
        subscribers: take every edge, beside the log and the metrics.
        clock: the time of day.
        survey_period: seconds between two surveys of a service's replicas.

    Attributes:
        fleet: holds every service's state, takes what happens to it, and knows what to write about it.
        scheduler: starts each target's rounds when they are due.
        metrics: counts and measures what the engine does.
    """

    def __init__(
        self,
        policy: ProbePolicy,
        addresses: AddressPolicy,
        say: Callable[[str], None],
        *,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        max_age: float = MAX_AGE,
        omit_unknown: bool = False,
        doubt_share: float = SHARE,
        check_network: Callable[[], None] = lambda: None,
        subscribers: Sequence[Callable[[Edge], None]] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        survey_period: float = PERIOD,
    ) -> None:
        self._transport = Transport(
            guard=addresses.objection,
            host_guard=addresses.host_objection,
            leads_away=addresses.leads_away,
            tls=trust(),
            max_age=max_age,
            resets=True,
            lookup_share=LOOKUP_SHARE,
        )
        self.metrics = Metrics(self._samples, self._counts, self._numbers)
        prober = Prober(self._transport, self.metrics)
        self.scheduler = Scheduler(prober, self._judge, self.metrics)
        self._surveyor = Surveyor(prober, self.scheduler.plan, self._judge_replicas, self.scheduler.lateness, survey_period)
        self.fleet = Fleet(
            Rules(policy, omit_unknown),
            self.scheduler,
            say,
            clock,
            (log_edge, self.metrics.edge, *subscribers),
            check_network=check_network,
            gate=Gate(doubt_share),
            surveys=self._surveyor,
        )
        self._garbage = Garbage(lambda: self.scheduler.in_flight)

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.scheduler.run(), name="scheduler")
            group.create_task(self._garbage.run(), name="garbage")
            group.create_task(self._doubt(), name="doubt")

    async def _doubt(self) -> None:
        while True:
            await asyncio.sleep(DOUBT)
            self.fleet.reconsider()

    async def aclose(self) -> None:
        """Close the connections; after `run` has ended."""
        self._surveyor.close()
        await self._transport.aclose()

    def _judge(self, target: Target, found: Round, fresh: bool) -> Health | None:
        self.fleet.feed(target.uid, RoundEnded(target, found, fresh=fresh))
        return self.fleet.health(target)

    def _judge_replicas(self, target: Target, found: Mapping[str, Finding]) -> None:
        self.fleet.feed(target.uid, Surveyed(target, found))

    def _counts(self) -> Mapping[str, int]:
        return self.fleet.counts()

    def _samples(self) -> Iterable[ModelSample]:
        for state in tuple(self.fleet):  # services come and go while a scrape is made in portions
            if verdict := state.model_ready:
                rounds, failed = self.scheduler.rounds(state.isvc.uid)
                yield ModelSample(state.isvc.namespace, state.isvc.name, verdict.status, verdict.reason, rounds, failed)

    def _numbers(self) -> EngineNumbers:
        return EngineNumbers(
            in_flight=self.scheduler.in_flight,
            waiting=self.scheduler.waiting,
            connections=self._transport.open,
            opened=self._transport.opened_total,
            reused=self._transport.reused_total,
            stalls=self.scheduler.lateness.stalls,
            stalled=self.scheduler.lateness.stalled,
            collections=self._garbage.collections,
            collecting=self._garbage.seconds,
            impaired=self.fleet.impaired,
            cut=tuple(self.fleet.cut()),
            oldest=self.scheduler.oldest,
        )
