"""Holds the cluster's objects, parsed, by kind and UID. Never replaces one with an older version or restores a deleted one."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import structlog

from isvcwatch.core.edges import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from isvcwatch.kube.kinds import Key, Kind

T = TypeVar("T")

log = structlog.get_logger(__name__)

PORTION: Final = 500
"""Objects removed in one turn of the event loop: some 10 ms."""

REMEMBERED: Final = 10_000
"""Deleted objects whose versions are remembered, so that a late message does not restore them."""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """An object is new, has changed, or was deleted.

    Attributes:
        kind: the object's kind.
        uid: the object's UID.
        thing: the object; if it was deleted, as it was before.
        gone: whether it was deleted.
    """

    kind: Kind[T]
    uid: str
    thing: T
    gone: bool = False


@dataclass(slots=True)
class _Held(Generic[T]):
    """An object in the store.

    Attributes:
        thing: the parsed object.
        key: the key by which other objects refer to it.
        text: its resourceVersion as the API server writes it.
        version: its resourceVersion as a number; -1 if it is not one.
    """

    thing: T
    key: Key
    text: str
    version: int


class Store:
    """Holds the cluster's objects as last heard of.

    A message may arrive late, such as a PATCH's answer after the object's deletion. It is recognised by its resourceVersion, which API
    servers count up. An object whose version is not a number is always taken in.

    Args:
        changed: takes each change, before the method that found it returns.
        failed: takes each object that could not be parsed, once for each of its versions.
    """

    def __init__(self, changed: Callable[[Change[Any]], None], failed: Callable[[Failed], None] = lambda _: None) -> None:
        self._changed = changed
        self._failed = failed
        self._held: dict[Kind[Any], dict[str, _Held[Any]]] = {}
        self._by_key: dict[tuple[Kind[Any], Key], str] = {}
        self._groups: dict[tuple[Kind[Any], Key], dict[str, None]] = {}
        self._dead: OrderedDict[str, int] = OrderedDict()
        self._unreadable: dict[str, str] = {}

    def of(self, kind: Kind[T]) -> Iterator[T]:
        """All objects of a kind."""
        return (held.thing for held in self._held.get(kind, {}).values())

    def get(self, kind: Kind[T], uid: str) -> T | None:
        """The object of that UID."""
        held = self._held.get(kind, {}).get(uid)
        return held.thing if held else None

    def count(self, kind: Kind[Any]) -> int:
        """How many objects of a kind there are."""
        return len(self._held.get(kind, {}))

    def find(self, kind: Kind[T], namespace: str, name: str) -> T | None:
        """The object of that name; the namespace of a cluster-scoped object is empty."""
        uid = self._by_key.get((kind, (namespace, name)))
        held = self._held.get(kind, {}).get(uid) if uid else None
        return held.thing if held else None

    def group(self, kind: Kind[T], key: Key) -> list[T]:
        """The objects of a kind that belong to a key, in the order in which they came."""
        objects = self._held.get(kind, {})
        return [objects[uid].thing for uid in self._groups.get((kind, key), ())]

    def put(self, kind: Kind[Any], raw: Mapping[str, Any]) -> bool:
        """Take in an object as the API server sent it, unless the store has it already or in a newer version, or it was deleted.

        Returns:
            Whether anything changed.
        """
        metadata = _metadata(raw)
        uid, text = str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")
        key = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
        if not (uid and key[1] and bool(key[0]) is kind.resource.namespaced):
            log.warning("object_ignored", kind=str(kind), why="it has no uid, namespace or name")
            return False
        if self._is_known(kind, uid, key, text) or (thing := self._parsed(kind, raw, uid, text)) is None:
            return False
        version, held = _version(text), self._held.get(kind, {}).get(uid)
        if held is not None and held.thing == thing:
            held.text, held.version = text, version
            return False
        if (before := self._by_key.get((kind, key), uid)) != uid:  # an object that was created anew under the same name has another UID
            self.drop(kind, before)
        if held is not None:
            self._ungroup(kind, uid, held.thing)
        self._held.setdefault(kind, {})[uid] = _Held(thing, key, text, version)
        if kind.belongs is not None:
            for key_of_group in kind.belongs(thing):
                self._groups.setdefault((kind, key_of_group), {})[uid] = None
        self._by_key[kind, key] = uid
        self._changed(Change(kind, uid, thing))
        return True

    def drop(self, kind: Kind[Any], uid: str, resource_version: str = "") -> bool:
        """Remove a deleted object.

        Args:
            kind: its kind.
            uid: the object's UID.
            resource_version: the version of its deletion; empty if that is not known.
        """
        held = self._held.get(kind, {}).pop(uid, None)
        self._bury(uid, max(_version(resource_version), held.version if held else -1))
        self._unreadable.pop(uid, None)
        if held is None:
            return False
        if self._by_key.get((kind, held.key)) == uid:
            del self._by_key[kind, held.key]
        self._ungroup(kind, uid, held.thing)
        self._changed(Change(kind, uid, held.thing, gone=True))
        return True

    def take(self, kind: Kind[Any], items: Sequence[Mapping[str, Any]], version: int | None) -> int:
        """Take in a page of a list.

        Args:
            kind: what was listed.
            items: the objects on the page.
            version: the list's resourceVersion; None if it is not a number.

        Returns:
            How many changes the store had not been told of.
        """
        as_of = math.inf if version is None else version
        objects = self._held.get(kind, {})
        for raw in items:
            uid, version_there = str(_metadata(raw).get("uid")), _version(str(_metadata(raw).get("resourceVersion")))
            if self._dead.get(uid, math.inf) < as_of:  # taken for dead, perhaps since its kind was not served for a moment
                del self._dead[uid]
            if (held := objects.get(uid)) and version_there < held.version <= as_of:
                held.version = -1  # a newer list has it as it was before: the API server was restored from a backup
        return sum(self.put(kind, raw) for raw in items)

    async def retain(self, kind: Kind[Any], uids: Container[str], version: int | None, namespace: str = "") -> int:
        """Remove the objects that a complete list lacks, unless they are newer than the list.

        The event loop has turns between them: where the list lacks all of tens of thousands, to remove them takes most of a second.

        Args:
            kind: what was listed.
            uids: the UIDs of all objects on the list.
            version: the list's resourceVersion; None if it is not a number.
            namespace: the only namespace that was listed; empty where all were.

        Returns:
            How many changes the store had not been told of.
        """
        as_of = math.inf if version is None else version
        objects = self._held.get(kind, {})
        lacking = [
            uid
            for uid, held in objects.items()
            if uid not in uids and (not namespace or held.key[0] == namespace) and held.version <= as_of
        ]
        missed = 0
        for number, uid in enumerate(lacking, 1):
            if (held := objects.get(uid)) is not None and held.version <= as_of:  # the watch may have told of it between two turns
                missed += self.drop(kind, uid)
            if number % PORTION == 0:
                await asyncio.sleep(0)
        return missed

    def forget_versions(self) -> None:
        """Forget all versions, since the API server was restored to an older state, so that its objects replace those in the store."""
        self._dead.clear()
        for held in (held for objects in self._held.values() for held in objects.values()):
            held.text, held.version = "", -1

    def _is_known(self, kind: Kind[Any], uid: str, key: Key, text: str) -> bool:
        """Whether a message holds nothing new, as with nearly all objects of a complete list, and with late messages."""
        version, objects = _version(text), self._held.get(kind, {})
        held = objects.get(uid)
        if held is not None and ((text and held.text == text) or -1 < version < held.version):
            return True
        if uid in self._dead and version <= self._dead[uid]:
            return True
        namesake = objects.get(self._by_key.get((kind, key), uid))
        if namesake is not None and namesake is not held and -1 < version < namesake.version:
            return True
        return bool(text) and self._unreadable.get(uid) == text

    def _parsed(self, kind: Kind[T], raw: Mapping[str, Any], uid: str, text: str) -> T | None:
        """The parsed object; None if parsing it raised an exception, which is reported and does not stop the others."""
        try:
            thing = kind.parse(raw)
        except Exception as error:  # noqa: BLE001 -- see above
            self._unreadable[uid] = text
            self._failed(Failed(uid, error))
            return None
        self._unreadable.pop(uid, None)
        return thing

    def _ungroup(self, kind: Kind[T], uid: str, thing: T) -> None:
        """Take an object out of the groups that it belonged to."""
        for key in kind.belongs(thing) if kind.belongs else ():
            members = self._groups[kind, key]
            del members[uid]
            if not members:
                del self._groups[kind, key]

    def _bury(self, uid: str, version: int) -> None:
        self._dead[uid] = max(version, self._dead.get(uid, -1))
        self._dead.move_to_end(uid)
        if len(self._dead) > REMEMBERED:
            self._dead.popitem(last=False)


def uids_of(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """The UIDs of objects as the API server sends them."""
    return [uid for raw in items if isinstance(uid := _metadata(raw).get("uid"), str)]


def _metadata(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    found = raw.get("metadata") if isinstance(raw, dict) else None
    return found if isinstance(found, dict) else {}


def _version(text: str) -> int:
    """A resourceVersion as a number; -1 if it is not one, which never counts as older than another."""
    return int(text) if text.isdecimal() and text.isascii() else -1
