"""Reads the environment's proxies as curl and Go do: which one a URL's requests go through, if any.

The rules are those of Go's golang.org/x/net/http/httpproxy, with curl's ALL_PROXY added. Nothing here raises: a proxy that can't be used
is reported when a request needs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network

_HAS_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WITH_PORT: Final = re.compile(r"(\[[^]]*\]|[^:]*):(\d+)")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that the environment names.

    Attributes:
        variable: the environment's variable that names it.
        url: the proxy's URL, which may contain credentials.
    """

    variable: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Exemption:
    """An entry of NO_PROXY, which names hosts that are asked directly.

    Attributes:
        port: the only port that it applies to; None for every port.
        network: the addresses that it applies to; None if it is about names.
        suffix: the end of the names that it applies to, with a leading dot; empty for none.
        name: the exact name that it applies to; empty for none.
    """

    port: int | None = None
    network: Network | None = None
    suffix: str = ""
    name: str = ""

    def covers(self, host: str, address: Address | None, port: int) -> bool:
        """Whether the entry applies to a host, so that it is asked directly."""
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return address is None and (host == self.name or bool(self.suffix and host.endswith(self.suffix)))


@dataclass(frozen=True, slots=True)
class Proxies:
    """The environment's proxies.

    Attributes:
        http: the proxy for http URLs.
        https: the proxy for https URLs.
        exemptions: hosts that are asked directly.
        none_at_all: whether every host is asked directly.
    """

    http: Proxy | None = None
    https: Proxy | None = None
    exemptions: tuple[Exemption, ...] = ()
    none_at_all: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Proxies:
        """Reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; names in lower case take precedence, as in curl and Python."""
        # HTTP_PROXY is ignored in a CGI program, where it holds a request's header "Proxy" (https://httpoxy.org).
        http = ("http_proxy",) if "REQUEST_METHOD" in environ else ("http_proxy", "HTTP_PROXY")
        everything = ("all_proxy", "ALL_PROXY")
        entries = re.split(r"[\s,]+", environ.get("no_proxy") or environ.get("NO_PROXY") or "")
        return cls(
            _first(environ, *http, *everything),
            _first(environ, "https_proxy", "HTTPS_PROXY", *everything),
            tuple(exemption for entry in entries if (exemption := _exemption(entry.lower())) is not None),
            "*" in entries,
        )

    def of(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for a server; None if it is asked directly, as this machine itself always is."""
        proxy = self.https if scheme == "https" else self.http
        if proxy is None or self.none_at_all:
            return None
        name = host.strip("[]").lower().rstrip(".")
        address = _address(name)
        if name == "localhost" or (address is not None and address.is_loopback):
            return None
        return None if any(exemption.covers(name, address, port) for exemption in self.exemptions) else proxy


def _first(environ: Mapping[str, str], *variables: str) -> Proxy | None:
    for variable in variables:
        if value := environ.get(variable, "").strip():
            return Proxy(variable, value if _HAS_SCHEME.match(value) else f"http://{value}")
    return None


def _exemption(entry: str) -> Exemption | None:
    """Parse an entry of NO_PROXY; None if it is not valid."""
    if (network := _network(entry)) is not None:
        return Exemption(network=network)
    found = _WITH_PORT.fullmatch(entry)
    host, port = (found[1], int(found[2])) if found else (entry, None)
    if (network := _network(host)) is not None:
        return Exemption(port, network)
    host = host.removeprefix("*").rstrip(".")
    if host.startswith("."):
        return Exemption(port, suffix=host)
    return Exemption(port, suffix=f".{host}", name=host) if host else None


def _network(written: str) -> Network | None:
    """Parse an address or a range of addresses (CIDR), with or without brackets."""
    address, slash, bits = written.partition("/")
    try:
        network = ip_network(address.strip("[]").partition("%")[0] + slash + bits, strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return ip_network(mapped) if mapped is not None and not slash else network


def _address(host: str) -> Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
