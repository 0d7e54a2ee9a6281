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
        readable = [INFERENCE_SERVICES, *[r for r in (SERVING_RUNTIMES, CLUSTER_SERVING_RUNTIMES) if await self._read_runtimes(r)]]
        while True:
            try:
                await self._read_services()
            except errors.KubeError as error:
                self._say(str(error))
                await asyncio.sleep(RETRY)
            else:
                break
        if self.waiting_for:
            self.waiting_for = ""
        log.info("inventory_read", services=len(self._inventory), watching=[str(r) for r in readable])
        return readable

    def _say(self, what: str) -> None:
        """Log what stands in the way, once for as long as it stays the same."""
        if what != self.waiting_for:
            self.waiting_for = what
            log.warning("waiting", why=what)

    async def _read_services(self) -> None:
        for namespace in self._namespaces:
            found = [item async for item in self._api.list_all(INFERENCE_SERVICES, namespace)]
            first = await self._api.list_page(INFERENCE_SERVICES, namespace, limit=1)
            await self._api.try_watch(INFERENCE_SERVICES, namespace, first["metadata"]["resourceVersion"])
            for item in found:
                self._inventory.put_service(item)

    async def _read_runtimes(self, resource: Resource) -> bool:
        """Read the runtimes, where they may be read: without them a service's protocol falls back to its own fields."""
        found: list[dict[str, Any]] = []
        try:
            for namespace in self._namespaces if resource.namespaced else EVERYWHERE:
                found += [item async for item in self._api.list_all(resource, namespace)]
        except (errors.ForbiddenError, errors.NotServedError) as error:
            log.warning("runtimes_unreadable", resource=str(resource), why=str(error), so="protocols come from the services alone")
            return False
        except errors.KubeError as error:
            self._say(str(error))
            await asyncio.sleep(RETRY)
            return await self._read_runtimes(resource)
        for item in found:
            self._inventory.put_runtime(item)
        return True
