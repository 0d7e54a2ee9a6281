"""What is in the cluster, parsed: the InferenceServices and the runtimes they run on. Tells a listener of every change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import structlog

from isvcwatch.core.objects import RuntimeKey
from isvcwatch.kube import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from isvcwatch.core.objects import InferenceService, Runtime

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Who wants to know."""

    def changed(self, isvc: InferenceService, runtime: Runtime | None) -> None:
        """A service is new or has changed, or its runtime has."""

    def gone(self, uid: str) -> None:
        """A service is no more."""


class Inventory:
    """The cluster as last heard of."""

    def __init__(self) -> None:
        self._services: dict[str, InferenceService] = {}
        self._runtimes: dict[RuntimeKey, Runtime] = {}
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[InferenceService]:
        return iter(self._services.values())

    def __len__(self) -> int:
        return len(self._services)

    def subscribe(self, listener: Listener) -> None:
        """Tell the listener of every change from now on."""
        self._listeners.append(listener)

    def get(self, uid: str) -> InferenceService | None:
        """The service, if it is there."""
        return self._services.get(uid)

    def put_service(self, raw: Mapping[str, Any]) -> None:
        """Take in a service as the API server sent it. What is unchanged is not told."""
        isvc = parse.inference_service(raw)
        if not (isvc.uid and isvc.namespace and isvc.name):
            log.warning("object_ignored", why="it has no uid, namespace or name")
            return
        if self._services.get(isvc.uid) != isvc:
            self._services[isvc.uid] = isvc
            self._tell(isvc)

    def drop_service(self, uid: str) -> None:
        """Forget a service."""
        if self._services.pop(uid, None):
            for listener in self._listeners:
                listener.gone(uid)

    def put_runtime(self, raw: Mapping[str, Any]) -> None:
        """Take in a runtime; the services that run on it may be spoken to differently from now on."""
        runtime = parse.runtime(raw)
        if self._runtimes.get(runtime.key) != runtime:
            self._runtimes[runtime.key] = runtime
            self._tell_users(runtime.key)

    def drop_runtime(self, key: RuntimeKey) -> None:
        """Forget a runtime."""
        if self._runtimes.pop(key, None):
            self._tell_users(key)

    def runtime_of(self, isvc: InferenceService) -> Runtime | None:
        """The runtime of a service; one that only the spec names is looked for in the namespace, then in the cluster."""
        key = isvc.runtime
        if key is None:
            return None
        return self._runtimes.get(key) or self._runtimes.get(RuntimeKey("", key.name))

    def _tell_users(self, key: RuntimeKey) -> None:
        for isvc in [s for s in self._services.values() if s.runtime and s.runtime.name == key.name]:
            self._tell(isvc)

    def _tell(self, isvc: InferenceService) -> None:
        runtime = self.runtime_of(isvc)
        for listener in self._listeners:
            try:
                listener.changed(isvc, runtime)
            except Exception:  # a bug that one object brings out must not cost the others their watcher
                log.exception("object_failed", namespace=isvc.namespace, name=isvc.name)
