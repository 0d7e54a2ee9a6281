"""A thousand good services of ten namespaces, alone and beside a thousand hostile ones of another, on a real API server."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import statistics
import sys
import time
from array import array
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bench.fleet.crowd import GOOD, HOSTILE, WAYS
from bench.part import ROOT
from bench.report import Figure, goal
from bench.run import say
from bench.services import NAMESPACES, create_all
from bench.subjects.asking import percentile
from bench.subjects.operator import Operator, ground
from rig import kserve_status
from rig.account import ACCOUNT
from rig.dns import Mood, NameServer
from rig.process import Child, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.run import Run
    from rig.cluster import Cluster
    from rig.kserve_status import Manifest

EACH: Final = 1000
SICK: Final = 100
"""Services of each kind, and good ones of all namespaces that fail at once."""

PERIOD: Final = 10.0
STARTING: Final = 180.0
SETTLING: Final = 60.0
WINDOW: Final = 60.0
TURNING: Final = 90.0
LOOK: Final = 0.5
"""Seconds: of a period, for all to have a verdict, after that, in which arrivals are looked at, for a turn, between two looks."""

NAMESPACE: Final = "hostile"
GREEDY: Final = ({"period-seconds": "1"}, {"period-seconds": "30", "timeout-seconds": "30"}, {"failure-threshold": "1000"})
"""What hostile services ask for, in turn."""


class Names(NameServer):
    """Knows no name, and answers nothing for every other one."""

    def mood_of(self, name: str) -> Mood:
        return Mood.SILENT if name.startswith("hanging") else Mood.EMPTY


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the good services in one run.

    Attributes:
        lateness: seconds beyond the period from one question to the next.
        failed: seconds from their failing until the API server says so.
        recovered: seconds from their recovery until the API server says so.
        writes: writes to their status by the audit log, in the whole run.
        others: those to the others'.
    """

    lateness: list[float]
    failed: list[float]
    recovered: list[float]
    writes: int
    others: int


def hostile(run: Run) -> None:
    """All figures of good services beside hostile ones."""
    alone, beside = (_seen(beside=beside) for beside in (False, True))
    of = f"{EACH:,} good services beside {EACH:,} hostile ones"

    def add(name: str, before: list[float], after: list[float], at_most: float, how: str) -> None:
        value, base = _p99(after), _p99(before)
        note = f"{how}; medians {statistics.median(after):.2f} and {statistics.median(before):.2f} s; {len(after):,} seen"
        run.add(Figure(name, of, value, "s", "without them", base, at_most, note))

    late = _p99(beside.lateness) * 1000
    how = f"beyond {PERIOD:g} s from one question to the next, at the servers; {_p99(alone.lateness) * 1000:.1f} ms without them"
    run.add(goal("hostile_lateness_p99", of, late, "ms", 50.0, how))
    add("hostile_false_p99", alone.failed, beside.failed, 1.1, f"{SICK} fail at once, until the API server says so, seen each {LOOK:g} s")
    add("hostile_true_p99", alone.recovered, beside.recovered, 1.1, "they recover at once, likewise")
    how = f"writes to the good ones' statuses; to the hostile ones' {beside.others:,} in the same time"
    run.add(Figure("hostile_writes", of, beside.writes, "writes", "without them", alone.writes, 1.1, how))


def _p99(seconds: list[float]) -> float:
    return percentile(array("d", seconds), 0.99) or math.nan


def _seen(*, beside: bool) -> Seen:
    with ExitStack() as stack:
        on = stack.enter_context(ground(*NAMESPACES, NAMESPACE))
        cluster, port = on.cluster, free_port()
        for name, hosts in (("good", GOOD), ("hostile", HOSTILE)):  # apart, so that the ones don't delay the others' answers
            _crowd(stack, on.directory / f"{name}.log", port, hosts)
        say(f"creating {EACH:,} good services{f' and {EACH:,} hostile ones' if beside else ''}")
        asyncio.run(create_all(on.plane.kubeconfig, [*_good(port), *(_hostile(port) if beside else ())]))
        names = stack.enter_context(Names())
        since = datetime.now(UTC)
        with Operator(on.config, on.directory, "--period", f"{PERIOD:g}", python=names.python(on.directory)) as subject:
            subject.wait_ready(STARTING)
            wait_until(lambda: len(_those(cluster, "True")) == EACH, STARTING, "all good ones are said to be ready")
            time.sleep(SETTLING)
            say("when the good ones are asked")
            _control(port, "arrivals")
            time.sleep(WINDOW)
            arrivals = _control(port, "arrivals").values()
            lateness = [later - earlier - PERIOD for times in arrivals for earlier, later in pairwise(times)]
            say(f"{SICK} good ones fail, and recover")
            sick = list(range(SICK))
            failed = _turned(cluster, port, sick, "False")
            time.sleep(5)
            recovered = _turned(cluster, port, sick, "True")
        written = [entry for entry in on.plane.audit(since, ACCOUNT) if entry.is_write and entry.resource == "inferenceservices"]
        others = sum(entry.namespace == NAMESPACE for entry in written)
        return Seen(lateness, failed, recovered, len(written) - others, others)


def _crowd(stack: ExitStack, log: Path, port: int, hosts: Sequence[str]) -> None:
    command = [sys.executable, "-m", "bench.fleet.crowd", str(port), *hosts]
    crowd = Child(command, log, {"PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"})
    stack.callback(crowd.stop)
    crowd.wait_ready(lambda: "ready" in log.read_text(), 30)


def _good(port: int) -> Iterator[tuple[Manifest, Manifest]]:
    for number in range(EACH):
        host = GOOD[number % len(GOOD)]
        yield _service(f"model-{number}", NAMESPACES[number % len(NAMESPACES)], f"http://{host}:{port}/good/{number}", {})


def _hostile(port: int) -> Iterator[tuple[Manifest, Manifest]]:
    ways = len(WAYS) + 1
    for number in range(EACH):
        asked = {f"isvcwatch.dev/{key}": value for key, value in GREEDY[number // ways % len(GREEDY)].items()}
        name = f"{'hanging' if number % 4 else 'dead'}-{number}"
        url = f"http://{HOSTILE[number % len(HOSTILE)]}:{port}/hostile/{number % ways}"
        if number % ways == len(WAYS):
            url = f"http://{name}-predictor.{NAMESPACE}.svc.cluster.local"
        yield _service(name, NAMESPACE, url, asked)


def _service(name: str, namespace: str, url: str, annotations: dict[str, str]) -> tuple[Manifest, Manifest]:
    """A service with its status."""
    spec = kserve_status.model_spec(protocolVersion="v2")
    return kserve_status.isvc(name, namespace, spec, annotations), kserve_status.ready(name, namespace, url)


def _those(cluster: Cluster, status: str) -> set[int]:
    """The numbers of the good services whose ModelReady has that status."""
    found = set()
    for namespace in NAMESPACES:
        for isvc in cluster.list_isvcs(namespace):
            if any(item["type"] == "ModelReady" and item["status"] == status for item in isvc["status"]["conditions"]):
                found.add(int(isvc["metadata"]["name"].rpartition("-")[2]))
    return found


def _turned(cluster: Cluster, port: int, sick: list[int], status: str) -> list[float]:
    """Seconds until the API server says of each of these that it has turned."""
    _control(port, "fail", *(map(str, sick) if status == "False" else ()))
    began = time.monotonic()
    seen: dict[int, float] = {}
    while len(seen) < len(sick) and time.monotonic() < began + TURNING:
        time.sleep(LOOK)
        for number in _those(cluster, status) & set(sick):
            seen.setdefault(number, time.monotonic() - began)
    return [seen.get(number, math.inf) for number in sick]


def _control(port: int, *path: str) -> Any:  # noqa: ANN401 -- JSON
    connection = http.client.HTTPConnection(GOOD[0], port, timeout=30)
    connection.request("GET", "/control/" + "/".join(path))
    return json.loads(connection.getresponse().read())
