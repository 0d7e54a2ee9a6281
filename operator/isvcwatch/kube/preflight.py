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
        readable: list[Kind[Any]] = []
        missing: list[tuple[Kind[Any], errors.KubeError]] = []
        for kind in KINDS:
            try:
                await read_all(self._api, self._store, kind, self._namespaces)
            except (errors.ForbiddenError, errors.NotServedError) as error:
                if not kind.without:
                    raise
                missing.append((kind, error))
            else:
                readable.append(kind)
        for kind, why in missing:
            log.warning("kind_unreadable", resource=str(kind), why=str(why), so=kind.without)
        return readable


async def read_all(api: Api, store: Store, kind: Kind[Any], namespaces: Sequence[str]) -> None:
    """Read every object of a kind that can be listed, watched and found: kopf watches only what discovery names when it starts.

    Raises:
        KubeError: it can't.
    """
    for namespace in namespaces if kind.resource.namespaced else EVERYWHERE:
        version = ""
        async for page in api.pages(kind.resource, namespace):
            for raw in page.items:
                store.put(kind, raw)
            version = page.resource_version
        await api.try_watch(kind.resource, namespace, version)
    if not await api.discovers(kind.resource):
        raise errors.NotServedError(f"{kind} is not served: discovery does not name it yet")
