"""Our engine, whole: it derives, schedules, asks, decides and counts. In place of the cluster stands what echoes each write at once.

Settings: `{"models": [...], "period": 10, "certificate": "", "max_age": null, "endpoints": false}`; whatever is not given is as by default.
With `endpoints`, each model has a Service of its own, whose endpoint is said to be no longer ready `NOTICED` seconds after it was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import time
from array import array
from dataclasses import asdict, replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench.lines import answer, say, settings
from bench.subjects.asking import percentile, process_mark
from isvcwatch import process
from isvcwatch.client.transport.names import Found
from isvcwatch.client.transport.transport import MAX_AGE
from isvcwatch.core.backing import Backing
from isvcwatch.core.conditions import ConditionType, Status
from isvcwatch.core.objects import ComponentSpec, DeploymentMode, InferenceService, Replica
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.reasons import Reason
from isvcwatch.core.step import Gone, Seen, Told
from isvcwatch.engine import Engine
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.telemetry import logs

if TYPE_CHECKING:
    from isvcwatch.core.decide import Decision
    from isvcwatch.telemetry.metrics import Metrics

LOOPBACK = ip_network("127.0.0.0/8")

NOTICED = 1.5
"""Seconds from a container's end until its endpoint is said not to be ready: the kubelet looks each second, and two writes follow."""

DOMAIN = ".bench.svc.cluster.local"


def service(model: dict[str, Any]) -> InferenceService:
    """The InferenceService whose model it is."""
    return InferenceService(
        uid=model["uid"],
        namespace="bench",
        name=model["name"] + "-" + model["uid"][:8],
        resource_version="1",
        annotations={"isvcwatch.dev/model-name": model["name"]},
        address_url=model["base_url"],
        predictor=ComponentSpec(protocol_version="v2"),
        has_status=True,
    )


def with_endpoint(model: dict[str, Any]) -> Seen:
    """The sight of the service, with an address that names its Service, and with the endpoint behind that."""
    parts = urlsplit(model["base_url"])
    name = f"at-{(parts.hostname or '').replace('.', '-')}"
    isvc = replace(service(model), address_url=f"http://{name}{DOMAIN}:{parts.port}", mode=DeploymentMode.STANDARD)
    return Seen(isvc, None, (Backing(name, (Replica(parts.hostname or "", "pod", "node"),)),))


def look_up(host: str) -> Found:
    """The address that a Service's name holds."""
    return Found((host.removesuffix(DOMAIN).removeprefix("at-").replace("-", "."),))


class Echo:
    """Stands for the API server: what is to be written is on the object at once, and heard of as changed.

    Attributes:
        engine: whose writes they are; set once it is made.
        first_verdicts: services that have a verdict.
        complete: when the last of them got its first, by the machine's monotonic clock; None before.
        behind: what stands behind each service, by its UID, where that is known.
        falls: when a service was first said to be not ready after it was, by its UID, on the same clock.
    """

    engine: Engine

    def __init__(self, services: int) -> None:
        self._services = services
        self.first_verdicts: set[str] = set()
        self.complete: float | None = None
        self.behind: dict[str, tuple[Backing, ...]] = {}
        self.falls: dict[str, float] = {}

    def forget(self, uid: str) -> None:
        """The service is gone."""
        self.first_verdicts.discard(uid)
        self.falls.pop(uid, None)

    def request_write(self, uid: str) -> None:
        """A write is asked for."""
        asyncio.get_running_loop().call_soon(self._write, uid, time.monotonic())

    def _write(self, uid: str, asked: float) -> None:
        plan = self.engine.fleet.plan(uid)
        if plan is None:
            return
        isvc, decision = plan
        self._note(uid, decision, asked)
        said = {c.type: c for c in (*(isvc.conditions or ()), *decision.conditions) if c is not None}
        version = str(int(isvc.resource_version) + 1)
        self.engine.fleet.feed(uid, Told(decision))
        after = replace(isvc, conditions=tuple(said.values()), resource_version=version)
        self.engine.fleet.feed(uid, Seen(after, None, self.behind.get(uid, ())))

    def see(self, seen: Seen) -> None:
        """A service is seen with what stands behind it."""
        self.behind[seen.isvc.uid] = seen.behind
        self.engine.fleet.feed(seen.isvc.uid, seen)

    def lose(self, uid: str) -> None:
        """The endpoints of a service are no longer ready."""
        state = next(state for state in self.engine.fleet if state.isvc.uid == uid)
        lost = tuple(Backing(b.service, tuple(replace(e, ready=False, serving=False) for e in b.endpoints)) for b in state.behind)
        self.see(Seen(state.isvc, None, lost))

    def _note(self, uid: str, decision: Decision, asked: float) -> None:
        model = next((c for c in decision.conditions if c.type == ConditionType.MODEL_READY), None)
        if model is None:
            return
        if uid in self.first_verdicts and model.status != Status.TRUE:
            self.falls.setdefault(uid, asked)
        self.first_verdicts.add(uid)
        if self.complete is None and len(self.first_verdicts) == self._services:
            self.complete = asked


class Counting:
    """Looks over the shoulder of the engine's metrics: exact figures in place of buckets, in seconds."""

    def __init__(self, metrics: Metrics) -> None:
        self.answered = 0
        self.failed = 0
        self.lateness: array[float] = array("d")
        self.latency: array[float] = array("d")
        self.discarded_rounds = 0
        self._started, self._probe, self._discarded = metrics.started, metrics.probe, metrics.discarded
        metrics.started = self.started
        metrics.discarded = self.discarded
        metrics.probe = self.probe  # type: ignore[method-assign]

    def started(self, seconds: float) -> None:
        behind = time.monotonic() - asyncio.get_running_loop().time()  # uvloop's clock has whole ms, and stands still in a turn
        self.lateness.append(seconds + behind)
        self._started(seconds)

    def probe(self, outcome: str, seconds: float) -> None:
        if outcome == Reason.MODEL_READY:
            self.answered += 1
            self.latency.append(seconds)
        else:
            self.failed += 1
        self._probe(outcome, seconds)

    def discarded(self, word: str) -> None:
        self.discarded_rounds += 1
        self._discarded(word)

    def mark(self) -> dict[str, Any]:
        """So far; of lateness and latency, since the last mark."""
        late, self.lateness = self.lateness, array("d")
        took, self.latency = self.latency, array("d")
        return {
            "answered": self.answered,
            "failed": self.failed,
            "discarded": self.discarded_rounds,
            "lateness_p99": percentile(late, 0.99),
            "latency_p99": percentile(took, 0.99),
        }


async def main() -> None:
    given = settings()

    def trust() -> ssl.SSLContext:
        tls = ssl.create_default_context(cafile=given.get("certificate"))
        tls.check_hostname = False  # one certificate for thousands of addresses; its chain is checked all the same
        return tls

    policy = ProbePolicy(**{name: given[name] for name in ("period", "timeout") if name in given})
    echo = Echo(len(given["models"]))
    echo.engine = engine = Engine(
        policy, AddressPolicy((LOOPBACK,)), echo.request_write, trust=trust, max_age=given.get("max_age", MAX_AGE)
    )
    counting = Counting(engine.metrics)
    began = time.monotonic()
    if given.get("endpoints"):
        engine._transport._names._lookup = look_up  # noqa: SLF001 -- in place of a cluster's DNS
    for model in given["models"]:
        echo.see(with_endpoint(model) if given.get("endpoints") else Seen(service(model)))
    running = asyncio.ensure_future(engine.run())

    async def do(asked: dict[str, Any]) -> dict[str, Any]:
        for uid in asked.get("remove", ()):
            engine.fleet.feed(uid, Gone())
            echo.forget(uid)
        for model in asked.get("set", ()):
            engine.fleet.feed(model["uid"], Seen(service(model)))
        for uid in asked.get("killed", ()):
            asyncio.get_running_loop().call_later(NOTICED, echo.lose, uid)
        if running.done():
            running.result()
        if asked["do"] == "count":  # quick enough to be asked all the time, while a mark looks through all open files
            return counting.mark()
        first = echo.complete - began if echo.complete else None
        state = {"tasks": len(asyncio.all_tasks()), "blocks": sys.getallocatedblocks(), "first_verdict": first} | asdict(engine._numbers())  # noqa: SLF001 (a scrape would cost more than the rest)
        return process_mark() | counting.mark() | state | ({"falls": echo.falls} if asked.get("falls") else {})

    say({"asking": len(given["models"])})
    await answer(do)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await engine.aclose()


if __name__ == "__main__":
    # As `isvcwatch run` does.
    logs.configure("json", "info")
    process.raise_file_limit()
    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        runner.run(main())
