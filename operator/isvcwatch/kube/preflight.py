"""Checks before watching that the resources exist and may be read; waits for what is missing, and logs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

from isvcwatch.kube import errors
from isvcwatch.kube.backoff import pause
from isvcwatch.kube.kinds import KINDS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.kube.api import Api
    from isvcwatch.kube.kinds import Kind
    from isvcwatch.kube.store import Store

log = structlog.get_logger(__name__)

EVERYWHERE: Final = ("",)
"""Stands for all namespaces where none is named, and for cluster-scoped kinds."""

NEEDED_FIRST: Final = sorted(KINDS, key=lambda kind: bool(kind.without))
"""The kinds in the order in which they are checked, so that while one that is needed is missing, no other is asked for."""


class Preflight:
    """Reads all objects once at the start, so that the store is complete before the watch begins.

    Attributes:
        waiting_for: what is missing at present, for /readyz; empty if nothing is.
    """

    def __init__(self, api: Api, store: Store, namespaces: Sequence[str]) -> None:
        self._api = api
        self._store = store
        self._namespaces = tuple(namespaces)
        self.waiting_for = "the first list of InferenceServices"

    async def run(self) -> list[Kind[Any]]:
        """Wait until all InferenceServices have been read, and return the kinds that can be watched."""
        tries = 0
        while True:
            try:
                watchable = await self._look()
            except errors.KubeError as error:
                tries = 1 if self._say(str(error)) else tries + 1
                await asyncio.sleep(pause(tries, error.retry_after))
            else:
                self.waiting_for = ""
                log.info("cluster_read", services=self._store.count(SERVICES), watching=[str(kind) for kind in watchable])
                return watchable

    def _say(self, what: str) -> bool:
        """Log what is missing, but only when it has changed; return whether it has."""
        if what == self.waiting_for:
            return False
        self.waiting_for = what
        log.warning("waiting", why=what)
        return True

    async def _look(self) -> list[Kind[Any]]:
        """Check every kind again, and read all only once they pass, since a list of all may be thousands of objects.

        CRDs are installed one after the other, so that a kind that was missing before may exist now.
        """
        missing: dict[Kind[Any], errors.KubeError] = {}
        for kind in NEEDED_FIRST:
            try:
                await check(self._api, kind, self._namespaces)
            except (errors.ForbiddenError, errors.NotServedError) as error:
                if not kind.without:
                    raise
                missing[kind] = error
        readable = [kind for kind in KINDS if kind not in missing]
        for kind in readable:
            await read_all(self._api, self._store, kind, self._namespaces)
        for kind, why in missing.items():
            log.warning("kind_unreadable", resource=str(kind), why=str(why), so=kind.without)
        return readable


async def check(api: Api, kind: Kind[Any], namespaces: Sequence[str]) -> None:
    """Check that a kind may be listed and watched and is in discovery: kopf watches only kinds that it finds there.

    Lists one object alone, for the version that a watch begins at.

    Raises:
        KubeError: the kind can't be listed, watched or found in discovery.
    """
    for namespace in places(kind, namespaces):
        page = await api.list_page(kind.resource, namespace, selector=kind.selector, limit=1)
        await api.try_watch(kind.resource, namespace, (page.get("metadata") or {}).get("resourceVersion") or "")
    if not await api.discovers(kind.resource):
        raise errors.NotServedError(f"{kind} is not served: discovery does not name it yet")


async def read_all(api: Api, store: Store, kind: Kind[Any], namespaces: Sequence[str]) -> None:
    """Read every object of a kind.

    Raises:
        KubeError: the kind can't be listed.
    """
    for namespace in places(kind, namespaces):
        async for page in api.pages(kind.resource, namespace, kind.selector):
            for raw in page.items:
                store.put(kind, raw)


def places(kind: Kind[Any], namespaces: Sequence[str]) -> Sequence[str]:
    """The namespaces in which a kind is read, of those that are watched; none of these stands for all."""
    return namespaces or EVERYWHERE if kind.resource.namespaced else EVERYWHERE
