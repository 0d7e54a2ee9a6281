"""How long the event loop is blocked by what concerns all services at once: a changed runtime, a scrape, a list, the end of a namespace."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from bench.report import goal
from bench.run import say
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.step import RoundEnded
from isvcwatch.core.targets import Target
from isvcwatch.engine import Engine
from isvcwatch.kube.api import PORTION
from isvcwatch.kube.feeding import Feeding
from isvcwatch.kube.kinds import CLUSTER_RUNTIMES, SERVICES
from isvcwatch.kube.store import Store
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.garbage import THRESHOLDS
from isvcwatch.probing.rungs import ALL_WELL
from isvcwatch.telemetry.scrapes import Scrapes
from rig import kserve_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.run import Run
    from rig.kserve_status import Manifest

SIZES: Final = (10_000, 50_000)
MOST: Final = 50.0
"""Milliseconds."""

NAMESPACE: Final = "models"
RUNTIME: Final = "kserve-mlserver"


def stalls(run: Run) -> None:
    """`stall_…`: the longest turn of the event loop, in milliseconds of the process's own time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    thresholds = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)  # as while the operator runs
    try:
        for size in SIZES[: 1 if run.pace.quick else None]:
            say(f"the loop's longest turns with {size:,} services")
            asyncio.run(_measured(run, size))
            gc.unfreeze()
            gc.collect()
    finally:
        gc.set_threshold(*thresholds)
        structlog.reset_defaults()


async def _measured(run: Run, size: int) -> None:
    engine = Engine(ProbePolicy(), AddressPolicy(), lambda _: None)
    store: Store = Store(lambda change: feeding.take(change))  # noqa: PLW0108 -- it is made below
    feeding = Feeding(store, engine.fleet.feed)
    store.put(CLUSTER_RUNTIMES, _runtime(1))
    services = [_service(number) for number in range(size)]
    what = f"{size:,} services"

    def add(name: str, longest: float, seconds: float, how: str) -> None:
        run.add(goal(f"stall_{name}", what, longest * 1000, "ms", MOST, f"{how}, {seconds:.2f} s of the loop in all"))

    began, longest = time.thread_time(), 0.0
    for number in range(0, size, PORTION):
        turn = time.thread_time()
        store.take(SERVICES, services[number : number + PORTION], None)
        longest = max(longest, time.thread_time() - turn)
        await asyncio.sleep(0)
    add("list", longest, time.thread_time() - began, f"all are new, {PORTION} a turn")
    gc.collect()
    gc.freeze()
    turn = time.thread_time()
    store.put(CLUSTER_RUNTIMES, _runtime(2))
    add("runtime", *await _turns(turn, lambda: not len(feeding)), "the runtime that all run on changes its port")
    for state in list(engine.fleet):
        if isinstance(state.outcome, Target):
            engine.fleet.feed(state.isvc.uid, RoundEnded(state.outcome, ALL_WELL))
    turn = time.thread_time()
    body = asyncio.ensure_future(Scrapes(engine.metrics.portions).body())
    longest, seconds = await _turns(turn, body.done)
    add("scrape", longest, seconds, f"{len(body.result()) / 1e6:.1f} MB")
    turn = time.thread_time()
    left = asyncio.ensure_future(store.retain(SERVICES, {f"uid-{number}" for number in range(0, size, 2)}, None))
    add("deletions", *await _turns(turn, left.done), "a complete list lacks half of them")
    turn = time.thread_time()
    feeding.namespace_ends(NAMESPACE)
    add("namespace", *await _turns(turn, lambda: not len(feeding)), "the namespace of the other half ends")
    await engine.aclose()


async def _turns(began: float, done: Callable[[], bool]) -> tuple[float, float]:
    """The longest turn of the loop, and the seconds of all, until something is done; the first has begun already."""
    longest, last = 0.0, began
    while True:
        now = time.thread_time()
        longest, last = max(longest, now - last), now
        if done():
            return longest, now - began
        await asyncio.sleep(0)


def _service(number: int) -> Manifest:
    name = f"model-{number:05}"
    made = kserve_status.isvc(name, NAMESPACE, kserve_status.model_spec(runtime=RUNTIME))
    made["metadata"] |= {"uid": f"uid-{number}", "resourceVersion": str(number + 10)}
    status = {**kserve_status.ready(name, NAMESPACE), "clusterServingRuntimeName": RUNTIME}
    return {**made, "status": status}


def _runtime(version: int) -> Manifest:
    container: dict[str, Any] = {
        "name": "kserve-container",
        "image": "seldonio/mlserver:1.7",
        "env": [{"name": "MLSERVER_HTTP_PORT", "value": str(8080 + version)}],
        "ports": [{"containerPort": 8080 + version}],
    }
    formats = [{"name": "sklearn", "version": "1", "autoSelect": True}]
    spec = {"supportedModelFormats": formats, "protocolVersions": ["v2"], "containers": [container]}
    return {"metadata": {"uid": "uid-of-runtime", "name": RUNTIME, "resourceVersion": str(version)}, "spec": spec}
