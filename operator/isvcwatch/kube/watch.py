"""kopf, as a watcher that never writes: `on.event` only, its own bookkeeping switched off."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, Final

import kopf
import structlog

from isvcwatch.core.objects import RuntimeKey
from isvcwatch.kube.resources import INFERENCE_SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from isvcwatch.kube.connection import Connection
    from isvcwatch.kube.inventory import Inventory
    from isvcwatch.kube.resources import Resource

log = structlog.get_logger(__name__)

UNUSED_FINALIZER: Final = "isvcwatch.dev/never-set"
"""An event-only kopf operator takes its finalizer off every object that has it: with kopf's default name, other operators'."""


class EndlessBackoff:
    """Seconds between tries, for ever: with a finite list kopf dies of an outage that outlasts it."""

    def __iter__(self) -> Iterator[float]:
        """Start anew for each request."""
        return itertools.chain((0.1, 0.5, 1.0, 2.0, 5.0), itertools.repeat(10.0))


def settings() -> kopf.OperatorSettings:
    """Settings of kopf for a watcher that writes nothing."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.finalizer = UNUSED_FINALIZER
    chosen.posting.enabled = False
    chosen.scanning.disabled = True  # the preflight has seen to it that the resources are there; saves the rights to watch CRDs
    chosen.networking.error_backoffs = EndlessBackoff()
    chosen.watching.server_timeout = 300  # whole seconds: the API server refuses a fraction
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 10.0
    chosen.watching.chunk_size = 500  # facts of 10,000 objects: 7 s and 235 MB, against 11 s and 290 MB unpaged
    chosen.queueing.idle_timeout = 1.0
    return chosen


class Watch:
    """Feeds the inventory from the API server's watch."""

    def __init__(self, connection: Connection, inventory: Inventory, namespaces: Sequence[str]) -> None:
        self._connection = connection
        self._inventory = inventory
        self._namespaces = tuple(namespaces)

    async def run(self, resources: Iterable[Resource], stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Watch until `stop` is set.

        Args:
            resources: what to watch; all of them must be served.
            stop: ends it.
            started: called once kopf has taken the process's signals for itself, to take them back: ended by them it lingers for 5 s.
        """
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=self._registry(resources),
            settings=settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
        )
        started()
        await kopf.run_tasks(tasks, ignored=others)

    def _registry(self, resources: Iterable[Resource]) -> kopf.OperatorRegistry:
        """Handlers are glue: each takes an event in, and no more."""
        registry = kopf.OperatorRegistry()

        async def login(**_: Any) -> kopf.AiohttpSession:  # noqa: ANN401 -- kopf's calling convention
            return self._connection.kopf_session()

        async def service(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401
            if event["type"] == "DELETED":
                self._inventory.drop_service(event["object"]["metadata"]["uid"])
            else:
                self._inventory.put_service(event["object"])

        async def runtime(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401
            if event["type"] == "DELETED":
                metadata = event["object"]["metadata"]
                self._inventory.drop_runtime(RuntimeKey(metadata.get("namespace", ""), metadata["name"]))
            else:
                self._inventory.put_runtime(event["object"])

        kopf.on.login(registry=registry)(login)
        for resource in resources:
            handler = service if resource == INFERENCE_SERVICES else runtime
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)(handler)
        return registry
