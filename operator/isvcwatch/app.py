"""The one composition root: makes every part, joins them, runs them, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from isvcwatch.client.tls import trusting
from isvcwatch.engine import Engine
from isvcwatch.kube.api import Api
from isvcwatch.kube.budget import Budget, Shares
from isvcwatch.kube.connection import connect, in_a_pod
from isvcwatch.kube.endings import Endings
from isvcwatch.kube.feeding import Feeding
from isvcwatch.kube.preflight import Preflight
from isvcwatch.kube.queue import Queue
from isvcwatch.kube.resync import Resync
from isvcwatch.kube.servers import ApiServers
from isvcwatch.kube.sinks.conditions import ConditionsSink
from isvcwatch.kube.sinks.events import EventsSink, Regarding
from isvcwatch.kube.sinks.own import OwnEvents
from isvcwatch.kube.store import Store
from isvcwatch.kube.watch import DEAF, Watch
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.vigil import ALWAYS_THERE, Lookups, Reach, Vigil
from isvcwatch.settings import OMIT
from isvcwatch.telemetry.http import HttpServer
from isvcwatch.telemetry.vitals import Level, Sign, level

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from isvcwatch.core.edges import Edge
    from isvcwatch.kube.connection import ApiConnection
    from isvcwatch.kube.kinds import Kind
    from isvcwatch.kube.store import Change
    from isvcwatch.settings import Settings

T = TypeVar("T")

log = structlog.get_logger(__name__)

STALE_TICK: Final = 15.0
"""Seconds without a scheduler tick after which the process is not live: 750 ticks."""

STALE_LISTS: Final = 10
"""Periods without a complete list after which the process is not live, unless the API server itself stands in the way."""

STALE_WATCH: Final = 300.0
"""Seconds without a live watch of a kind after which the process is not live, unless the API server itself stands in the way."""

RESTARTS: Final = 3
"""Ends of the watch in a row from which on /livez?verbose warns of it."""

MISSING: Final = 3
"""Lists in a row with changes that the watch had missed from which on /livez?verbose warns of it: one alone may have been under way."""

STALE_WRITES: Final = 180.0
"""Seconds in which no write has begun or ended although some wait, after which the process is not live: a call takes at most 30."""

BLOCKED: Final = 1.0
"""Seconds of a blocked event loop beyond which /livez?verbose warns of it; failures that came in meanwhile are not judged."""

LATELY: Final = 60.0
"""Seconds for which /livez?verbose goes on warning of a blocked event loop."""

FLUSH: Final = 5.0
"""Seconds in which the last writes and Events go out; a pod has 30 until it is killed."""


class EndedError(Exception):
    """A part that must keep running has ended. The process then ends as well, so that the kubelet restarts it."""


class Operator:
    """Joins the operator's parts. Makes no decision itself."""

    def __init__(self, settings: Settings, connection: ApiConnection) -> None:
        self._settings = settings
        self._connection = connection
        self._ended: str = ""
        api = Api(connection)
        addresses = AddressPolicy(settings.allow_cidrs, connection.server_addresses())
        self._engine = Engine(
            settings.policy,
            addresses,
            self._say,
            trust=functools.partial(trusting, settings.ca_bundles),
            omit_unknown=settings.unknown_conditions == OMIT,
            doubt_share=settings.doubt_share,
            check_network=self._check_network,
            subscribers=(self._tell_of_itself,),
        )
        metrics = self._engine.metrics
        self._store = Store(self._changed, self._engine.fleet.publish)
        self._feeding = Feeding(self._store, self._engine.fleet.feed)
        ends = self._feeding.namespace_ends
        self._events = EventsSink(api, metrics, budget=Budget(settings.write_rate, settings.write_burst), ends=ends)
        budget = Budget(settings.write_rate, settings.write_burst)
        conditions = ConditionsSink(api, self._store, self._events, self._engine.fleet, metrics, Endings(api, ends), budget)
        self._queue = Queue(conditions.take_turn, conditions.place, Shares(settings.write_rate))
        pod = Regarding("v1", "Pod", *settings.pod) if settings.pod else None
        self._own_events = OwnEvents(self._events, pod)
        fleet = self._engine.fleet
        self._vigils = {
            "reach": Vigil(Reach(*connection.endpoint()), lambda reached: fleet.network_checked(reached=reached)),
            "lookups": Vigil(Lookups(), lambda found: fleet.names_checked(found=found), must_succeed=in_a_pod()),
        }
        self._preflight = Preflight(api, self._store, settings.namespaces)
        self._servers = ApiServers(api, addresses.deny, lists=not settings.namespaces)
        self._resync = Resync(api, self._store, settings.namespaces, metrics, settings.resync)
        self._watch = Watch(connection, self._store, settings.namespaces, metrics, api.discovers, self._resync.soon)
        metrics.watch_health(lambda: level(self._signs()))
        self._http = HttpServer(metrics, self._signs)

    async def run(self) -> None:
        """Run until the process is told to end.

        Raises:
            BindError: the HTTP address can't be listened at.
            EndedError: a part has ended by itself.
        """
        port = await self._http.start(self._settings.http_host, self._settings.http_port)
        log.info("serving", host=self._settings.http_host or "*", port=port, paths=["/livez", "/readyz", "/metrics"])
        stop = asyncio.Event()
        _end_by_signal(stop)
        try:
            parts = {"engine": self._engine.run(), "queue": self._queue.run(), "events": self._events.run()}
            parts["servers"] = self._servers.run()
            parts |= {name: vigil.run() for name, vigil in self._vigils.items()}
            async with _running(**parts) as tasks:
                for task in tasks:
                    task.add_done_callback(functools.partial(self._part_ended, stop=stop))
                kinds = await _unless_stopped(self._begin(), stop)
                if kinds is not None:
                    async with _running(resync=self._resync.run(kinds)) as (resync,):
                        resync.add_done_callback(functools.partial(self._part_ended, stop=stop))
                        await self._watch.run(lambda: self._resync.kinds or kinds, stop, started=functools.partial(_end_by_signal, stop))
                await self._flush()
        finally:
            await self._engine.aclose()
            await self._http.stop()
        if self._ended or not stop.is_set():
            raise EndedError(f"the {self._ended or 'watch'} has ended by itself; the log says why")
        log.info("ended")

    async def _begin(self) -> list[Kind[Any]]:
        """Read the cluster, once it is known which addresses are the API servers'."""
        await self._servers.look()
        return await self._preflight.run()

    async def _flush(self) -> None:
        """Send out the writes and Events that are due. The next process decides again on any that don't go out in time."""
        began = asyncio.get_running_loop().time()
        written = await self._queue.flush(FLUSH)
        told = await self._events.flush(max(FLUSH - (asyncio.get_running_loop().time() - began), 0.1))
        if not (written and told):
            log.warning("left_unsaid", so="the next process decides it again")

    def _changed(self, change: Change[Any]) -> None:
        self._feeding.take(change)

    def _check_network(self) -> None:
        for vigil in self._vigils.values():
            vigil.look()

    def _tell_of_itself(self, edge: Edge) -> None:
        self._own_events(edge)

    def _say(self, uid: str) -> None:
        self._queue.request(uid)

    def _part_ended(self, task: asyncio.Task[None], stop: asyncio.Event) -> None:
        """Log that a part has ended by itself, which is a bug, and end the process, so that the kubelet restarts it."""
        if not task.cancelled():
            self._ended = task.get_name()
            log.error("part_ended", part=self._ended, exc_info=task.exception())
            stop.set()

    def _signs(self) -> list[Sign]:
        """The process's signs of life at this moment."""
        return [
            self._parts(),
            self._first_list(),
            self._lists(),
            self._watches(),
            self._scheduler(),
            self._rounds(),
            self._loop(),
            self._writes(),
            self._network(),
            self._names(),
        ]

    def _parts(self) -> Sign:
        words = f"the {self._ended} has ended" if self._ended else "all run"
        return Sign("parts", words, Level.CRITICAL if self._ended else Level.WELL)

    def _first_list(self) -> Sign:
        waiting_for = self._preflight.waiting_for
        words = f"waiting: {waiting_for}" if waiting_for else "all that is watched was read"
        return Sign("cluster", words, Level.WARNING if waiting_for else Level.WELL, ready=not waiting_for)

    def _lists(self) -> Sign:
        age, problem = self._resync.age, self._resync.problem
        stale = age > STALE_LISTS * self._settings.resync + STALE_TICK
        words = f"InferenceServices were last listed {age:.0f} s ago{': ' if problem else ''}{problem}"
        return Sign("lists", words, Level.WARNING if problem else Level.CRITICAL if stale else Level.WELL)

    def _watches(self) -> Sign:
        deaf = {kind: seconds for kind, seconds in self._watch.deaf().items() if seconds > DEAF}
        if deaf:
            words = "; ".join(f"no live watch of {kind} for {seconds:.0f} s{self._because(kind)}" for kind, seconds in deaf.items())
            stuck = max(deaf.values()) > STALE_WATCH and not self._resync.problem and not any(self._watch.refusal(kind) for kind in deaf)
            return Sign("watch", words, Level.CRITICAL if stuck else Level.WARNING)
        if self._watch.restarts >= RESTARTS:
            return Sign("watch", f"the watch has ended {self._watch.restarts} times in a row", Level.WARNING)
        if self._resync.missing >= MISSING:
            return Sign("watch", f"each of the last {self._resync.missing} lists had changes that the watch had not told of", Level.WARNING)
        return Sign("watch", "each kind that could be listed has a live watch")

    def _because(self, kind: Kind[Any]) -> str:
        refusal = self._watch.refusal(kind)
        return f", the API server answers {refusal}" if refusal else ""

    def _scheduler(self) -> Sign:
        age = asyncio.get_running_loop().time() - self._engine.scheduler.last_tick
        return Sign("scheduler", f"the scheduler has not ticked for {age:.0f} s", Level.CRITICAL if age > STALE_TICK else Level.WELL)

    def _rounds(self) -> Sign:
        oldest, overdue = self._engine.scheduler.oldest, self._engine.scheduler.overdue
        words = (
            f"{overdue} rounds of probing do not end, the oldest since {oldest:.0f} s" if overdue else f"the oldest is {oldest:.0f} s old"
        )
        return Sign("rounds", words, Level.CRITICAL if overdue else Level.WELL)

    def _loop(self) -> Sign:
        blocked = self._engine.scheduler.lateness.latest(LATELY)
        words = f"the loop was blocked for up to {blocked:.1f} s within the last minute"
        return Sign("loop", words, Level.WARNING if blocked > BLOCKED else Level.WELL)

    def _writes(self) -> Sign:
        stalled = self._queue.stalled
        words = f"writes wait, and none has gone on for {stalled:.0f} s" if stalled else "none waits"
        return Sign("writes", words, Level.CRITICAL if stalled > STALE_WRITES else Level.WELL)

    def _network(self) -> Sign:
        impaired = self._engine.fleet.impaired
        words = "models, the API server or the DNS have fallen silent: no model is accused of that" if impaired else "models answer"
        return Sign("network", words, Level.WARNING if impaired else Level.WELL)

    def _names(self) -> Sign:
        if not self._engine.fleet.nameless:
            return Sign("dns", "names can be looked up")
        return Sign("dns", f"{ALWAYS_THERE} can't be looked up: no model is accused for its name", Level.WARNING)


@contextlib.asynccontextmanager
async def _running(**parts: Coroutine[None, None, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run tasks for as long as the block runs. They are made before kopf starts, since kopf cancels every task that is made after it."""
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_by_signal(stop: asyncio.Event) -> None:
    """End in order on SIGINT and SIGTERM. Called again once kopf has installed its own handlers for these signals."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _unless_stopped(work: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """The work's result, or None if the process was told to end first."""
    doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if doing.done():
        return doing.result()
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    return None


async def run(settings: Settings) -> None:
    """Find the cluster and run the operator in it.

    Raises:
        ConfigError: no usable credentials for a cluster.
        BindError: the HTTP address can't be listened at.
        EndedError: a part has ended by itself.
    """
    connection = await connect(settings.kubeconfig, settings.context)
    log.info(
        "starting",
        server=connection.server,
        namespaces=settings.namespaces or "all",
        period=settings.policy.period,
        loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
    )
    try:
        await Operator(settings, connection).run()
    finally:
        await connection.close()
