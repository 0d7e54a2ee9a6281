"""Makes a connection to an endpoint: looks the name up, asks the guard, and connects by TCP and TLS, trying each address in turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from isvcwatch.client.transport.connection import Connection
from isvcwatch.client.transport.errors import (
    Phase,
    RefusedAddressError,
    ResolverError,
    TimedOutError,
    WireError,
    from_connecting,
    timed_out,
)
from isvcwatch.client.transport.secure import SecureConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from isvcwatch.client.transport.asks import Endpoint
    from isvcwatch.client.transport.connection import Owner
    from isvcwatch.client.transport.names import Names

    Guard = Callable[[str, bool], str]
    AliasGuard = Callable[[str, str, bool], bool]

LEAST_TURN: Final = 0.25
"""The fewest seconds that each of several addresses gets, which is the delay in RFC 8305 before the next one is tried."""


class Dialer:
    """Makes connections.

    Args:
        names: looks names up.
        guard: takes an address and whether the host is the caller's own; returns why not to connect to it, or an empty text.
        host_guard: takes a name and whether it is the caller's own; returns why none of its addresses could be allowed, or an empty text.
        lookup_share: the part of an exchange's time that the lookup of its name may take.
        leads_away: takes a name that is the caller's own, the name that it is an alias of, and whether it may be one of a gateway; returns
            whether its addresses are not the caller's own all the same.
    """

    def __init__(
        self,
        names: Names,
        guard: Guard | None,
        host_guard: Guard | None = None,
        lookup_share: float = 1.0,
        leads_away: AliasGuard | None = None,
    ) -> None:
        self._names = names
        self._guard = guard
        self._host_guard = host_guard
        self._lookup_share = lookup_share
        self._leads_away = leads_away

    async def dial(self, endpoint: Endpoint, owner: Owner, deadline: float, reached: Callable[[Phase], None]) -> Connection:
        """Connect to an endpoint.

        Args:
            endpoint: the endpoint to connect to.
            owner: the owner of the connection.
            deadline: a time on the loop's clock. It is not enforced here, but the time until then is divided between the addresses.
            reached: is called with each phase as it begins.

        Raises:
            WireError: no connection could be made; the error says why.
        """
        reached(Phase.NAME)
        known = endpoint.address or (endpoint.host if endpoint.is_address else "")
        addresses = self._permitted(endpoint, (known,) if known else await self._looked_up(endpoint, deadline))
        reached(Phase.CONNECT)
        loop = asyncio.get_running_loop()
        failure: WireError | None = None
        for number, address in enumerate(addresses, 1):
            others = len(addresses) - number
            try:
                if not others:
                    return await self._connect(address, endpoint, owner, reached)
                async with asyncio.timeout(max((deadline - loop.time()) / (others + 1), LEAST_TURN)):
                    return await self._connect(address, endpoint, owner, reached)
            except TimeoutError:
                failure = failure or timed_out(Phase.CONNECT)
            except WireError as error:
                failure = error if failure is None or isinstance(failure, TimedOutError) else failure
            reached(Phase.CONNECT)
        assert failure is not None  # noqa: S101 -- there is at least one address
        raise failure

    async def _looked_up(self, endpoint: Endpoint, deadline: float) -> Sequence[str]:
        """The addresses of the endpoint's host. A slow resolver must not look like a server that is slow in the time that is left."""
        if self._host_guard is not None and (objection := self._host_guard(endpoint.host, endpoint.own_host)):
            raise RefusedAddressError(objection, Phase.CONNECT)
        if self._lookup_share >= 1.0:
            return await self._names.addresses(endpoint.host, own=endpoint.own_host)
        limit = (deadline - asyncio.get_running_loop().time()) * self._lookup_share
        try:
            async with asyncio.timeout(limit):
                return await self._names.addresses(endpoint.host, own=endpoint.own_host)
        except TimeoutError as error:
            raise ResolverError(f"the name {endpoint.host} was not looked up in time", Phase.NAME) from error

    def _permitted(self, endpoint: Endpoint, addresses: Sequence[str]) -> Sequence[str]:
        if self._guard is None:
            return addresses
        own = endpoint.own_host and not self._is_led_away(endpoint)
        objections = {address: self._guard(address, own) for address in addresses}
        permitted = [address for address, objection in objections.items() if not objection]
        if permitted:
            return permitted
        raise RefusedAddressError(next(iter(objections.values())), Phase.CONNECT)

    def _is_led_away(self, endpoint: Endpoint) -> bool:
        if self._leads_away is None or endpoint.address or endpoint.is_address:
            return False
        canonical = self._names.canonical(endpoint.host, own=endpoint.own_host)
        return bool(canonical) and self._leads_away(endpoint.host, canonical, endpoint.routed)

    @staticmethod
    async def _connect(address: str, endpoint: Endpoint, owner: Owner, reached: Callable[[Phase], None]) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(endpoint, owner) if endpoint.tls is None else SecureConnection(endpoint, owner, endpoint.tls)
        phase = Phase.CONNECT
        try:
            await loop.create_connection(lambda: connection, address, endpoint.port)
            if endpoint.tls is not None:
                phase = Phase.TLS
                reached(phase)
            await connection.secured()
        except (OSError, EOFError) as error:
            connection.abort()
            raise from_connecting(error, phase) from error
        except BaseException:
            connection.abort()
            raise
        connection.ready()
        reached(Phase.ANSWER)
        return connection
