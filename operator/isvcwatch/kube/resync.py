"""Lists everything again and again beside the watch, so that what a watch has lost is found within one round."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from isvcwatch.kube import errors
from isvcwatch.kube.backoff import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from isvcwatch.kube.api import Api, Listed
    from isvcwatch.kube.inventory import Inventory
    from isvcwatch.kube.resources import Resource

log = structlog.get_logger(__name__)

PERIOD: Final = 60.0
"""Seconds between two complete lists."""

JITTER: Final = 0.2
"""Part of the period by which rounds differ, so that replicas and other watchers don't list at once."""

EVERYWHERE: Final = ("",)

FREED_AT_ONCE: Final = 500
"""Objects of a list that are freed in one go: to free ten thousand takes some 50 ms, in which no probe would start."""

STALE_LISTS: Final = 3
"""Lists in a row that are older than one before them, after which the API server is taken to have been restored to an older state."""

UNSERVED_LISTS: Final = 3
"""Lists in a row for which the kind was not served, after which its objects are taken to be gone with it: API servers that start serve
custom resources some moments late."""


class Metrics(Protocol):
    """Counts complete lists."""

    def resync(self, missed: int) -> None:
        """Everything was listed, and so many changes were found that the watch had not told of."""


class Resync:
    """Keeps the inventory equal to the cluster.

    Args:
        api: lists.
        inventory: is made equal.
        namespaces: those that are watched; all where none is named.
        metrics: counts.
        period: seconds between two complete lists.
        clock: seconds, for the age of the latest one.

    Attributes:
        problem: what stood in the way of the latest list; empty where it was complete.
    """

    def __init__(
        self,
        api: Api,
        inventory: Inventory,
        namespaces: Sequence[str],
        metrics: Metrics,
        period: float = PERIOD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._inventory = inventory
        self._namespaces = tuple(namespaces) or EVERYWHERE
        self._metrics = metrics
        self._period = period
        self._clock = clock
        self._newest: dict[tuple[Resource, str], int] = {}
        self._stale: dict[tuple[Resource, str], int] = {}
        self._unserved: dict[Resource, int] = {}
        self._completed: float | None = None
        self.problem = ""

    @property
    def age(self) -> float:
        """Seconds since everything was last listed; 0 before the first time, which the preflight waits for."""
        return 0.0 if self._completed is None else self._clock() - self._completed

    async def run(self, resources: Sequence[Resource]) -> None:
        """List until cancelled.

        Args:
            resources: what is listed.
        """
        self._completed = self._clock()
        tries = 0
        while True:
            if tries:
                await asyncio.sleep(min(pause(tries), self._period))
            else:
                await asyncio.sleep(self._period * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 -- jitter
            try:
                await self.once(resources)
            except errors.KubeError as error:
                tries += 1
                self._say(str(error))
            except Exception:  # a bug in one object's way must not end the others' being found
                tries += 1
                log.exception("resync_crashed")
            else:
                tries = 0
                self._say("")

    async def once(self, resources: Sequence[Resource]) -> None:
        """List everything once.

        Raises:
            KubeError: something could not be listed; what could be is taken in all the same.
        """
        problem: errors.KubeError | None = None
        missed = 0
        for resource in resources:
            for namespace in self._namespaces if resource.namespaced else EVERYWHERE:
                try:
                    missed += await self._list(resource, namespace)
                except errors.KubeError as error:
                    problem = problem or error
        if problem:
            raise problem
        self._completed = self._clock()
        self._metrics.resync(missed)
        if missed:
            log.info("resynced", missed=missed)

    async def _list(self, resource: Resource, namespace: str) -> int:
        try:
            listed = await self._api.list_all(resource, namespace)
        except errors.NotServedError:
            self._unserved[resource] = self._unserved.get(resource, 0) + 1
            if self._unserved[resource] < UNSERVED_LISTS:
                raise
            return self._inventory.replace(resource, [], None, namespace)
        self._unserved[resource] = 0
        await asyncio.sleep(0)  # what has fallen due while the last page was parsed comes first
        missed = self._take(resource, namespace, listed)
        await _free(listed.items)
        return missed

    def _take(self, resource: Resource, namespace: str, listed: Listed) -> int:
        """Take a list in, unless it is older than one before it: a replica that lags, or a cache that was restored."""
        key = (resource, namespace)
        version = int(listed.resource_version) if listed.resource_version.isdecimal() else None
        if version is not None and version < self._newest.get(key, 0):
            self._stale[key] = self._stale.get(key, 0) + 1
            if self._stale[key] < STALE_LISTS:
                raise errors.UnavailableError(
                    f"the API server lists {resource} as of version {version}, older than {self._newest[key]}: "
                    "it lags behind, or was restored"
                )
            log.warning("restored", resource=str(resource), version=version, newest=self._newest[key])
            self._inventory.forget_versions()
        self._stale[key] = 0
        if version is not None:
            self._newest[key] = version
        return self._inventory.replace(resource, listed.items, version, namespace)

    def _say(self, problem: str) -> None:
        """Log what stands in the way, once for as long as it stays the same."""
        if problem and problem != self.problem:
            log.warning("not_listed", why=problem, since=f"{self.age:.0f} s")
        self.problem = problem


async def _free(items: list[dict[str, Any]]) -> None:
    """Let go of a list's objects some at a time, with others' turns in between."""
    while items:
        await asyncio.sleep(0)
        del items[-FREED_AT_ONCE:]
