"""Before watching: is the resource there, and may we read it? Waits for what is missing and says what that is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

from isvcwatch.kube import errors
from isvcwatch.kube.kinds import KINDS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.kube.api import Api
    from isvcwatch.kube.kinds import Kind
    from isvcwatch.kube.store import Store

log = structlog.get_logger(__name__)

EVERYWHERE: Final = ("",)
RETRY: Final = 2.0
"""Seconds between two tries; what is missing may come at any moment, and one list a try is nothing to an API server."""


class Preflight:
    """The first look at the cluster: fills the store, so that what is read by watching later is known to be all.

    Attributes:
        waiting_for: what stands in the way at present, for /readyz; empty where nothing does.
    """

    def __init__(self, api: Api, store: Store, namespaces: Sequence[str]) -> None:
        self._api = api
        self._store = store
        self._namespaces = tuple(namespaces) or EVERYWHERE
        self.waiting_for = "the first list of InferenceServices"

    async def run(self) -> list[Kind[Any]]:
        """Return once all InferenceServices have been read: the kinds that can be watched."""
        while True:
            try:
                watchable = await self._look()
            except errors.KubeError as error:
                self._say(str(error))
                await asyncio.sleep(RETRY)
            else:
                self.waiting_for = ""
                log.info("cluster_read", services=self._store.count(SERVICES), watching=[str(kind) for kind in watchable])
                return watchable

    def _say(self, what: str) -> None:
        """Log what stands in the way, once for as long as it stays the same."""
        if what != self.waiting_for:
            self.waiting_for = what
            log.warning("waiting", why=what)

    async def _look(self) -> list[Kind[Any]]:
        """Read everything, all of it anew: CRDs come one after the other, and what was missing a moment ago may be there."""
        read = await asyncio.gather(*(read_all(self._api, kind, self._namespaces) for kind in KINDS), return_exceptions=True)
        readable: dict[Kind[Any], list[dict[str, Any]]] = {}
        for kind, found in zip(KINDS, read, strict=True):
            match found:
                case list():
                    readable[kind] = found
                case errors.ForbiddenError() | errors.NotServedError() if kind.without:
                    log.warning("kind_unreadable", resource=str(kind), why=str(found), so=kind.without)
                case _:
                    raise found
        for kind, items in readable.items():
            for item in items:
                self._store.put(kind, item)
        return list(readable)


async def read_all(api: Api, kind: Kind[Any], namespaces: Sequence[str]) -> list[dict[str, Any]]:
    """Every object of a kind that can be listed, watched and found: kopf watches only what discovery names when it starts.

    Raises:
        KubeError: it can't.
    """
    found: list[dict[str, Any]] = []
    for namespace in namespaces if kind.resource.namespaced else EVERYWHERE:
        listed = await api.list_all(kind.resource, namespace)
        await api.try_watch(kind.resource, namespace, listed.resource_version)
        found += listed.items
    if not await api.discovers(kind.resource):
        raise errors.NotServedError(f"{kind} is not served: discovery does not name it yet")
    return found
