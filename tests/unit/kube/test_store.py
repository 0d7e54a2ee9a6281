"""The cluster as last heard of, and who is told of changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.core.step import Seen
from isvcwatch.kube.kinds import CLUSTER_RUNTIMES, RUNTIMES, SERVICES, SLICES, concerned, happened, runtime_of
from isvcwatch.kube.store import PORTION, REMEMBERED, Change, Store, uids_of
from rig import endpoints
from rig import kserve_status as kserve

if TYPE_CHECKING:
    from isvcwatch.kube.kinds import Kind

Manifest = dict[str, Any]


class Unreadable(Manifest):
    """Metadata that a bug in parsing stumbles over."""

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 -- as a dict's
        if key == "annotations":
            raise RuntimeError("a bug")
        return super().get(key, default)


@dataclass
class Heard:
    """What has happened to services."""

    store: Store = field(init=False)
    changes: list[tuple[str, str | None]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.changed, lambda failed: self.failures.append(failed.uid))

    def changed(self, change: Change[Any]) -> None:
        for uid in concerned(self.store, change):
            told = happened(self.store, uid)
            if isinstance(told, Seen):
                self.changes.append((told.isvc.name, told.runtime.key.name if told.runtime else None))
            else:
                self.losses.append(uid)


def service(name: str = "iris", version: str = "1", status: Manifest | None = None, runtime: str = "") -> Manifest:
    raw = kserve.isvc(name, "models", kserve.model_spec(runtime=runtime), status=status)
    raw["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": version}
    return raw


def runtime(name: str, namespace: str = "", version: str = "1", **spec: object) -> Manifest:
    identity = {"name": name, "uid": f"uid-{namespace}-{name}", "resourceVersion": version}
    return {"metadata": identity | ({"namespace": namespace} if namespace else {}), "spec": spec}


def endpoint_slice(name: str, owner: str, *ready: bool, namespace: str = "models", version: str = "1") -> Manifest:
    raw = endpoints.endpoint_slice(owner, namespace, *ready)
    raw["metadata"] |= {"name": name, "uid": f"uid-{name}", "resourceVersion": version}
    return raw


async def replace(store: Store, kind: Kind[Any], items: list[Manifest], version: int, namespace: str = "") -> int:
    """A complete list of one page."""
    return store.take(kind, items, version) + await store.retain(kind, uids_of(items), version, namespace)


def test_objects_that_belong_to_one_are_found_by_it() -> None:
    store = Store(lambda _: None)
    for name, owner in (("a", "iris"), ("b", "fraud"), ("c", "iris")):
        store.put(SLICES, endpoint_slice(name, owner, True))
    assert len(store.group(SLICES, ("models", "iris"))) == 2
    assert store.group(SLICES, ("models", "nobody")) == []
    store.put(SLICES, endpoint_slice("c", "fraud", True, version="2"))
    store.drop(SLICES, "uid-a")
    assert store.group(SLICES, ("models", "iris")) == []
    assert [found.owner for found in store.group(SLICES, ("models", "fraud"))] == ["fraud", "fraud"]


def test_a_change_of_endpoints_concerns_the_service_that_they_belong_to() -> None:
    changes: list[Change[Any]] = []
    store = Store(changes.append)
    store.put(SERVICES, service("iris"))
    store.put(SLICES, endpoint_slice("a", "iris", True, False))
    store.put(SLICES, endpoint_slice("b", "nobody", True))
    ((uid, seen),) = [(uid, happened(store, uid)) for change in changes[1:] for uid in concerned(store, change)]
    assert (uid, isinstance(seen, Seen)) == ("uid-iris", True)
    assert isinstance(seen, Seen)
    assert [(backing.service, backing.serving, len(backing.endpoints)) for backing in seen.behind] == [("iris-predictor", 1, 2)]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def store(heard: Heard) -> Store:
    return heard.store


def test_a_new_service_is_told_and_kept(store: Store, heard: Heard) -> None:
    store.put(SERVICES, service())
    assert heard.changes == [("iris", None)]
    assert [found.name for found in store.of(SERVICES)] == ["iris"]
    assert store.count(SERVICES) == 1
    kept = store.find(SERVICES, "models", "iris")
    assert kept is not None
    assert kept.uid == "uid-iris"


def test_an_unchanged_service_is_not_told(store: Store, heard: Heard) -> None:
    store.put(SERVICES, service())
    store.put(SERVICES, service())
    assert len(heard.changes) == 1


def test_a_changed_service_is_told(store: Store, heard: Heard) -> None:
    store.put(SERVICES, service())
    store.put(SERVICES, service(version="2", status=kserve.ready("iris", "models")))
    assert len(heard.changes) == 2


def test_a_lost_service_is_told_once(store: Store, heard: Heard) -> None:
    store.put(SERVICES, service())
    store.drop(SERVICES, "uid-iris")
    store.drop(SERVICES, "uid-iris")
    assert heard.losses == ["uid-iris"]
    assert store.find(SERVICES, "models", "iris") is None


@pytest.mark.parametrize("missing", ["uid", "namespace", "name"])
def test_an_object_without_identity_is_ignored_and_logged(store: Store, heard: Heard, missing: str) -> None:
    raw = service()
    del raw["metadata"][missing]
    with capture_logs() as lines:
        store.put(SERVICES, raw)
    assert heard.changes == []
    assert [line["event"] for line in lines] == ["object_ignored"]


def test_a_change_of_a_runtime_is_told_to_its_users_only(store: Store, heard: Heard) -> None:
    store.put(SERVICES, service("a", runtime="r"))
    store.put(SERVICES, service("b", runtime="other"))
    store.put(SERVICES, service("c"))
    heard.changes.clear()
    store.put(CLUSTER_RUNTIMES, runtime("r", protocolVersions=["v2"]))
    store.put(CLUSTER_RUNTIMES, runtime("r", version="2", protocolVersions=["v2"]))
    assert heard.changes == [("a", "r")]


def test_a_runtime_that_is_gone_is_told_to_its_users(store: Store, heard: Heard) -> None:
    store.put(CLUSTER_RUNTIMES, runtime("r"))
    store.put(SERVICES, service(runtime="r"))
    store.drop(CLUSTER_RUNTIMES, "uid--r")
    store.drop(CLUSTER_RUNTIMES, "uid--r")
    assert heard.changes == [("iris", "r"), ("iris", None)]


def test_a_runtime_of_the_namespace_comes_before_one_of_the_cluster(store: Store) -> None:
    store.put(CLUSTER_RUNTIMES, runtime("r", protocolVersions=["v1"]))
    store.put(RUNTIMES, runtime("r", "models", protocolVersions=["v2"]))
    store.put(RUNTIMES, runtime("r", "others", protocolVersions=["v3"]))
    store.put(SERVICES, service(runtime="r"))
    (isvc,) = store.of(SERVICES)
    found = runtime_of(store, isvc)
    assert found is not None
    assert found.protocol_versions == ("v2",)


def test_an_object_that_is_held_in_this_very_version_is_not_parsed_again(store: Store) -> None:
    store.put(SERVICES, service(version="5"))
    assert not store.put(SERVICES, service(version="5") | {"metadata": Unreadable(service(version="5")["metadata"])})


class TestVersions:
    def test_an_older_version_does_not_come_back(self, store: Store, heard: Heard) -> None:
        store.put(SERVICES, service(version="12", status=kserve.ready("iris", "models")))
        assert not store.put(SERVICES, service(version="9"))
        assert [isvc.resource_version for isvc in store.of(SERVICES)] == ["12"]
        assert len(heard.changes) == 1

    def test_what_arrives_after_the_deletion_does_not_bring_it_back(self, store: Store, heard: Heard) -> None:
        store.put(SERVICES, service(version="10"))
        store.drop(SERVICES, "uid-iris", "15")
        assert not store.put(SERVICES, service(version="12"))
        assert store.count(SERVICES) == 0
        assert heard.losses == ["uid-iris"]

    def test_a_deletion_that_comes_before_the_object_is_remembered_too(self, store: Store) -> None:
        store.drop(SERVICES, "uid-iris", "15")
        assert not store.put(SERVICES, service(version="12"))

    async def test_one_that_was_taken_for_dead_by_mistake_comes_back_with_the_next_list(self, store: Store) -> None:
        store.put(SERVICES, service(version="10"))
        store.drop(SERVICES, "uid-iris")  # its kind was not served for a moment
        await replace(store, SERVICES, [service(version="10")], 20)
        assert store.count(SERVICES) == 1

    def test_a_version_that_is_no_number_is_taken_as_it_comes(self, store: Store) -> None:
        store.put(SERVICES, service(version="7"))
        assert store.put(SERVICES, service(version="b"))
        assert store.put(SERVICES, service(version="a"))

    def test_a_restored_api_server_may_count_from_an_older_number(self, store: Store) -> None:
        store.put(SERVICES, service(version="100"))
        store.drop(SERVICES, "uid-other", "100")
        store.forget_versions()
        assert store.put(SERVICES, service(version="9"))
        assert store.put(SERVICES, service("other", version="9"))

    async def test_a_list_that_is_newer_than_an_object_but_has_it_as_it_was_is_of_a_restored_api_server(
        self, store: Store, heard: Heard
    ) -> None:
        store.put(SERVICES, service(version="100"))
        assert await replace(store, SERVICES, [service(version="50")], 120) == 1
        assert [isvc.resource_version for isvc in store.of(SERVICES)] == ["50"]
        assert heard.losses == []

    async def test_a_list_that_is_older_than_an_object_does_not_bring_back_what_it_was(self, store: Store) -> None:
        store.put(SERVICES, service(version="100"))
        assert await replace(store, SERVICES, [service(version="50")], 90) == 0
        assert [isvc.resource_version for isvc in store.of(SERVICES)] == ["100"]

    async def test_a_list_that_has_an_object_as_it_is_held_lets_nothing_older_in(self, store: Store) -> None:
        store.put(SERVICES, service(version="100"))
        assert await replace(store, SERVICES, [service(version="100")], 120) == 0
        assert not store.put(SERVICES, service(version="50"))


class TestLists:
    async def test_what_a_list_lacks_is_gone(self, store: Store, heard: Heard) -> None:
        for name in ("a", "b", "c"):
            store.put(SERVICES, service(name, version="5"))
        assert await replace(store, SERVICES, [service("b", version="5")], 9) == 2
        assert sorted(heard.losses) == ["uid-a", "uid-c"]

    async def test_what_is_newer_than_the_list_stays(self, store: Store) -> None:
        store.put(SERVICES, service("new", version="12"))
        assert await replace(store, SERVICES, [], 9) == 0
        assert store.count(SERVICES) == 1

    async def test_what_it_has_more_is_new(self, store: Store, heard: Heard) -> None:
        assert await replace(store, SERVICES, [service("a", version="5")], 9) == 1
        assert heard.changes == [("a", None)]
        assert await replace(store, SERVICES, [service("a", version="5")], 9) == 0

    async def test_one_made_anew_under_its_name_is_another(self, store: Store, heard: Heard) -> None:
        store.put(SERVICES, service("a", version="5"))
        again = service("a", version="8")
        again["metadata"]["uid"] = "uid-again"
        assert await replace(store, SERVICES, [again], 9) == 1
        assert heard.losses == ["uid-a"]

    def test_what_comes_late_of_the_one_before_does_not_take_its_place(self, store: Store, heard: Heard) -> None:
        again = service("a", version="8")
        again["metadata"]["uid"] = "uid-again"
        store.put(SERVICES, service("a", version="5"))
        store.put(SERVICES, again)
        assert heard.losses == ["uid-a"]
        assert not store.put(SERVICES, service("a", version="6"))
        assert not store.drop(SERVICES, "uid-a", "7")
        assert [isvc.uid for isvc in store.of(SERVICES)] == ["uid-again"]

    async def test_a_list_of_one_namespace_says_nothing_of_others(self, store: Store) -> None:
        store.put(SERVICES, service("a", version="5"))
        assert await replace(store, SERVICES, [], 9, "others") == 0
        assert await replace(store, SERVICES, [], 9, "models") == 1

    async def test_runtimes_are_replaced_by_their_kind(self, store: Store, heard: Heard) -> None:
        store.put(CLUSTER_RUNTIMES, runtime("r"))
        store.put(RUNTIMES, runtime("r", "models"))
        store.put(SERVICES, service(runtime="r"))
        heard.changes.clear()
        assert await replace(store, RUNTIMES, [], 9) == 1
        assert heard.changes == [("iris", "r")]
        assert await replace(store, CLUSTER_RUNTIMES, [runtime("r", version="2", protocolVersions=["v2"])], 9) == 1
        assert await replace(store, CLUSTER_RUNTIMES, [], 9) == 1


async def test_many_that_a_list_lacks_go_in_portions_and_one_that_is_made_anew_meanwhile_stays() -> None:
    store = Store(lambda _: None)
    for number in range(2 * PORTION):
        store.put(SERVICES, service(f"s{number}"))
    last = f"s{2 * PORTION - 1}"
    retaining = asyncio.create_task(replace(store, SERVICES, [], 9))
    await asyncio.sleep(0)
    assert store.count(SERVICES) == PORTION
    store.put(SERVICES, service(last, "10"))
    assert await retaining == 2 * PORTION - 1
    assert [isvc.name for isvc in store.of(SERVICES)] == [last]


def test_what_can_not_be_parsed_is_set_aside_and_said_once_for_each_of_its_versions(store: Store, heard: Heard) -> None:
    for version in ("1", "1", "2"):
        assert not store.put(SERVICES, service(version=version) | {"metadata": Unreadable(service(version=version)["metadata"])})
    assert heard.failures == ["uid-iris", "uid-iris"]
    assert store.put(SERVICES, service(version="3"))


def test_dead_objects_are_remembered_within_a_bound(store: Store) -> None:
    for number in range(REMEMBERED + 3):
        store.drop(SERVICES, f"uid-{number}", "1")
    assert len(store._dead) == REMEMBERED
