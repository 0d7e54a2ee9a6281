"""The first look at a cluster that is not ready yet: it waits for what must be there, says what that is, and looks again at all of it."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.kube import errors
from isvcwatch.kube.api import Page
from isvcwatch.kube.backoff import LAST
from isvcwatch.kube.kinds import CLUSTER_RUNTIMES, KINDS, RUNTIMES, SERVICES, SLICES
from isvcwatch.kube.preflight import Preflight
from isvcwatch.kube.store import Store
from rig import kserve_status as kserve
from tests.unit.kube.fakes import FakeApi

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.looptime

ALL = list(KINDS)


def raw(name: str = "iris") -> dict[str, Any]:
    found = kserve.isvc(name, "models", status=kserve.ready(name, "models"))
    found["metadata"] |= {"uid": f"uid-of-{name}", "resourceVersion": "1"}
    return found


def listing() -> list[Any]:
    """Lists of one service and no runtimes."""
    return [lambda resource, _: Page([raw()] if resource == str(SERVICES) else [], "7")]


def first_of(*trouble: Exception, of: str = str(SERVICES)) -> list[Any]:
    """Lists of one object; the kind named has these troubles first, one a try."""
    left = list(trouble)

    def answer(resource: str, _: object) -> dict[str, Any]:
        if resource == of and left:
            raise left.pop(0)
        return {"metadata": {"resourceVersion": "6"}}

    return [answer]


def first_look(api: FakeApi, namespaces: Sequence[str] = ()) -> tuple[Preflight, Store]:
    store = Store(lambda _: None)
    return Preflight(api.api, store, namespaces), store


async def test_everything_is_read_and_can_be_watched() -> None:
    api = FakeApi({"pages": listing(), "discovers": [True]})
    preflight, store = first_look(api)
    assert preflight.waiting_for
    assert await preflight.run() == ALL
    assert [service.name for service in store.of(SERVICES)] == ["iris"]
    assert preflight.waiting_for == ""
    assert (str(SLICES), "serving.kserve.io/inferenceservice") in api.selectors
    assert (str(SERVICES), "") in api.selectors


async def test_each_namespace_is_read() -> None:
    api = FakeApi({"pages": listing(), "discovers": [True]})
    await first_look(api, ["a", "b"])[0].run()
    listed = [(name, namespace) for verb, name, namespace in api.calls if verb == "pages"]
    assert sorted(listed) == sorted([(str(r), n) for r in (SERVICES, SLICES, RUNTIMES) for n in ("a", "b")] + [(str(CLUSTER_RUNTIMES), "")])


@pytest.mark.parametrize("error", [errors.NotServedError("no CRD"), errors.ForbiddenError("add a rule"), errors.UnavailableError("down")])
async def test_services_that_cannot_be_read_are_waited_for_and_said_once(error: errors.KubeError) -> None:
    api = FakeApi({"list_page": first_of(error, error, error), "pages": listing(), "discovers": [True]})
    preflight, store = first_look(api)
    with capture_logs() as lines:
        assert await preflight.run() == ALL
    assert [line["why"] for line in lines if line["event"] == "waiting"] == [str(error)]
    assert store.count(SERVICES) == 1


async def test_a_resource_that_is_served_but_not_discovered_yet_is_waited_for() -> None:
    """kopf watches only what discovery names at its start, and would stay deaf to the rest for good."""
    left = [False, False]

    def discovered(resource: str, _: object) -> bool:
        return left.pop() if resource == str(SERVICES) and left else True

    api = FakeApi({"pages": listing(), "discovers": [discovered]})
    preflight, store = first_look(api)
    with capture_logs() as lines:
        assert await preflight.run() == ALL
    assert [line["why"] for line in lines if line["event"] == "waiting"] == [
        "inferenceservices.serving.kserve.io is not served: discovery does not name it yet"
    ]
    assert store.count(SERVICES) == 1


async def test_runtimes_that_come_while_services_are_waited_for_are_watched() -> None:
    """CRDs are applied one by one: what was not there at the first look may be at the second."""
    looks = 0

    def answer(resource: str, _: object) -> dict[str, Any]:
        nonlocal looks
        looks += resource == str(SERVICES)
        if looks < 2:
            raise errors.NotServedError("no CRD")
        return {}

    api = FakeApi({"list_page": list[Any]([answer]), "pages": listing(), "discovers": [True]})
    assert await first_look(api)[0].run() == ALL


@pytest.mark.parametrize("error", [errors.NotServedError("no CRD"), errors.ForbiddenError("add a rule")])
async def test_runtimes_that_cannot_be_read_are_done_without_and_said(error: errors.KubeError) -> None:
    api = FakeApi({"list_page": first_of(error, of=str(RUNTIMES)), "pages": listing(), "discovers": [True]})
    with capture_logs() as lines:
        assert await first_look(api)[0].run() == [CLUSTER_RUNTIMES, SLICES, SERVICES]
    assert [(line["resource"], line["why"]) for line in lines if line["event"] == "kind_unreadable"] == [(str(RUNTIMES), str(error))]


async def test_runtimes_that_an_unwell_api_server_does_not_give_are_waited_for() -> None:
    api = FakeApi({"list_page": first_of(errors.UnavailableError("503"), of=str(RUNTIMES)), "pages": listing(), "discovers": [True]})
    assert await first_look(api)[0].run() == ALL


async def tried_for(api: FakeApi, seconds: float) -> None:
    """Let a first look that does not come to an end go on for that long."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first_look(api)[0].run(), seconds)


@pytest.mark.parametrize(
    "answers",
    [{"try_watch": [errors.ForbiddenError("may not watch")]}, {"discovers": [False]}, {"list_page": [errors.ForbiddenError("may not")]}],
)
async def test_nothing_is_read_in_full_until_all_of_it_may_be_watched(answers: dict[str, list[Any]]) -> None:
    api = FakeApi({"discovers": [True], "pages": listing()} | answers)
    await tried_for(api, 300)
    assert "pages" not in api.verbs()
    assert {body[1] for verb, _, body in api.calls if verb == "list_page"} == {1}
    assert {name for verb, name, _ in api.calls} == {str(SERVICES)}


async def test_what_stays_away_is_asked_for_less_and_less_often() -> None:
    api = FakeApi({"list_page": [errors.NotServedError("no CRD")]})
    await tried_for(api, 600)
    between = [later - earlier for earlier, later in itertools.pairwise(api.times)]
    assert between[0] < 2
    assert LAST / 2 <= max(between) <= LAST
    assert len(api.times) < 100


async def test_another_thing_that_is_missing_is_waited_for_afresh() -> None:
    away, denied = errors.UnavailableError("away"), errors.ForbiddenError("may not")
    api = FakeApi({"list_page": [*[away] * 10, denied, {}], "discovers": [True], "pages": listing()})
    await first_look(api)[0].run()
    between = [later - earlier for earlier, later in itertools.pairwise(api.times)]
    assert between[9] <= LAST
    assert between[10] < 2


async def test_the_wait_that_an_api_server_asks_for_is_kept() -> None:
    api = FakeApi({"list_page": [errors.UnavailableError("429", 40.0), {}], "discovers": [True], "pages": listing()})
    await first_look(api)[0].run()
    assert api.times[1] - api.times[0] == 40


async def test_a_watch_begins_at_the_version_of_the_list() -> None:
    api = FakeApi({"list_page": first_of(), "discovers": [True], "pages": listing()})
    await first_look(api)[0].run()
    assert {body for verb, _, body in api.calls if verb == "try_watch"} == {("", "6")}
