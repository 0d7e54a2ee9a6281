"""Before watching: is the resource there, and may we read it? Waits for what is missing and says what that is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

from isvcwatch.kube import errors
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, INFERENCE_SERVICES, SERVING_RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.kube.api import Api
    from isvcwatch.kube.inventory import Inventory
    from isvcwatch.kube.resources import Resource

log = structlog.get_logger(__name__)

EVERYWHERE: Final = ("",)
RETRY: Final = 2.0
"""Seconds between two tries; what is missing may come at any moment, and one list a try is nothing to an API server."""


RUNTIMES: Final = (SERVING_RUNTIMES, CLUSTER_SERVING_RUNTIMES)


class Preflight:
    """The first look at the cluster: fills the inventory, so that what is read by watching later is known to be all.

    Attributes:
        waiting_for: what stands in the way at present, for /readyz; empty where nothing does.
    """

    def __init__(self, api: Api, inventory: Inventory, namespaces: Sequence[str]) -> None:
        self._api = api
        self._inventory = inventory
        self._namespaces = tuple(namespaces) or EVERYWHERE
        self.waiting_for = "the first list of InferenceServices"

    async def run(self) -> list[Resource]:
        """Return once all InferenceServices have been read: the resources that can be watched."""
        while True:
            try:
                watchable = await self._look()
            except errors.KubeError as error:
                self._say(str(error))
                await asyncio.sleep(RETRY)
            else:
                self.waiting_for = ""
                log.info("inventory_read", services=len(self._inventory), watching=[str(r) for r in watchable])
                return watchable

    def _say(self, what: str) -> None:
        """Log what stands in the way, once for as long as it stays the same."""
        if what != self.waiting_for:
            self.waiting_for = what
            log.warning("waiting", why=what)

    async def _look(self) -> list[Resource]:
        """Read everything, all of it anew: CRDs come one after the other, and what was missing a moment ago may be there."""
        read = await asyncio.gather(*map(self._read, (INFERENCE_SERVICES, *RUNTIMES)), return_exceptions=True)
        services, *others = read
        if isinstance(services, BaseException):
            raise services
        runtimes: dict[Resource, list[dict[str, Any]]] = {}
        for resource, found in zip(RUNTIMES, others, strict=True):
            match found:
                case list():
                    runtimes[resource] = found
                case errors.ForbiddenError() | errors.NotServedError():  # a service's protocol falls back to its own fields
                    so = "protocols come from the services alone"
                    log.warning("runtimes_unreadable", resource=str(resource), why=str(found), so=so)
                case _:
                    raise found
        for found in runtimes.values():
            for item in found:
                self._inventory.put_runtime(item)
        for item in services:
            self._inventory.put_service(item)
        return [INFERENCE_SERVICES, *runtimes]

    async def _read(self, resource: Resource) -> list[dict[str, Any]]:
        """Every object of a kind that can be read, watched and found: kopf watches only what discovery names when it starts."""
        found: list[dict[str, Any]] = []
        for namespace in self._namespaces if resource.namespaced else EVERYWHERE:
            listed = await self._api.list_all(resource, namespace)
            await self._api.try_watch(resource, namespace, listed.resource_version)
            found += listed.items
        if not await self._api.discovers(resource):
            raise errors.NotServedError(f"{resource} is not served: discovery does not name it yet")
        return found
