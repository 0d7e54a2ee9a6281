"""Checks before watching that the resources exist and may be read; waits for what is missing, and logs it."""

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
"""Stands for all namespaces where none is named, and for cluster-scoped kinds."""

RETRY: Final = 2.0
"""Seconds between two tries; what is missing may appear at any moment, and one list for each try is little load on an API server."""


class Preflight:
    """Reads all objects once at the start, so that the store is complete before the watch begins.

    Attributes:
        waiting_for: what is missing at present, for /readyz; empty if nothing is.
    """

    def __init__(self, api: Api, store: Store, namespaces: Sequence[str]) -> None:
        self._api = api
        self._store = store
        self._namespaces = tuple(namespaces) or EVERYWHERE
        self.waiting_for = "the first list of InferenceServices"

    async def run(self) -> list[Kind[Any]]:
        """Wait until all InferenceServices have been read, and return the kinds that can be watched."""
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
        """Log what is missing, but only when it has changed."""
        if what != self.waiting_for:
            self.waiting_for = what
            log.warning("waiting", why=what)

    async def _look(self) -> list[Kind[Any]]:
        """Read every kind again. CRDs are installed one after the other, so that a kind that was missing before may exist now."""
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
    """Read every object of a kind, and check that it may be watched and is in discovery: kopf watches only kinds that it finds there.

    Raises:
        KubeError: the kind can't be listed, watched or found in discovery.
    """
    for namespace in namespaces if kind.resource.namespaced else EVERYWHERE:
        version = ""
        async for page in api.pages(kind.resource, namespace, kind.selector):
            for raw in page.items:
                store.put(kind, raw)
            version = page.resource_version
        await api.try_watch(kind.resource, namespace, version)
    if not await api.discovers(kind.resource):
        raise errors.NotServedError(f"{kind} is not served: discovery does not name it yet")
