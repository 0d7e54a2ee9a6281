"""What is in the cluster, parsed: the InferenceServices and the runtimes they run on. Tells a listener of every change."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from isvcwatch.core.objects import RuntimeKey
from isvcwatch.core.step import Gone, Seen
from isvcwatch.kube import parse
from isvcwatch.kube.resources import INFERENCE_SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from isvcwatch.core.objects import InferenceService, Runtime
    from isvcwatch.kube.resources import Resource

log = structlog.get_logger(__name__)


REMEMBERED: Final = 10_000
"""Objects that are gone of which the versions are remembered, so that what arrives late does not bring them back."""


class Inventory:
    """The cluster as last heard of: never older than it was, and without the dead.

    What arrives late (a PATCH's answer after the deletion, an event of before a list) is told by its resourceVersion, which API servers
    count up. A version that is no number is taken as it comes.
    """

    def __init__(self) -> None:
        self._services: dict[str, InferenceService] = {}
        self._runtimes: dict[RuntimeKey, Runtime] = {}
        self._runtime_versions: dict[RuntimeKey, int] = {}
        self._dead: OrderedDict[str, int] = OrderedDict()
        self._listeners: list[Callable[[str, Seen | Gone], None]] = []

    def __len__(self) -> int:
        return len(self._services)

    def subscribe(self, listener: Callable[[str, Seen | Gone], None]) -> None:
        """Give the listener every change from now on, by the UID of the service that it happens to."""
        self._listeners.append(listener)

    def put_service(self, raw: Mapping[str, Any]) -> bool:
        """Take in a service as the API server sent it. What is unchanged, older than what is held, or dead, is not told.

        Returns:
            Whether anything changed.
        """
        if self._is_held(raw):
            return False
        isvc = _parsed(raw)
        if isvc is None or (isvc.uid in self._dead and _version(isvc.resource_version) <= self._dead[isvc.uid]):
            return False
        held = self._services.get(isvc.uid)
        if held == isvc or (held is not None and _version(isvc.resource_version) < _version(held.resource_version)):
            return False
        self._services[isvc.uid] = isvc
        self._tell(isvc)
        return True

    def drop_service(self, uid: str, version: str = "") -> bool:
        """Forget a service.

        Args:
            uid: which.
            version: the resourceVersion of its deletion, where that is known.
        """
        held = self._services.pop(uid, None)
        self._bury(uid, max(_version(version), _version(held.resource_version) if held else -1))
        if held is None:
            return False
        for listener in self._listeners:
            listener(uid, Gone())
        return True

    def put_runtime(self, raw: Mapping[str, Any]) -> bool:
        """Take in a runtime; the services that run on it may be spoken to differently from now on."""
        runtime, version = parse.runtime(raw), _version_of(raw)
        if version < self._runtime_versions.get(runtime.key, -1):
            return False
        self._runtime_versions[runtime.key] = version
        if self._runtimes.get(runtime.key) == runtime:
            return False
        self._runtimes[runtime.key] = runtime
        self._tell_users(runtime.key)
        return True

    def drop_runtime(self, key: RuntimeKey) -> bool:
        """Forget a runtime."""
        self._runtime_versions.pop(key, None)
        if self._runtimes.pop(key, None) is None:
            return False
        self._tell_users(key)
        return True

    def replace(self, resource: Resource, items: Sequence[Mapping[str, Any]], version: int | None, namespace: str = "") -> int:
        """Be as a complete list is: what it lacks is gone, unless it is newer than the list.

        Args:
            resource: the kind that was listed.
            items: every object of it.
            version: the list's resourceVersion; None where it is no number.
            namespace: the only namespace that was listed; empty where all were.

        Returns:
            How many changes nobody had told of.
        """
        as_of = math.inf if version is None else version
        if resource == INFERENCE_SERVICES:
            return self._replace_services(items, as_of, namespace)
        return self._replace_runtimes(items, as_of, namespace, namespaced=resource.namespaced)

    def forget_versions(self) -> None:
        """The API server was restored to an older state: what it says from now on is newer than what is held."""
        self._dead.clear()
        self._runtime_versions.clear()
        self._services = {uid: replace(isvc, resource_version="") for uid, isvc in self._services.items()}

    def runtime_of(self, isvc: InferenceService) -> Runtime | None:
        """The runtime of a service; one that only the spec names is looked for in the namespace, then in the cluster."""
        key = isvc.runtime
        if key is None:
            return None
        return self._runtimes.get(key) or self._runtimes.get(RuntimeKey("", key.name))

    def _replace_services(self, items: Sequence[Mapping[str, Any]], as_of: float, namespace: str) -> int:
        listed = {uid: raw for raw in items if (uid := _metadata(raw).get("uid"))}
        for uid in [uid for uid in listed if self._dead.get(uid, math.inf) < as_of]:
            del self._dead[uid]  # it was taken for dead, perhaps since its kind was not served for a moment
        changes = sum(self.put_service(raw) for raw in listed.values())
        lacking = [
            isvc
            for uid, isvc in self._services.items()
            if uid not in listed and (not namespace or isvc.namespace == namespace) and _version(isvc.resource_version) <= as_of
        ]
        return changes + sum(self.drop_service(isvc.uid) for isvc in lacking)

    def _replace_runtimes(self, items: Sequence[Mapping[str, Any]], as_of: float, namespace: str, *, namespaced: bool) -> int:
        listed = {parse.runtime(raw).key for raw in items}
        changes = sum(self.put_runtime(raw) for raw in items)
        lacking = [
            key
            for key in self._runtimes
            if key not in listed
            and bool(key.namespace) is namespaced
            and (not namespace or key.namespace == namespace)
            and self._runtime_versions.get(key, -1) <= as_of
        ]
        return changes + sum(self.drop_runtime(key) for key in lacking)

    def _is_held(self, raw: Mapping[str, Any]) -> bool:
        """Whether the object is held in this very version: then it need not be parsed, as with nearly all of a complete list."""
        metadata = _metadata(raw)
        uid, version = metadata.get("uid"), metadata.get("resourceVersion")
        held = self._services.get(uid) if isinstance(uid, str) else None
        return held is not None and bool(version) and held.resource_version == version

    def _bury(self, uid: str, version: int) -> None:
        self._dead[uid] = max(version, self._dead.get(uid, -1))
        self._dead.move_to_end(uid)
        if len(self._dead) > REMEMBERED:
            self._dead.popitem(last=False)

    def _tell_users(self, key: RuntimeKey) -> None:
        for isvc in [s for s in self._services.values() if s.runtime and s.runtime.name == key.name]:
            self._tell(isvc)

    def _tell(self, isvc: InferenceService) -> None:
        seen = Seen(isvc, self.runtime_of(isvc))
        for listener in self._listeners:
            listener(isvc.uid, seen)


def _parsed(raw: Mapping[str, Any]) -> InferenceService | None:
    try:
        isvc = parse.inference_service(raw)
    except Exception:  # a bug that one object brings out must not cost the others their watcher
        log.exception("object_failed", uid=str(_metadata(raw).get("uid")))
        return None
    if not (isvc.uid and isvc.namespace and isvc.name):
        log.warning("object_ignored", why="it has no uid, namespace or name")
        return None
    return isvc


def _metadata(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    found = raw.get("metadata")
    return found if isinstance(found, dict) else {}


def _version_of(raw: Mapping[str, Any]) -> int:
    found = _metadata(raw).get("resourceVersion")
    return _version(found if isinstance(found, str) else "")


def _version(text: str) -> int:
    """A resourceVersion as API servers count them; -1 for one that is no number, which is older than none."""
    return int(text) if text.isdecimal() and text.isascii() else -1
