"""Runs kopf as a watcher that never writes: it has only `on.event` handlers, and its own bookkeeping is switched off."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import kopf
import structlog

from isvcwatch.core.conditions import one_line
from isvcwatch.kube.backoff import pause
from isvcwatch.kube.errors import KubeError
from isvcwatch.kube.preflight import places
from isvcwatch.kube.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence

    from isvcwatch.kube.connection import ApiConnection
    from isvcwatch.kube.kinds import Kind
    from isvcwatch.kube.resources import Resource
    from isvcwatch.kube.store import Store

log = structlog.get_logger(__name__)

UNUSED_FINALIZER: Final = "isvcwatch.dev/never-set"
"""A finalizer's name that no object has: kopf removes the one it is given from all objects, and its default would be other operators'."""


IDENTITY: Final = "isvcwatch"
"""Kopf's name for this process. Kopf would make one from the user's name, which fails in a pod, where the uid is in no passwd file."""

WATCHER: Final = "watcher for "
"""The beginning of the names of kopf's watching tasks. Each ends only when it is cancelled or has failed."""

LOOK: Final = 1.0
"""Seconds between two checks of whether the watches are live."""

ASK: Final = 5.0
"""Seconds between two questions to the API server whether it serves a kind that has no live watch."""

DEAF: Final = 30.0
"""Seconds without a live watch of a kind after which the watch begins anew."""

QUICK: Final = 0.2
"""Seconds before the watch restarts for the first time."""

SETTLED: Final = 30.0
"""Seconds after which a watch counts as settled, so that its end is no longer counted with earlier ones."""

ENDING: Final = 5.0
"""The most seconds that kopf's watchers may take to end in order, and then all that is left of kopf."""

KOPF: Final = str(Path(kopf.__file__).parent)
"""The folder of kopf's code, by which its tasks are told from all others."""


class RestartCounter(Protocol):
    """Counts restarts."""

    def watch_restarted(self) -> None:
        """Count one restart of the watch."""


class EndlessBackoff:
    """An endless series of seconds between tries: with a finite list, kopf ends when an outage outlasts the list."""

    def __iter__(self) -> Iterator[float]:
        """The series from its beginning, as each request needs it."""
        return itertools.chain((0.1, 0.5, 1.0, 2.0, 5.0), itertools.repeat(10.0))


def settings(kinds: Iterable[Kind[Any]] = ()) -> kopf.OperatorSettings:
    """The settings of kopf for a watcher of these kinds that writes nothing."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.finalizer = UNUSED_FINALIZER
    chosen.posting.enabled = False
    chosen.scanning.disabled = True  # not needed, since the preflight has found the resources; saves the right to watch CRDs
    chosen.networking.error_backoffs = EndlessBackoff()
    chosen.watching.server_timeout = 300  # an integer, since the API server refuses fractions
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 10.0
    chosen.watching.chunk_size = 500  # measured with 10,000 objects: 7 s and 235 MB, against 11 s and 290 MB unpaged
    for kind in kinds:
        if kind.selector:
            resource = kind.resource
            chosen.watching.label_selectors[resource.group, resource.version, resource.plural] = kind.selector
    chosen.queueing.idle_timeout = 1.0
    return chosen


class Watch:
    """Feeds the store from the API server's watch.

    Args:
        connection: the API server.
        store: takes in what the watch tells.
        namespaces: those to watch; empty for all.
        metrics: counts the restarts.
        is_served: whether discovery names a resource; raises a `KubeError` if that can't be told.
        anew: called when a watch has begun anew, so that what happened before may have been missed.
    """

    def __init__(
        self,
        connection: ApiConnection,
        store: Store,
        namespaces: Sequence[str],
        metrics: RestartCounter,
        is_served: Callable[[Resource], Awaitable[bool]],
        anew: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._store = store
        self._namespaces = tuple(namespaces)
        self._metrics = metrics
        self._is_served = is_served
        self._streams = Streams(anew)
        self._heard: dict[Kind[Any], float] = {}
        self._asked: dict[Kind[Any], float] = {}
        self._restarts = 0
        self._began = math.inf

    @property
    def restarts(self) -> int:
        """How often in a row the watch had to restart; 0 once it has settled."""
        return 0 if time.monotonic() - self._began > SETTLED else self._restarts

    def deaf(self) -> dict[Kind[Any], float]:
        """Seconds since each kind that is to be watched had a live watch, or since its first was due; 0 where it has one."""
        now = time.monotonic()
        return {kind: 0.0 if self._is_live(kind) else now - heard for kind, heard in self._heard.items()}

    def refusal(self, kind: Kind[Any]) -> str:
        """The status by which the API server refuses to be watched for a kind; empty if it does not."""
        return next(filter(None, (self._streams.refusal(kind.resource, place) for place in places(kind, self._namespaces))), "")

    async def run(self, kinds: Callable[[], Sequence[Kind[Any]]], stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Watch until `stop` is set, and restart kopf whenever a watch has ended.

        On some errors (an ERROR event other than 410, an answer of 410) kopf gives up a watch for good and goes on without it; on others
        kopf ends as a whole. In both cases the watch restarts within seconds.

        Args:
            kinds: gives the kinds to watch at present. The watch restarts when they change.
            stop: ends the watch once it is set.
            started: called once kopf has installed its signal handlers, to replace them: kopf takes 5 s to end by a signal.
        """
        while not stop.is_set():
            self._began = time.monotonic()
            try:
                why = await self._watched(tuple(kinds()), kinds, stop, started)
            except Exception as error:  # noqa: BLE001 -- whatever ends it, it begins again
                why = one_line(f"{type(error).__name__}: {error}")
            if stop.is_set():
                return
            self._restarts = self.restarts + 1
            self._metrics.watch_restarted()
            log.warning("watch_restarts", why=why, tries=self._restarts)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause(self._restarts - 1) if self._restarts > 1 else QUICK)

    async def _watched(
        self,
        wanted: Sequence[Kind[Any]],
        kinds: Callable[[], Sequence[Kind[Any]]],
        stop: asyncio.Event,
        started: Callable[[], None],
    ) -> str:
        """Run kopf until it or one of its watches ends, and return the reason."""
        now = time.monotonic()
        self._heard = {kind: self._heard.get(kind, now) for kind in wanted}
        absent = {kind for kind in wanted if await self._is_known(kind) is False}
        served = [kind for kind in wanted if kind not in absent]
        tasks = await kopf.spawn_tasks(
            registry=self._registry(served),
            settings=settings(served),
            identity=IDENTITY,  # type: ignore[arg-type]  # a str by a name that kopf does not export
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=asyncio.Event(),  # never set, since kopf then also cancels tasks that are not its own
        )
        started()
        watchers: set[asyncio.Task[Any]] = set()
        try:
            while not stop.is_set():
                watchers |= _watchers()
                why = _ended((*tasks, *watchers)) or await self._lost(wanted, absent, now)
                if not why and tuple(kinds()) != tuple(wanted):
                    why = "other kinds can be watched now"
                if why:
                    return why
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK)
            return "the process ends"
        finally:
            await _end(tasks)

    async def _lost(self, wanted: Sequence[Kind[Any]], absent: Container[Kind[Any]], began: float) -> str:
        """The reason why the watch must begin anew: a kind has had no live watch for long, or is served only now; else empty.

        While the API server can't be asked what it serves, or forbids the watch, another try would fail as well.

        Args:
            wanted: the kinds to watch.
            absent: those that were not served when kopf started, so that kopf does not watch them.
            began: when kopf started.
        """
        now = time.monotonic()
        for kind in wanted:
            if self._is_live(kind):
                self._heard[kind] = now
            elif kind not in absent and (now - max(self._heard[kind], began) <= DEAF or self._is_forbidden(kind)):
                continue
            elif await self._is_served_now(kind, now):
                return f"{kind} is served now" if kind in absent else f"{kind} has had no live watch for {DEAF:g} s"
        return ""

    async def _is_served_now(self, kind: Kind[Any], now: float) -> bool:
        """Whether discovery names a kind, asked each `ASK` seconds at most; False in between, and where that can't be told."""
        if now - self._asked.get(kind, -math.inf) < ASK:
            return False
        self._asked[kind] = now
        return bool(await self._is_known(kind))

    async def _is_known(self, kind: Kind[Any]) -> bool | None:
        """Whether discovery names a kind; None if that can't be told."""
        try:
            return await self._is_served(kind.resource)
        except KubeError:
            return None

    def _is_live(self, kind: Kind[Any]) -> bool:
        return all(self._streams.is_live(kind.resource, place) for place in places(kind, self._namespaces))

    def _is_forbidden(self, kind: Kind[Any]) -> bool:
        return any(self._streams.is_forbidden(kind.resource, place) for place in places(kind, self._namespaces))

    def _registry(self, kinds: Iterable[Kind[Any]]) -> kopf.OperatorRegistry:
        """Handlers that only pass each event to the store."""
        registry = kopf.OperatorRegistry()

        async def login(**_: Any) -> kopf.AiohttpSession:  # noqa: ANN401 -- kopf's calling convention
            return self._connection.kopf_session(self._streams.middleware)

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


def _ended(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """The reason why one of kopf's tasks has ended; empty while all run."""
    ended = next((task for task in tasks if task.done()), None)
    return f"kopf's {ended.get_name()} has ended: {_failure(ended)}" if ended is not None else ""


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """End a run of kopf with all that it has started.

    Kopf leaves its watchers running when it fails. They must end before the tasks that they need for it, without which they wait for ever.
    """
    left: set[asyncio.Task[Any]] = {task for task in (*tasks, *_watchers()) if not task.done()}
    until = time.monotonic() + 2 * ENDING
    patience = ENDING
    while left and time.monotonic() < until:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=patience)
        left = _of_kopf()
        patience = LOOK
    if left:
        log.error("kopf_does_not_end", tasks=sorted(task.get_name() for task in left))


def _watchers() -> set[asyncio.Task[Any]]:
    """Kopf's watchers that are running."""
    return {task for task in _of_kopf() if task.get_name().startswith(WATCHER)}


def _of_kopf() -> set[asyncio.Task[Any]]:
    """Kopf's tasks that are running."""
    codes = ((task, getattr(task.get_coro(), "cr_code", None)) for task in asyncio.all_tasks())
    return {task for task, code in codes if code is not None and code.co_filename.startswith(KOPF)}


def _failure(task: asyncio.Task[Any]) -> str:
    """The reason why a task has ended, in one line."""
    if task.cancelled():
        return "it was cancelled"
    error = task.exception()
    return one_line(f"{type(error).__name__}: {error}") if error else "by itself"
