"""The cluster as last heard of, and who is told of changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.core.objects import RuntimeKey
from isvcwatch.kube.inventory import Inventory
from tests.ground import kserve_status as kserve

if TYPE_CHECKING:
    from isvcwatch.core.objects import InferenceService, Runtime

Manifest = dict[str, Any]


@dataclass
class Told:
    """Keeps what it is told."""

    changes: list[tuple[str, str | None]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def changed(self, isvc: InferenceService, runtime: Runtime | None) -> None:
        self.changes.append((isvc.name, runtime.key.name if runtime else None))

    def gone(self, uid: str) -> None:
        self.losses.append(uid)


class Failing(Told):
    def changed(self, isvc: InferenceService, runtime: Runtime | None) -> None:
        super().changed(isvc, runtime)
        raise RuntimeError("a bug")


def service(name: str = "iris", version: str = "1", status: Manifest | None = None, runtime: str = "") -> Manifest:
    raw = kserve.isvc(name, "models", kserve.model_spec(runtime=runtime), status=status)
    raw["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": version}
    return raw


def runtime(name: str, namespace: str = "", **spec: object) -> Manifest:
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, "spec": spec}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def inventory(told: Told) -> Inventory:
    inventory = Inventory()
    inventory.subscribe(told)
    return inventory


def test_a_new_service_is_told_and_kept(inventory: Inventory, told: Told) -> None:
    inventory.put_service(service())
    assert told.changes == [("iris", None)]
    assert [found.name for found in inventory] == ["iris"]
    assert len(inventory) == 1
    kept = inventory.get("uid-iris")
    assert kept is not None
    assert kept.name == "iris"


def test_an_unchanged_service_is_not_told(inventory: Inventory, told: Told) -> None:
    inventory.put_service(service())
    inventory.put_service(service())
    assert len(told.changes) == 1


def test_a_changed_service_is_told(inventory: Inventory, told: Told) -> None:
    inventory.put_service(service())
    inventory.put_service(service(version="2", status=kserve.ready("iris", "models")))
    assert len(told.changes) == 2


def test_a_lost_service_is_told_once(inventory: Inventory, told: Told) -> None:
    inventory.put_service(service())
    inventory.drop_service("uid-iris")
    inventory.drop_service("uid-iris")
    assert told.losses == ["uid-iris"]
    assert inventory.get("uid-iris") is None


@pytest.mark.parametrize("missing", ["uid", "namespace", "name"])
def test_an_object_without_identity_is_ignored_and_logged(inventory: Inventory, told: Told, missing: str) -> None:
    raw = service()
    del raw["metadata"][missing]
    with capture_logs() as lines:
        inventory.put_service(raw)
    assert told.changes == []
    assert [line["event"] for line in lines] == ["object_ignored"]


def test_a_change_of_a_runtime_is_told_to_its_users_only(inventory: Inventory, told: Told) -> None:
    inventory.put_service(service("a", runtime="r"))
    inventory.put_service(service("b", runtime="other"))
    inventory.put_service(service("c"))
    told.changes.clear()
    inventory.put_runtime(runtime("r", protocolVersions=["v2"]))
    inventory.put_runtime(runtime("r", protocolVersions=["v2"]))
    assert told.changes == [("a", "r")]


def test_a_runtime_that_is_gone_is_told_to_its_users(inventory: Inventory, told: Told) -> None:
    inventory.put_runtime(runtime("r"))
    inventory.put_service(service(runtime="r"))
    inventory.drop_runtime(RuntimeKey("", "r"))
    inventory.drop_runtime(RuntimeKey("", "r"))
    assert told.changes == [("iris", "r"), ("iris", None)]


def test_a_runtime_of_the_namespace_comes_before_one_of_the_cluster(inventory: Inventory) -> None:
    inventory.put_runtime(runtime("r", protocolVersions=["v1"]))
    inventory.put_runtime(runtime("r", "models", protocolVersions=["v2"]))
    inventory.put_runtime(runtime("r", "others", protocolVersions=["v3"]))
    inventory.put_service(service(runtime="r"))
    (isvc,) = inventory
    found = inventory.runtime_of(isvc)
    assert found is not None
    assert found.protocol_versions == ("v2",)


def test_a_listeners_bug_does_not_keep_the_others_from_hearing(told: Told) -> None:
    inventory = Inventory()
    inventory.subscribe(Failing())
    inventory.subscribe(told)
    with capture_logs() as lines:
        inventory.put_service(service("a"))
        inventory.put_service(service("b"))
    assert [name for name, _ in told.changes] == ["a", "b"]
    assert [(line["event"], line["name"]) for line in lines] == [("object_failed", "a"), ("object_failed", "b")]
