"""Lists all objects periodically beside the watch, so that a change that the watch has missed is found within one period."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from isvcwatch.kube import errors
from isvcwatch.kube.backoff import pause
from isvcwatch.kube.kinds import KINDS
from isvcwatch.kube.preflight import check, places, read_all
from isvcwatch.kube.store import uids_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from isvcwatch.kube.api import Api
    from isvcwatch.kube.kinds import Kind
    from isvcwatch.kube.store import Store

log = structlog.get_logger(__name__)

PERIOD: Final = 60.0
"""Seconds between two complete lists."""

JITTER: Final = 0.2
"""The part of the period by which the intervals differ, so that replicas and other watchers don't list at the same time."""

STALE_LISTS: Final = 3
"""Lists in a row with an older version than an earlier list, after which the API server counts as restored to an older state."""

UNSERVED_LISTS: Final = 3
"""Lists of a namespace in a row for which the kind was not served, after which its objects count as deleted: a starting API server serves
custom resources some moments late."""


class ResyncCounter(Protocol):
    """Counts complete lists."""

    def resync(self, missed: int) -> None:
        """Count a complete list, and the number of changes in it that the watch had missed."""


class Resync:
    """Keeps the store equal to the cluster.

    Args:
        api: lists the objects.
        store: is made equal to the lists.
        namespaces: the namespaces that are watched; empty for all.
        metrics: counts the lists.
        period: seconds between two complete lists.
        clock: the time in seconds, for the age of the latest list.
        wanted: the kinds to list as soon as they can be read.

    Attributes:
        problem: why the latest list was not complete; empty if it was.
        kinds: the kinds that can be read; those that are missing at first are added later.
        missing: how many lists in a row, of those made for each period, had changes that the watch had missed.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        namespaces: Sequence[str],
        metrics: ResyncCounter,
        period: float = PERIOD,
        clock: Callable[[], float] = time.monotonic,
        wanted: Sequence[Kind[Any]] = KINDS,
    ) -> None:
        self._api = api
        self._store = store
        self._namespaces = tuple(namespaces)
        self._metrics = metrics
        self._period = period
        self._clock = clock
        self._wanted = tuple(wanted)
        self._newest: dict[tuple[Kind[Any], str], int] = {}
        self._stale: dict[tuple[Kind[Any], str], int] = {}
        self._unserved: dict[tuple[Kind[Any], str], int] = {}
        self._soon = asyncio.Event()
        self.kinds: list[Kind[Any]] = []
        self.missing = 0
        self._completed: float | None = None
        self.problem = ""

    @property
    def age(self) -> float:
        """Seconds since the latest complete list; 0 before the first one, which the preflight waits for."""
        return 0.0 if self._completed is None else self._clock() - self._completed

    def soon(self) -> None:
        """List at once, without waiting for the period's end."""
        self._soon.set()

    async def run(self, kinds: Sequence[Kind[Any]]) -> None:
        """List until cancelled.

        Args:
            kinds: the kinds that can be read at the start.
        """
        self.kinds = list(kinds)
        self._completed = self._clock()
        tries = 0
        while True:
            wait = min(pause(tries), self._period) if tries else self._period * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 -- jitter
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), wait)
            asked = self._soon.is_set()
            self._soon.clear()
            try:
                missed = await self.once()
            except errors.KubeError as error:
                tries += 1
                self._say(str(error))
            except Exception:  # a bug that one object triggers must not stop the lists
                tries += 1
                log.exception("resync_crashed")
            else:
                tries = 0
                self._say("")
                if not asked:  # what was missed while the watch was away is no sign that it now misses anything
                    self.missing = self.missing + 1 if missed else 0

    async def once(self) -> int:
        """List everything once, and return how many changes the watch had missed.

        Raises:
            KubeError: a kind could not be listed; the other kinds are taken in all the same.
        """
        problem: errors.KubeError | None = None
        missed = 0
        for kind in self.kinds:
            for namespace in places(kind, self._namespaces):
                try:
                    missed += await self._list(kind, namespace)
                except errors.KubeError as error:
                    problem = problem or error
        await self._look_for_more()
        if problem:
            raise problem
        self._completed = self._clock()
        self._metrics.resync(missed)
        if missed:
            log.info("resynced", missed=missed)
        return missed

    async def _look_for_more(self) -> None:
        """Check whether a kind that could not be read before can be now, since its CRD or the right to it may have been added."""
        for kind in self._wanted:
            if kind not in self.kinds:
                try:
                    await check(self._api, kind, self._namespaces)
                    await read_all(self._api, self._store, kind, self._namespaces)
                except errors.KubeError:  # logged once already, at the start
                    continue
                self.kinds.append(kind)
                log.info("kind_readable", resource=str(kind))

    async def _list(self, kind: Kind[Any], namespace: str) -> int:
        """List a kind, take in each page as it comes, and drop the objects that the list lacks; return how many changes were missed."""
        missed, version = 0, None
        listed: set[str] = set()
        try:
            async for page in self._api.pages(kind.resource, namespace, kind.selector):
                if not listed:
                    version = self._trusted(kind, namespace, page.resource_version)
                missed += self._store.take(kind, page.items, version)
                listed.update(uids_of(page.items))
        except (errors.NotServedError, errors.ForbiddenError) as error:
            # What can't be read any more and isn't needed is forgotten, since it would be believed for ever.
            self._unserved[kind, namespace] = self._unserved.get((kind, namespace), 0) + 1
            if self._unserved[kind, namespace] < UNSERVED_LISTS or (isinstance(error, errors.ForbiddenError) and not kind.without):
                raise
        else:
            self._unserved[kind, namespace] = 0
        return missed + await self._store.retain(kind, listed, version, namespace)

    def _trusted(self, kind: Kind[Any], namespace: str, text: str) -> int | None:
        """A list's version; None if it is not a number.

        Raises:
            UnavailableError: an earlier list was newer, since this API server lags or was restored to an older state.
        """
        key = (kind, namespace)
        version = int(text) if text.isdecimal() else None
        if version is not None and version < self._newest.get(key, 0):
            self._stale[key] = self._stale.get(key, 0) + 1
            if self._stale[key] < STALE_LISTS:
                raise errors.UnavailableError(
                    f"the API server lists {kind} as of version {version}, older than {self._newest[key]}: it lags behind, or was restored"
                )
            log.warning("restored", resource=str(kind), version=version, newest=self._newest[key])
            self._store.forget_versions()
        self._stale[key] = 0
        if version is not None:
            self._newest[key] = version
        return version

    def _say(self, problem: str) -> None:
        """Log why a list is not complete, but only when the reason has changed."""
        if problem and problem != self.problem:
            log.warning("not_listed", why=problem, since=f"{self.age:.0f} s")
        self.problem = problem
