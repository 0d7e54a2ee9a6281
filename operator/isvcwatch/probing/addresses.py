"""Decides which addresses may be connected to. The check follows the DNS lookup, right before connecting, so that DNS rebinding fails."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

AWS_METADATA: Final = IPv6Address("fd00:ec2::254")
"""AWS's metadata service, the only one of a cloud whose address is not link-local."""


class AddressPolicy:
    """Refuses addresses that no model server can have: loopback, link-local (cloud metadata), multicast, unspecified.

    Args:
        allowed: ranges that may be connected to in any case, by any host name.
        denied: addresses that may not be connected to by any host name, such as the API server's.
        anywhere: whether to allow every address, for a check that a person makes from their own machine.
    """

    def __init__(self, allowed: Iterable[Network] = (), denied: Iterable[Address] = (), *, anywhere: bool = False) -> None:
        self._allowed = tuple(allowed)
        self._denied = frozenset(denied) | {AWS_METADATA}
        self._anywhere = anywhere

    def host_objection(self, host: str, own_host: bool) -> str:
        """The reason why no address of the host could be allowed, so that its name need not be looked up; empty if one could.

        Args:
            host: the host's name.
            own_host: whether its name is a Service in the object's own namespace.
        """
        if own_host or self._anywhere or self._allowed:
            return ""
        return f"{host} is not a Service in the object's own namespace"

    def objection(self, text: str, own_host: bool) -> str:
        """The reason why the address may not be connected to; empty if it may.

        Args:
            text: an IP address, as the resolver gave it.
            own_host: whether the host's name is a Service in the object's own namespace.
        """
        address = _plain(text)
        if self._anywhere or any(address.version == network.version and address in network for network in self._allowed):
            return ""
        kind = "not a model server's address" if address in self._denied else _forbidden_kind(address)
        if kind:
            return f"{address} is {kind}"
        if not own_host:
            return f"{address} belongs to a host that is not a Service in the object's own namespace"
        return ""


def _plain(text: str) -> Address:
    """The address without its scope, and as IPv4 if it is an IPv4 address mapped into IPv6."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _forbidden_kind(address: Address) -> str:
    kinds = {
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "the unspecified address": address.is_unspecified,
        "a reserved address": address.is_reserved,
    }
    return next((kind for kind, applies in kinds.items() if applies), "")
