"""Services that a change concerns are fed with what the store has, and never so many in one turn that the loop is blocked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from isvcwatch.core.step import Gone, NamespaceEnds, Seen
from isvcwatch.kube.feeding import BOUND, Feeding
from isvcwatch.kube.kinds import CLUSTER_RUNTIMES, RUNTIMES, SERVICES, SLICES
from isvcwatch.kube.store import Change, Store
from rig import endpoints
from rig import kserve_status as kserve

Manifest = dict[str, Any]

EACH = 0.0002
"""Seconds that it takes to feed one service."""

AT_ONCE = round(BOUND / EACH)


def service(name: str, version: int = 1, runtime: str = "r") -> Manifest:
    raw = kserve.isvc(name, "models", kserve.model_spec(runtime=runtime))
    raw["metadata"] |= {"uid": name, "resourceVersion": str(version)}
    return raw


def runtime(protocol: str, version: int, namespace: str = "") -> Manifest:
    metadata = {"name": "r", "uid": f"r/{namespace}", "resourceVersion": str(version)} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata, "spec": {"protocolVersions": [protocol]}}


def slice_of(owner: str) -> Manifest:
    raw = endpoints.endpoint_slice(owner, "models", True)
    raw["metadata"] |= {"name": owner, "uid": f"slice-of-{owner}", "resourceVersion": "1"}
    return raw


class Fed:
    """A store whose changes are fed to a fleet that takes `EACH` seconds for each service."""

    def __init__(self, services: int) -> None:
        self.now = 0.0
        self.told: list[tuple[str, Seen | Gone | NamespaceEnds]] = []
        self.store = Store(self._changed)
        self.feeding = Feeding(self.store, self._feed, lambda: self.now)
        for number in range(services):
            self.store.put(SERVICES, service(f"s{number}"))
        self.told.clear()
        self.now = 0.0

    def _changed(self, change: Change[Any]) -> None:
        self.feeding.take(change)

    def _feed(self, uid: str, happened: Seen | Gone | NamespaceEnds) -> None:
        self.now += EACH
        self.told.append((uid, happened))

    @property
    def uids(self) -> list[str]:
        return [uid for uid, _ in self.told]

    def protocols(self, uid: str) -> list[tuple[str, ...] | None]:
        """The protocols of the runtimes that the service was said to run on, in order."""
        return [
            told.runtime.protocol_versions if told.runtime else None for who, told in self.told if who == uid and isinstance(told, Seen)
        ]

    async def settle(self) -> list[float]:
        """Give the loop turns until nothing waits, and return how long each of them was blocked."""
        turns = []
        while self.feeding:
            began = self.now
            await asyncio.sleep(0)
            turns.append(self.now - began)
        return turns


async def test_what_a_change_of_few_concerns_is_fed_at_once() -> None:
    fed = Fed(3)
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 1))
    assert sorted(fed.uids) == ["s0", "s1", "s2"]
    assert fed.protocols("s0") == [("v2",)]


@pytest.mark.parametrize("services", [1_000, 10_000])
async def test_a_runtime_of_thousands_blocks_no_turn_for_longer_than_the_bound(services: int) -> None:
    fed = Fed(services)
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 1))
    assert len(fed.told) == AT_ONCE
    turns = await fed.settle()
    assert max(turns) <= BOUND + EACH
    assert sum(turns) == pytest.approx((services - AT_ONCE) * EACH)
    assert len(set(fed.uids)) == len(fed.told) == services


async def test_many_changes_in_one_turn_share_its_time() -> None:
    fed = Fed(1_000)
    for number in range(1_000):
        fed.store.put(SLICES, slice_of(f"s{number}"))
    assert len(fed.told) == AT_ONCE
    assert max(await fed.settle()) <= BOUND + EACH
    assert len(fed.told) == 1_000


async def test_a_turn_later_there_is_time_again() -> None:
    fed = Fed(AT_ONCE)
    for version, protocol in enumerate(("v1", "v2", "v1"), 1):
        fed.store.put(CLUSTER_RUNTIMES, runtime(protocol, version))
        assert len(fed.told) == AT_ONCE * version
        await asyncio.sleep(0)


async def test_a_services_own_change_is_fed_at_once_and_takes_the_place_of_what_waits() -> None:
    fed = Fed(1_000)
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 1))
    first = "s0"
    assert first not in fed.uids
    changed = service(first, 2)
    changed["metadata"]["annotations"] = {"isvcwatch.dev/model-name": "other"}
    fed.store.put(SERVICES, changed)
    assert fed.protocols(first) == [("v2",)]
    await fed.settle()
    assert fed.uids.count(first) == 1


async def test_a_service_that_goes_while_it_waits_is_not_fed_again() -> None:
    fed = Fed(1_000)
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 1))
    fed.store.drop(SERVICES, "s0")
    await fed.settle()
    assert [told for uid, told in fed.told if uid == "s0"] == [Gone()]


async def test_a_change_of_few_does_not_wait_for_the_rest_of_thousands() -> None:
    fed = Fed(1_000)
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 1))
    fed.store.put(SLICES, slice_of("s0"))
    fed.told.clear()
    await asyncio.sleep(0)
    assert fed.uids[0] == "s0"


async def test_what_is_fed_is_what_the_store_has_when_the_turn_comes() -> None:
    fed = Fed(1_000)
    fed.store.put(CLUSTER_RUNTIMES, runtime("v1", 1))
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 2))
    await fed.settle()
    assert fed.protocols("s0") == [("v2",)]
    assert fed.protocols("s999") == [("v1",), ("v2",)]


async def test_a_bug_at_one_service_does_not_keep_those_that_wait_from_their_turn() -> None:
    fed = Fed(1_000)
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 1))
    fed.feeding._feed = fails_once(fed._feed)
    await fed.settle()
    assert len(reported) == 1
    assert len(fed.told) == 999


def fails_once(feed: Any) -> Any:  # noqa: ANN401 -- as the fleet's
    failed: list[str] = []

    def fails(uid: str, happened: Seen | Gone) -> None:
        if not failed:
            failed.append(uid)
            raise RuntimeError("a bug")
        feed(uid, happened)

    return fails


async def test_a_runtime_of_one_namespace_concerns_no_other() -> None:
    fed = Fed(2)
    fed.store.put(RUNTIMES, runtime("v2", 1, "others"))
    assert fed.told == []
    fed.store.put(RUNTIMES, runtime("v2", 1, "models"))
    assert fed.protocols("s0") == [("v2",)]
    fed.store.drop(RUNTIMES, "r/models")
    assert fed.protocols("s0") == [("v2",), None]


async def test_all_services_of_a_namespace_that_ends_are_left_alone_in_turns() -> None:
    fed = Fed(10_000)
    fed.feeding.namespace_ends("others")
    assert fed.told == []
    fed.feeding.namespace_ends("models")
    assert len(fed.told) <= AT_ONCE + 1
    assert max(await fed.settle()) <= BOUND + EACH
    assert fed.told == [(uid, NamespaceEnds()) for uid in fed.uids]
    assert len(set(fed.uids)) == 10_000


async def test_that_its_namespace_ends_is_lost_by_no_change_but_its_own_deletion() -> None:
    fed = Fed(2 * AT_ONCE)
    fed.feeding.namespace_ends("models")
    waiting = sorted({f"s{number}" for number in range(2 * AT_ONCE)} - set(fed.uids))
    fed.store.put(SERVICES, service(waiting[0], 2, "other"))
    fed.store.drop(SERVICES, waiting[1])
    fed.store.put(CLUSTER_RUNTIMES, runtime("v2", 1))
    await fed.settle()
    assert {uid: told for uid, told in fed.told if uid == waiting[0]} == {waiting[0]: NamespaceEnds()}
    assert [told for uid, told in fed.told if uid == waiting[1]] == [Gone()]
    assert [told for uid, told in fed.told if uid == waiting[2]] == [NamespaceEnds()]
