"""Decides which addresses may be connected to. The check follows the DNS lookup, right before connecting, so that DNS rebinding fails."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NOT_OWN: Final = (
    "no Service in the object's own namespace that is known to lead to pods: label such a Service serving.kserve.io/inferenceservice=NAME"
)
"""What is said of a host that may be anywhere. The label is by which EndpointSlices are read."""

METADATA: Final[Mapping[Address, str]] = {
    ip_address(text): cloud
    for text, cloud in {
        "169.254.169.254": "most clouds",
        "169.254.170.2": "AWS ECS: credentials of a task",
        "169.254.170.23": "AWS EKS: credentials of a pod",
        "fd00:ec2::254": "AWS",
        "fd00:ec2::23": "AWS EKS: credentials of a pod",
        "fd20:ce::254": "Google Cloud",
        "168.63.129.16": "Azure: its wire server",
        "100.100.100.200": "Alibaba Cloud",
        "192.0.0.192": "Oracle Cloud Classic",
        "fd00:c1::a9fe:a9fe": "Oracle Cloud",
        "fd00:42::42": "Scaleway",
        "fd00:a9fe:a9fe::1": "Akamai (Linode)",
        "169.254.42.42": "Scaleway",
        "169.254.0.23": "Tencent Cloud",
    }.items()
}
"""The metadata services of clouds, which give credentials to whoever can ask them. Sources: each cloud's documentation of its instance
metadata (AWS: EC2's IMDS, ECS' task metadata, EKS Pod Identity; Google: Compute Engine's IPv6 metadata server; Microsoft: "What is IP
address 168.63.129.16?"), and for Oracle Cloud Classic the list github.com/BuffaloWill's "Cloud Metadata Dictionary"."""

NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""The prefixes of IPv4 addresses that a gateway translates, by RFC 6052 and RFC 8215."""


class AddressPolicy:
    """Refuses addresses that no model server can have: loopback, link-local, multicast, unspecified, metadata services, the API server's.

    A range that is allowed opens loopback and its like, but no metadata service and no API server: each of these must be allowed by itself.

    Args:
        allowed: ranges that may be connected to, by any host name.
        denied: addresses that may not be connected to by any host name, such as the API server's.
        anywhere: whether to allow every address, for a check that a person makes from their own machine.
    """

    def __init__(self, allowed: Iterable[Network] = (), denied: Iterable[Address] = (), *, anywhere: bool = False) -> None:
        self._allowed = tuple(allowed)
        self._named = frozenset(network.network_address for network in self._allowed if network.num_addresses == 1)
        self._denied: dict[Address, str] = {address: f"the metadata service of a cloud ({cloud})" for address, cloud in METADATA.items()}
        self._anywhere = anywhere
        self.deny(denied)

    def deny(self, addresses: Iterable[Address]) -> None:
        """Refuse the API server's addresses from now on. One that is loopback is refused as such, and may be in a range that is allowed."""
        self._denied.update((address, "the API server's") for address in map(_unmapped, addresses) if not address.is_loopback)

    def host_objection(self, host: str, own_host: bool) -> str:
        """The reason why no address of the host could be allowed, so that its name need not be looked up; empty if one could.

        Args:
            host: the host's name.
            own_host: whether its name is a Service in the object's own namespace.
        """
        if own_host or self._anywhere or self._allowed:
            return ""
        return f"{host} is {NOT_OWN}"

    @staticmethod
    def leads_away(host: str, canonical: str, routed: bool) -> bool:
        """Whether a Service's name is an alias of another name, which a Service of type ExternalName makes it.

        Args:
            host: the Service's name with its namespace and `svc`, perhaps with the cluster's domain.
            canonical: the name that it leads to, perhaps its own with the cluster's domain.
            routed: whether it may lead to any Service of the cluster, as Knative's names lead to its gateway.
        """
        asked, led_to = (name.lower().rstrip(".").split(".") for name in (host, canonical))
        if asked[:3] == led_to[:3]:
            return False
        return not (routed and led_to[2:3] == ["svc"] and led_to[3:] == asked[3:])

    def objection(self, text: str, own_host: bool) -> str:
        """The reason why the address may not be connected to; empty if it may.

        Args:
            text: an IP address, as the resolver gave it.
            own_host: whether the host's name is a Service in the object's own namespace.
        """
        address = _unmapped(ip_address(text.partition("%")[0]))
        if self._anywhere or address in self._named:
            return ""
        leads_to = (address, *_behind(address))
        if denied := next((self._denied[each] for each in leads_to if each in self._denied), ""):
            return f"{address} is not a model server's address: it is {denied}"
        if any(address.version == network.version and address in network for network in self._allowed):
            return ""
        if kind := next(filter(None, map(_forbidden_kind, leads_to)), ""):
            return f"{address} is {kind}"
        if not own_host:
            return f"{address} belongs to a host that is {NOT_OWN}"
        return ""


def _unmapped(address: Address) -> Address:
    """The address as IPv4 if it is one that is mapped into IPv6, which any system connects to as such."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _behind(address: Address) -> Iterator[Address]:
    """The IPv4 addresses to which gateways pass on what is sent to an IPv6 address: 6to4, Teredo, NAT64, and the old compatible form."""
    if not isinstance(address, IPv6Address):
        return
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if int(address) >> 32 == 0 or any(address in network for network in NAT64):
        yield last


def _forbidden_kind(address: Address) -> str:
    kinds = {
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "the unspecified address": address.is_unspecified,
        "a reserved address": address.is_reserved,
    }
    return next((kind for kind, applies in kinds.items() if applies), "")
