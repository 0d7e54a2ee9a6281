"""Calls to a real server on loopback: what goes over the wire, and what comes of each answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from isvcwatch.kube import errors
from isvcwatch.kube.api import PORTION, Api, Page
from isvcwatch.kube.connection import connect
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, EVENTS, INFERENCE_SERVICE_STATUS, INFERENCE_SERVICES, NAMESPACES
from isvcwatch.version import __version__
from tests.unit.kube.apiserver import TOKEN, ApiServer, api_server, kubeconfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    Connecting = Callable[[ApiServer], AbstractAsyncContextManager[Api]]

from contextlib import asynccontextmanager


@pytest.fixture
def connecting(tmp_path: Path) -> Connecting:
    @asynccontextmanager
    async def connected(server: ApiServer) -> AsyncIterator[Api]:
        connection = await connect(server.kubeconfig(tmp_path))
        try:
            yield Api(connection)
        finally:
            await connection.close()

    return connected


async def test_a_list_is_read_page_by_page(connecting: Connecting) -> None:
    pages = [
        (200, {"items": [{"n": 1}, {"n": 2}], "metadata": {"continue": "next&1", "resourceVersion": "42"}}),
        (200, {"items": [], "metadata": {"continue": "next2", "resourceVersion": "42"}}),
        (200, {"items": [{"n": 3}], "metadata": {"resourceVersion": "42"}}),
    ]
    async with api_server(*pages) as server, connecting(server) as api:
        read = [page async for page in api.pages(INFERENCE_SERVICES)]
    assert read == [Page([{"n": 1}, {"n": 2}], "42"), Page([], "42"), Page([{"n": 3}], "42")]
    assert [asked.query for asked in server.asked] == [
        {"limit": "500"},
        {"limit": "500", "continue": "next&1"},
        {"limit": "500", "continue": "next2"},
    ]
    assert {asked.path for asked in server.asked} == {"/apis/serving.kserve.io/v1beta1/inferenceservices"}


async def test_a_page_of_many_is_handed_on_in_portions(connecting: Connecting) -> None:
    items = [{"n": number} for number in range(2 * PORTION + 1)]
    async with api_server((200, {"items": items, "metadata": {"resourceVersion": "42"}})) as server, connecting(server) as api:
        read = [page async for page in api.pages(INFERENCE_SERVICES)]
    assert [len(page.items) for page in read] == [PORTION, PORTION, 1]
    assert [item for page in read for item in page.items] == items
    assert {page.resource_version for page in read} == {"42"}


async def test_a_list_lacks_what_nobody_reads(connecting: Connecting) -> None:
    items: list[Any] = [{"metadata": {"uid": "1", "managedFields": [{"manager": "kubectl"}]}}, {"metadata": None}, "no object"]
    async with api_server((200, {"items": items})) as server, connecting(server) as api:
        (page,) = [page async for page in api.pages(INFERENCE_SERVICES)]
    assert page.items == [{"metadata": {"uid": "1"}}, {"metadata": None}, "no object"]


@pytest.mark.parametrize("page", [{}, {"items": None, "metadata": None}])
async def test_a_list_of_nothing_is_empty(connecting: Connecting, page: dict[str, Any]) -> None:
    async with api_server((200, page)) as server, connecting(server) as api:
        assert [page.items async for page in api.pages(INFERENCE_SERVICES, "models")] == [[]]
    assert server.asked[0].path == "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices"


async def test_a_token_that_has_expired_is_trouble_that_can_be_retried(connecting: Connecting) -> None:
    pages = [(200, {"items": [{}], "metadata": {"continue": "old"}}), (410, {"message": "the continue token is too old"})]
    async with api_server(*pages) as server, connecting(server) as api:
        with pytest.raises(errors.GoneError, match="too old"):
            _ = [page async for page in api.pages(INFERENCE_SERVICES)]


GROUPS = {"groups": [{"name": "apps"}, {"versions": [{"groupVersion": "serving.kserve.io/v1beta1"}]}]}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([GROUPS, {"resources": [{"name": "inferenceservices"}]}], True),
        ([GROUPS, {"resources": [{"name": "servingruntimes"}]}], False),
        ([GROUPS, {}], False),
        ([{"groups": [{"name": "apps"}]}], False),
        ([{}], False),
    ],
)
async def test_discovery_is_asked_as_kopf_will_ask_it(connecting: Connecting, answers: list[dict[str, Any]], found: bool) -> None:
    async with api_server(*[(200, answer) for answer in answers]) as server, connecting(server) as api:
        assert await api.discovers(INFERENCE_SERVICES) is found
    assert [asked.path for asked in server.asked] == ["/apis", "/apis/serving.kserve.io/v1beta1"][: len(answers)]


async def test_one_object_is_read(connecting: Connecting) -> None:
    async with api_server((200, {"kind": "InferenceService"})) as server, connecting(server) as api:
        assert await api.get(INFERENCE_SERVICES, "models", "a/b") == {"kind": "InferenceService"}
        await api.get(CLUSTER_SERVING_RUNTIMES, "models", "r")
    assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert server.asked[1].path == "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes/r"


async def test_a_status_is_patched(connecting: Connecting) -> None:
    async with api_server() as server, connecting(server) as api:
        await api.json_patch(INFERENCE_SERVICE_STATUS, "models", "iris", [{"op": "add", "path": "/a", "value": 1}])
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("PATCH", "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/iris/status")
    assert asked.headers["Content-Type"] == "application/json-patch+json"
    assert asked.json == [{"op": "add", "path": "/a", "value": 1}]


async def test_an_event_is_created(connecting: Connecting) -> None:
    async with api_server() as server, connecting(server) as api:
        await api.create(EVENTS, "models", {"kind": "Event"})
    (created,) = server.asked
    assert (created.method, created.path, created.json) == ("POST", "/api/v1/namespaces/models/events", {"kind": "Event"})


async def test_the_right_to_watch_is_tried_for_a_second(connecting: Connecting) -> None:
    async with api_server((200, b'{"type":"ADDED"}\n{"type":"ADDED"}\n')) as server, connecting(server) as api:
        await api.try_watch(INFERENCE_SERVICES, "", "42")
    assert server.asked[0].query == {"watch": "true", "timeoutSeconds": "1", "resourceVersion": "42"}


@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [
        (lambda api: api.list_page(INFERENCE_SERVICES), 404, errors.NotServedError),
        (lambda api: api.list_page(INFERENCE_SERVICES), 403, errors.ForbiddenError),
        (lambda api: api.try_watch(INFERENCE_SERVICES, "", "1"), 403, errors.ForbiddenError),
        (lambda api: api.get(INFERENCE_SERVICES, "models", "iris"), 404, errors.GoneError),
        (lambda api: api.get(INFERENCE_SERVICES, "models", "fraud"), 404, errors.UnavailableError),
        (lambda api: api.json_patch(INFERENCE_SERVICE_STATUS, "models", "iris", []), 409, errors.ConflictError),
        (lambda api: api.json_patch(INFERENCE_SERVICE_STATUS, "models", "iris", []), 404, errors.GoneError),
        (lambda api: api.json_patch(INFERENCE_SERVICE_STATUS, "models", "iris", []), 422, errors.ConflictError),
        (lambda api: api.create(EVENTS, "models", {}), 422, errors.RejectedError),
        (lambda api: api.create(EVENTS, "models", {}), 429, errors.UnavailableError),
        (lambda api: api.create(EVENTS, "models", {}), 500, errors.UnavailableError),
    ],
)
async def test_an_error_says_what_it_means(
    connecting: Connecting, call: Callable[[Api], Coroutine[None, None, object]], status: int, kind: type[Exception]
) -> None:
    said = {"kind": "Status", "message": "in the server's words", "reason": "NotFound", "details": {"name": "iris"}}
    async with api_server((status, said)) as server, connecting(server) as api:
        with pytest.raises(kind, match="in the server's words"):
            await call(api)


async def test_a_wait_that_is_asked_for_is_passed_on(connecting: Connecting) -> None:
    async with api_server((429, {}, {"Retry-After": "7"})) as server, connecting(server) as api:
        with pytest.raises(errors.UnavailableError) as trouble:
            await api.get(INFERENCE_SERVICES, "models", "iris")
    assert trouble.value.retry_after == 7


@pytest.mark.parametrize("body", [b"", b"<html>a proxy's page</html>", b"\xff\xfe", b"[]", b"null", b'"text"'])
async def test_an_answer_that_is_no_object_is_trouble_that_can_be_retried(connecting: Connecting, body: bytes) -> None:
    async with api_server((200, body)) as server, connecting(server) as api:
        with pytest.raises(errors.UnavailableError):
            await api.get(INFERENCE_SERVICES, "models", "iris")


async def test_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        connection = await connect(kubeconfig(tmp_path, url))
        try:
            with pytest.raises(errors.UnavailableError, match=url):
                await Api(connection).get(INFERENCE_SERVICES, "models", "iris")
        finally:
            await connection.close()


async def test_kopfs_session_goes_to_the_same_server_with_the_same_token(tmp_path: Path) -> None:
    async with api_server() as server:
        connection = await connect(server.kubeconfig(tmp_path))
        session = connection.kopf_session()
        try:
            assert session.server == server.url
            assert isinstance(session.aiohttp_session, aiohttp.ClientSession)
            async with session.aiohttp_session.get(f"{server.url}/api"):
                pass
            await Api(connection).get(NAMESPACES, "", "models")
        finally:
            await session.aiohttp_session.close()
            await connection.close()
    assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert [asked.headers["User-Agent"] for asked in server.asked] == [f"isvcwatch/{__version__}"] * 2
