"""Runs kopf as a watcher that never writes: it has only `on.event` handlers, and its own bookkeeping is switched off."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import kopf
import structlog

from isvcwatch.core.conditions import one_line
from isvcwatch.kube.backoff import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from isvcwatch.kube.connection import ApiConnection
    from isvcwatch.kube.kinds import Kind
    from isvcwatch.kube.store import Store

log = structlog.get_logger(__name__)

UNUSED_FINALIZER: Final = "isvcwatch.dev/never-set"
"""A finalizer's name that no object has: kopf removes the one it is given from all objects, and its default would be other operators'."""


WATCHER: Final = "watcher for "
"""The beginning of the names of kopf's watching tasks. Each ends only when it is cancelled or has failed."""

LOOK: Final = 1.0
"""Seconds between two checks of whether these tasks are running."""

QUICK: Final = 0.2
"""Seconds before the watch restarts for the first time."""

SETTLED: Final = 30.0
"""Seconds after which a watch counts as settled, so that its end is no longer counted with earlier ones."""

LONGEST_END: Final = 10.0
"""The most seconds that kopf may take to end."""


class RestartCounter(Protocol):
    """Counts restarts."""

    def watch_restarted(self) -> None:
        """Count one restart of the watch."""


class EndlessBackoff:
    """An endless series of seconds between tries: with a finite list, kopf ends when an outage outlasts the list."""

    def __iter__(self) -> Iterator[float]:
        """The series from its beginning, as each request needs it."""
        return itertools.chain((0.1, 0.5, 1.0, 2.0, 5.0), itertools.repeat(10.0))


def settings() -> kopf.OperatorSettings:
    """The settings of kopf for a watcher that writes nothing."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.finalizer = UNUSED_FINALIZER
    chosen.posting.enabled = False
    chosen.scanning.disabled = True  # not needed, since the preflight has found the resources; saves the right to watch CRDs
    chosen.networking.error_backoffs = EndlessBackoff()
    chosen.watching.server_timeout = 300  # an integer, since the API server refuses fractions
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 10.0
    chosen.watching.chunk_size = 500  # measured with 10,000 objects: 7 s and 235 MB, against 11 s and 290 MB unpaged
    chosen.queueing.idle_timeout = 1.0
    return chosen


class Watch:
    """Feeds the store from the API server's watch.

    Attributes:
        restarts: how often in a row the watch had to restart; 0 before the first time.
    """

    def __init__(self, connection: ApiConnection, store: Store, namespaces: Sequence[str], metrics: RestartCounter) -> None:
        self._connection = connection
        self._store = store
        self._namespaces = tuple(namespaces)
        self._metrics = metrics
        self.restarts = 0

    async def run(self, kinds: Callable[[], Sequence[Kind[Any]]], stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Watch until `stop` is set, and restart kopf whenever a watch has ended.

        On some errors (an ERROR event other than 410, an answer of 410) kopf gives up a watch for good and goes on without it; on others
        kopf ends as a whole. In both cases the watch restarts within seconds.

        Args:
            kinds: gives the kinds to watch at present, all of which must be served. The watch restarts when they change.
            stop: ends the watch once it is set.
            started: called once kopf has installed its signal handlers, to replace them: kopf takes 5 s to end by a signal.
        """
        while not stop.is_set():
            began = time.monotonic()
            try:
                why = await self._watched(kinds, stop, started)
            except Exception as error:  # noqa: BLE001 -- whatever ends it, it begins again
                why = one_line(f"{type(error).__name__}: {error}")
            if stop.is_set():
                return
            self.restarts = 1 if time.monotonic() - began > SETTLED else self.restarts + 1
            self._metrics.watch_restarted()
            log.warning("watch_restarts", why=why, tries=self.restarts)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause(self.restarts - 1) if self.restarts > 1 else QUICK)

    async def _watched(self, kinds: Callable[[], Sequence[Kind[Any]]], stop: asyncio.Event, started: Callable[[], None]) -> str:
        """Run kopf until it or one of its watches ends, and return the reason."""
        watched = tuple(kinds())
        tasks = await kopf.spawn_tasks(
            registry=self._registry(watched),
            settings=settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=asyncio.Event(),  # never set, since kopf then also cancels tasks that are not its own
        )
        started()
        try:
            return await self._looked_after(tasks, watched, kinds, stop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=LONGEST_END)

    async def _looked_after(
        self,
        tasks: Collection[asyncio.Task[None]],
        watched: Sequence[Kind[Any]],
        kinds: Callable[[], Sequence[Kind[Any]]],
        stop: asyncio.Event,
    ) -> str:
        """Wait until kopf or one of its watches has ended, the kinds to watch have changed, or the process is to end."""
        least = len(watched) if not self._namespaces else 1
        seen: set[asyncio.Task[Any]] = set()
        began = time.monotonic()
        while not stop.is_set():
            ended = next((task for task in tasks if task.done()), None)
            if ended is not None:
                return f"kopf has ended: {_failure(ended)}"
            seen |= {task for task in asyncio.all_tasks() if task.get_name().startswith(WATCHER)}
            lost = next((task for task in seen if task.done()), None)
            if lost is not None:
                return f"the {lost.get_name()} has ended: {_failure(lost)}"
            if tuple(kinds()) != watched:
                return "other kinds can be watched now"
            if len(seen) < least and time.monotonic() - began > SETTLED:
                return "kopf does not watch what it was told to"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK)
        return "the process ends"

    def _registry(self, kinds: Iterable[Kind[Any]]) -> kopf.OperatorRegistry:
        """Handlers that only pass each event to the store."""
        registry = kopf.OperatorRegistry()

        async def login(**_: Any) -> kopf.AiohttpSession:  # noqa: ANN401 -- kopf's calling convention
            return self._connection.kopf_session()

        async def take(event: kopf.RawEvent, param: Any = None, **_: Any) -> None:  # noqa: ANN401
            if event["type"] == "DELETED":
                metadata = event["object"]["metadata"]
                self._store.drop(param, metadata["uid"], metadata.get("resourceVersion", ""))
            else:
                self._store.put(param, event["object"])

        kopf.on.login(registry=registry)(login)
        for kind in kinds:
            resource = kind.resource
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=str(kind), param=kind)(take)
        return registry


def _failure(task: asyncio.Task[Any]) -> str:
    """The reason why a task has ended, in one line."""
    if task.cancelled():
        return "it was cancelled"
    error = task.exception()
    return one_line(f"{type(error).__name__}: {error}") if error else "by itself"
