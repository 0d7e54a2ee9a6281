"""The cluster as last heard of, and who is told of changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.core.objects import RuntimeKey
from isvcwatch.core.step import Gone, Seen
from isvcwatch.kube import parse
from isvcwatch.kube.inventory import REMEMBERED, Inventory
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, INFERENCE_SERVICES, SERVING_RUNTIMES
from rig import kserve_status as kserve

if TYPE_CHECKING:
    from isvcwatch.core.objects import InferenceService

Manifest = dict[str, Any]


@dataclass
class Told:
    """Keeps what it is told."""

    changes: list[tuple[str, str | None]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def __call__(self, uid: str, happened: Seen | Gone) -> None:
        if isinstance(happened, Seen):
            self.changes.append((happened.isvc.name, happened.runtime.key.name if happened.runtime else None))
        else:
            self.losses.append(uid)


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
    assert [found.name for found in inventory._services.values()] == ["iris"]
    assert len(inventory) == 1
    kept = inventory._services.get("uid-iris")
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
    assert inventory._services.get("uid-iris") is None


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
    (isvc,) = inventory._services.values()
    found = inventory.runtime_of(isvc)
    assert found is not None
    assert found.protocol_versions == ("v2",)


def test_an_object_that_is_held_in_this_very_version_is_not_parsed_again(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory.put_service(service(version="5"))
    monkeypatch.setattr(parse, "inference_service", None)
    assert not inventory.put_service(service(version="5"))


class TestVersions:
    def test_an_older_version_does_not_come_back(self, inventory: Inventory, told: Told) -> None:
        inventory.put_service(service(version="12", status=kserve.ready("iris", "models")))
        assert not inventory.put_service(service(version="9"))
        assert inventory._services["uid-iris"].resource_version == "12"
        assert len(told.changes) == 1

    def test_what_arrives_after_the_deletion_does_not_bring_it_back(self, inventory: Inventory, told: Told) -> None:
        inventory.put_service(service(version="10"))
        inventory.drop_service("uid-iris", "15")
        assert not inventory.put_service(service(version="12"))
        assert len(inventory) == 0
        assert told.losses == ["uid-iris"]

    def test_a_deletion_that_comes_before_the_object_is_remembered_too(self, inventory: Inventory) -> None:
        inventory.drop_service("uid-iris", "15")
        assert not inventory.put_service(service(version="12"))

    def test_one_that_was_taken_for_dead_by_mistake_comes_back_with_the_next_list(self, inventory: Inventory) -> None:
        inventory.put_service(service(version="10"))
        inventory.drop_service("uid-iris")  # its kind was not served for a moment
        inventory.replace(INFERENCE_SERVICES, [service(version="10")], 20)
        assert len(inventory) == 1

    def test_a_version_that_is_no_number_is_taken_as_it_comes(self, inventory: Inventory) -> None:
        inventory.put_service(service(version="b"))
        assert inventory.put_service(service(version="a"))

    def test_a_restored_api_server_may_count_from_an_older_number(self, inventory: Inventory) -> None:
        inventory.put_service(service(version="100"))
        inventory.drop_service("uid-other", "100")
        inventory.forget_versions()
        assert inventory.put_service(service(version="9"))
        assert inventory.put_service(service("other", version="9"))


class TestLists:
    def test_what_a_list_lacks_is_gone(self, inventory: Inventory, told: Told) -> None:
        for name in ("a", "b", "c"):
            inventory.put_service(service(name, version="5"))
        assert inventory.replace(INFERENCE_SERVICES, [service("b", version="5")], 9) == 2
        assert sorted(told.losses) == ["uid-a", "uid-c"]

    def test_what_is_newer_than_the_list_stays(self, inventory: Inventory) -> None:
        inventory.put_service(service("new", version="12"))
        assert inventory.replace(INFERENCE_SERVICES, [], 9) == 0
        assert len(inventory) == 1

    def test_what_it_has_more_is_new(self, inventory: Inventory, told: Told) -> None:
        assert inventory.replace(INFERENCE_SERVICES, [service("a", version="5")], 9) == 1
        assert told.changes == [("a", None)]
        assert inventory.replace(INFERENCE_SERVICES, [service("a", version="5")], 9) == 0

    def test_one_made_anew_under_its_name_is_another(self, inventory: Inventory, told: Told) -> None:
        inventory.put_service(service("a", version="5"))
        again = service("a", version="8")
        again["metadata"]["uid"] = "uid-again"
        assert inventory.replace(INFERENCE_SERVICES, [again], 9) == 2
        assert told.losses == ["uid-a"]

    def test_a_list_of_one_namespace_says_nothing_of_others(self, inventory: Inventory) -> None:
        inventory.put_service(service("a", version="5"))
        assert inventory.replace(INFERENCE_SERVICES, [], 9, "others") == 0
        assert inventory.replace(INFERENCE_SERVICES, [], 9, "models") == 1

    def test_runtimes_are_replaced_by_their_kind(self, inventory: Inventory, told: Told) -> None:
        inventory.put_runtime(runtime("r"))
        inventory.put_runtime(runtime("r", "models"))
        inventory.put_service(service(runtime="r"))
        told.changes.clear()
        assert inventory.replace(SERVING_RUNTIMES, [], 9) == 1
        assert told.changes == [("iris", "r")]
        assert inventory.replace(CLUSTER_SERVING_RUNTIMES, [runtime("r", protocolVersions=["v2"])], 9) == 1
        assert inventory.replace(CLUSTER_SERVING_RUNTIMES, [], 9) == 1


def test_what_can_not_be_parsed_is_set_aside(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> InferenceService:
        raise RuntimeError("a bug")

    monkeypatch.setattr(parse, "inference_service", failing)
    assert not inventory.put_service(service())


def test_dead_objects_are_remembered_within_a_bound(inventory: Inventory) -> None:
    for number in range(REMEMBERED + 3):
        inventory.drop_service(f"uid-{number}", "1")
    assert len(inventory._dead) == REMEMBERED
