"""The whole operator on a real API server: its start, its memory, its CPU, its writes."""

from __future__ import annotations

import math
import statistics
import time
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bench.exposition import most, quantile
from bench.fleet.server import Kind
from bench.report import goal
from bench.run import say
from bench.services import NAMESPACES, OURS, create, services
from bench.subjects.asking import percentile
from bench.subjects.operator import Operator, ground
from rig.account import ACCOUNT
from rig.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.run import Run
    from bench.services import Service
    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane

PERIOD: Final = ("--period", "10")
STARTING: Final = 300.0  # seconds

WARM: Final = 40.0
"""Seconds from its start until the operator is as it will be: all are listed twice and asked, and its collector has made its first pass."""

RESYNC: Final = 20.0
"""Seconds between two complete lists, of which the default is 60: a short window then has some."""

LISTS: Final = 4
"""Complete lists, about, in the window in which lateness is measured."""

AFTER_A_LIST: Final = 0.5
"""Seconds after the API server was asked for a page in which what the operator does may be due to it."""

# What `StatusWriter` allows itself, and what `ProbePolicy` needs to be sure.
WRITES: Final = 20.0
BURST: Final = 100
DETECTION: Final = 15.0
SPARE: Final = 5.0
LOOK: Final = 0.5  # seconds between two looks at what the API server says
PATIENCE: Final = 30.0
"""Seconds beyond the goal after which what has not been written is lost."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the operator is measured: an API server with all services, healthy and known to be so."""

    plane: ControlPlane
    cluster: Cluster
    config: Path
    directory: Path
    services: list[Service]

    @property
    def size(self) -> str:
        return f"{len(self.services):,} services"

    def start(self, *flags: str) -> Operator:
        return Operator(self.config, self.directory, *flags)


def operator(run: Run) -> None:
    """All figures of the whole operator."""
    with _stage(run) as stage:
        _listing(run, stage)
        _lateness(run, stage)
        with stage.start(*PERIOD) as subject:
            subject.wait_listed(len(stage.services), STARTING)
            _first_verdict(run, stage, subject)
            _quiet(run, stage, subject)
            _flip(run, stage, subject)


@contextmanager
def _stage(run: Run) -> Iterator[Stage]:
    """An API server with all services as they are after a restart of the operator: with its own conditions, all True."""
    with ground(*NAMESPACES) as on:
        wanted = services(run.fleet.models(run.pace.services))
        stage = Stage(on.plane, on.cluster, on.config, on.directory, wanted)
        ours = _said_by_itself(stage)
        say(f"creating {stage.size}")
        began = time.monotonic()
        create(on.plane.kubeconfig, wanted[1:], ours)
        say(f"created ({time.monotonic() - began:.0f} s)")
        yield stage


def _said_by_itself(stage: Stage) -> list[dict[str, str]]:
    """The conditions that an operator writes about a healthy service: it is let write one."""
    first = stage.services[0]
    create(stage.plane.kubeconfig, [first])

    def said() -> dict[str, dict[str, str]]:
        return stage.cluster.conditions(first.namespace, first.name)

    with stage.start("--period", "1"):
        wait_until(lambda: all(said().get(kind, {}).get("status") == "True" for kind in OURS), STARTING, "the first service's verdict")
    conditions = said()
    return [conditions[kind] for kind in OURS]


def _listing(run: Run, stage: Stage) -> None:
    """`operator_listed`."""
    say("the whole operator: its start")
    with stage.start("--period", "60") as subject:
        seconds = subject.wait_listed(len(stage.services), STARTING)
        how = f"60 s period; {subject.cpu:.1f} s of CPU until then, {subject.memory('VmHWM'):.0f} MiB at most"
        run.add(goal("operator_listed", stage.size, seconds, "s", 20.0, how))


def _lateness(run: Run, stage: Stage) -> None:
    """`operator_lateness_p99` and `operator_resync_delay`, while complete lists come thrice as often as by default."""
    name = "isvcwatch_probe_start_lateness_seconds"
    with stage.start(*PERIOD, "--resync", f"{RESYNC:g}") as subject:
        subject.wait_listed(len(stage.services), STARTING)
        time.sleep(max(0.0, WARM - subject.age))
        before, since = subject.metrics(), datetime.now(UTC)
        time.sleep(1.0)  # what that scrape held up is made up for
        say("the whole operator: complete lists")
        with subject.watched_closely() as looks:
            time.sleep(LISTS * RESYNC if not run.pace.quick else RESYNC * 1.5)
        after = subject.metrics()
    lists = after.total("isvcwatch_resyncs_total") - before.total("isvcwatch_resyncs_total")
    old, new = before.buckets(name), after.buckets(name)
    stalls, stalled = (after.total(it) - before.total(it) for it in ("isvcwatch_stalls_total", "isvcwatch_stalled_seconds_total"))
    how = f"10 s period, {lists:.0f} complete lists in {looks[-1][0] - looks[0][0]:.0f} s; none later than {most(old, new) * 1000:g} ms"
    run.add(goal("operator_lateness_p99", stage.size, quantile(old, new, 0.99) * 1000, "ms", 50.0, how))
    asked = [e.time.timestamp() for e in stage.plane.audit(since, ACCOUNT) if e.verb == "list" and e.resource == "inferenceservices"]
    during: list[float] = []
    others: list[float] = []
    for at, took in looks:
        (during if any(page <= at + took and at <= page + AFTER_A_LIST for page in asked) else others).append(took)
    how = (
        f"longest answer of /livez, asked each 20 ms, during a list of {len(asked) / max(lists, 1.0):.0f} pages "
        f"({_p99(during):.0f} ms at p99); {max(others) * 1000:.0f} ms else; {stalls:.0f} stalls of {stalled:.2f} s in all, also by a scrape"
    )
    run.add(goal("operator_resync_delay", stage.size, max(during, default=math.nan) * 1000, "ms", 100.0, how))


def _p99(seconds: list[float]) -> float:
    """In milliseconds."""
    found = percentile(array("d", seconds), 0.99)
    return math.nan if found is None else found * 1000


def _first_verdict(run: Run, stage: Stage, subject: Operator) -> None:
    """`operator_first_verdict`."""
    seconds = subject.wait_judged(len(stage.services), STARTING)
    how = f"10 s period, as after a restart: from its start to an answer of all; {subject.cpu:.1f} s of CPU until then"
    run.add(goal("operator_first_verdict", stage.size, seconds, "s", 20.0, how))


def _quiet(run: Run, stage: Stage, subject: Operator) -> None:
    """`operator_cores`, `operator_rss` and `operator_quiet_writes`, while nothing changes."""
    time.sleep(max(0.0, WARM - subject.age))
    say(f"the whole operator: {run.pace.quiet:.0f} s in which nothing changes")
    before, since = subject.metrics(), datetime.now(UTC)
    cpu, began = subject.cpu, time.monotonic()
    time.sleep(run.pace.quiet)
    cpu, seconds = subject.cpu - cpu, time.monotonic() - began
    rss, peak = subject.memory(), subject.memory("VmHWM")
    after = subject.metrics()

    def grown(name: str) -> float:
        return after.total(name) - before.total(name)

    probes = grown("isvcwatch_probes_total") / seconds
    how = f"10 s period, {probes:,.0f} probes/s, {grown('isvcwatch_resyncs_total'):.0f} complete lists in {seconds:.0f} s"
    run.add(goal("operator_cores", stage.size, cpu / seconds, "cores", 0.5, how))
    run.add(goal("operator_rss", stage.size, rss, "MiB", 260.0, f"after {subject.age:.0f} s; {peak:.0f} MiB at most"))
    sent = sum(entry.is_write for entry in stage.plane.audit(since, ACCOUNT))
    told = grown("isvcwatch_status_writes_total") + grown("isvcwatch_events_total")
    how = f"writing requests in the API server's audit log in {seconds:.0f} s; the operator counts {told:.0f}"
    run.add(goal("operator_quiet_writes", stage.size, sent, "requests", 0.0, how))


def _flip(run: Run, stage: Stage, subject: Operator) -> None:
    """`operator_flip`: all of a namespace turn bad at once."""
    sick = {service.name: service for service in stage.services if service.namespace == stage.services[0].namespace}
    namespace, servers = stage.services[0].namespace, [service.model.server for service in sick.values()]
    most_seconds = max(0.0, len(sick) - BURST) / WRITES + DETECTION + SPARE
    say(f"the whole operator: {len(sick):,} of {stage.size} turn bad")
    seen: dict[str, float] = {}
    began, moment = time.monotonic(), time.time()
    run.fleet.turn(Kind.FAILING, servers)
    while len(seen) < len(sick) and time.monotonic() < began + most_seconds + PATIENCE:
        time.sleep(LOOK)
        listed = stage.cluster.list_isvcs(namespace)
        now = time.time()
        for name in (isvc["metadata"]["name"] for isvc in listed if _is_false(isvc)):
            seen.setdefault(name, now)
    run.fleet.turn(Kind.HEALTHY, servers)
    lost = len(sick) - len(seen)
    turns = subject.turns()
    waited = array("d", [seen[name] - turns[namespace, name] for name in seen if (namespace, name) in turns])
    held = max(turns[namespace, name] for name in sick) - moment if len(turns) >= len(sick) else math.nan
    how = (
        f"{len(sick):,} begin to fail at once; {lost} lost; all held after {held:.1f} s; from verdict to condition "
        f"{percentile(waited, 0.99) or math.nan:.1f} s at p99, {statistics.median(waited):.1f} s median, seen each {LOOK:g} s"
    )
    run.add(goal("operator_flip", stage.size, math.inf if lost else max(seen.values()) - moment, "s", most_seconds, how))


def _is_false(isvc: dict[str, Any]) -> bool:
    return any(item["type"] == "ModelReady" and item["status"] == "False" for item in isvc["status"]["conditions"])
