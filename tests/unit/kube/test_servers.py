"""The addresses of the API servers, as one of them tells them."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

import pytest

from isvcwatch.kube import errors
from isvcwatch.kube.servers import PERIOD, RETRY, ApiServers
from rig.endpoints import endpoint_slice

if TYPE_CHECKING:
    from isvcwatch.kube.api import Api

pytestmark = pytest.mark.looptime


class Telling:
    """An API server that tells, or refuses to."""

    def __init__(self, told: list[str] | errors.KubeError, listed: dict[str, Any] | Exception) -> None:
        self.told = told
        self.listed = listed
        self.looks = 0

    async def server_addresses(self) -> list[str]:
        self.looks += 1
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    async def list_page(self, *_: object, **__: object) -> dict[str, Any]:
        if isinstance(self.listed, Exception):
            raise self.listed
        return self.listed


FORBIDDEN = errors.ForbiddenError("add the RBAC rule")
LISTED = {"items": [endpoint_slice("kubernetes", "default", True, True, service="kubernetes")]}


@pytest.mark.parametrize(
    ("told", "listed", "found"),
    [
        (["10.0.0.1:6443", "[fd00::1]:6443", "api.example.com:443"], FORBIDDEN, ["10.0.0.1", "fd00::1"]),
        (FORBIDDEN, LISTED, ["10.1.0.1", "10.1.0.2"]),
        (["10.0.0.1:6443"], LISTED, ["10.0.0.1", "10.1.0.1", "10.1.0.2"]),
        (FORBIDDEN, FORBIDDEN, []),
    ],
)
async def test_what_is_told_is_taken_and_what_is_not_changes_nothing(told: Any, listed: Any, found: list[str]) -> None:  # noqa: ANN401
    denied: list[Any] = []
    await ApiServers(cast("Api", Telling(told, listed)), denied.extend).look()
    assert denied == [ip_address(text) for text in found]


async def test_with_the_role_of_one_namespace_nothing_is_listed() -> None:
    denied: list[Any] = []
    await ApiServers(cast("Api", Telling(["10.0.0.1:443"], AssertionError())), denied.extend, lists=False).look()
    assert denied == [ip_address("10.0.0.1")]


@pytest.mark.parametrize(("told", "again"), [(["10.0.0.1:443"], PERIOD), (errors.UnavailableError("down"), RETRY)])
async def test_it_is_asked_again_soon_until_it_has_answered(told: Any, again: float) -> None:  # noqa: ANN401
    telling = Telling(told, FORBIDDEN)
    servers = ApiServers(cast("Api", telling), lambda _: None)
    await servers.look()
    task = asyncio.create_task(servers.run())
    await asyncio.sleep(again * 2.5)
    task.cancel()
    assert telling.looks == 3
