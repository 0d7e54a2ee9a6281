"""Finds the addresses of the API servers themselves, behind the Service that pods reach them by: no model server has one of them."""

from __future__ import annotations

import asyncio
import contextlib
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from isvcwatch.kube import errors, parse
from isvcwatch.kube.resources import ENDPOINT_SLICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from ipaddress import IPv4Address, IPv6Address

    from isvcwatch.kube.api import Api

PERIOD: Final = 300.0
"""Seconds between two looks: API servers are seldom replaced."""

RETRY: Final = 5.0
"""Seconds between two looks until the API server has answered."""

NAMESPACE: Final = "default"
SELECTOR: Final = f"{parse.SERVICE_NAME}=kubernetes"
"""Where each API server writes its own address."""


class ApiServers:
    """Tells of the addresses of the API servers.

    Args:
        api: asks one of them.
        found: takes the addresses.
        lists: whether the slices of the API servers' own Service may be listed, for which the role of one namespace is no use.
    """

    def __init__(self, api: Api, found: Callable[[Iterable[IPv4Address | IPv6Address]], None], *, lists: bool = True) -> None:
        self._api = api
        self._asks = (self._told, self._listed) if lists else (self._told,)
        self._found = found
        self._are_known = False

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(PERIOD if self._are_known else RETRY)
            await self.look()

    async def look(self) -> None:
        """Ask the API server for the address that it tells its clients, and for those of all."""
        for ask in self._asks:
            with contextlib.suppress(errors.KubeError):  # what is known already stays refused
                self._found(list(_addresses(await ask())))
                self._are_known = True

    async def _told(self) -> list[str]:
        return [host.rpartition(":")[0].strip("[]") for host in await self._api.server_addresses()]

    async def _listed(self) -> list[str]:
        page = await self._api.list_page(ENDPOINT_SLICES, NAMESPACE, selector=SELECTOR)
        slices = [parse.endpoint_slice(raw) for raw in page.get("items") or ()]
        return [endpoint.address for each in slices for endpoint in each.endpoints]


def _addresses(texts: Iterable[str]) -> Iterator[IPv4Address | IPv6Address]:
    for text in texts:
        with contextlib.suppress(ValueError):
            yield ip_address(text)
