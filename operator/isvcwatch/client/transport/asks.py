"""Prepares requests as bytes, once, to be sent again and again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from isvcwatch.client.transport.errors import NameNotFoundError, Phase
from isvcwatch.client.transport.names import is_address
from isvcwatch.version import USER_AGENT

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from isvcwatch.client.transport.connection import Connection

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(eq=False, slots=True, weakref_slot=True)
class Endpoint:
    """The destination of connections, which are interchangeable. There is one object for each of a transport's endpoints: see `Endpoints`.

    Attributes:
        host: a name or an IP address, without brackets.
        port: the TCP port.
        tls: the TLS context of the connections; None for plain HTTP.
        own_host: whether the host is the caller's own; the guard takes it into account.
        address: the IP address to connect to in place of those that the host has; empty for these.
        routed: whether the host's name may be an alias of a gateway's; the guard takes it into account.
        is_address: whether the host is an IP address, which need not be looked up.
        free: the connections to it that are free, which the pool keeps here.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    own_host: bool
    address: str = ""
    routed: bool = False
    is_address: bool = field(init=False)
    free: list[Connection] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.is_address = is_address(self.host)


class Endpoints:
    """Gives the same object for the same endpoint as long as anything refers to it.

    So an endpoint needs no hash of its parts when it is asked, and none of its parts is looked at: at ten thousand endpoints these are in
    no cache any more.
    """

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[str, int, ssl.SSLContext | None, bool, str, bool], Endpoint] = WeakValueDictionary()

    def get(self, host: str, port: int, tls: ssl.SSLContext | None, *, own_host: bool, address: str = "", routed: bool = False) -> Endpoint:
        """The endpoint."""
        key = (host, port, tls, own_host, address, routed)
        endpoint = self._known.get(key)
        if endpoint is None:
            endpoint = self._known[key] = Endpoint(*key)
        return endpoint


@dataclass(frozen=True, slots=True)
class Ask:
    """A prepared request.

    Attributes:
        url: the request's URL, without credentials.
        method: GET, or a POST that changes nothing on the server.
        endpoint: the endpoint that it is sent to.
        payload: the request's bytes.
    """

    url: str
    endpoint: Endpoint
    payload: bytes
    method: str = "GET"


def get(
    url: str,
    tls: ssl.SSLContext | None,
    endpoints: Endpoints,
    *,
    own_host: bool,
    method: str = "GET",
    body: bytes = b"",
    user_agent: str = USER_AGENT,
    at: tuple[str, int] | None = None,
    headers: Sequence[tuple[str, str]] = (),
    routed: bool = False,
) -> Ask:
    """Prepare a request that may be sent more than once and on a kept connection. It never asks for a compressed answer.

    Args:
        url: http or https, escaped, without credentials and fragment.
        tls: the TLS context for an https URL; None for http.
        endpoints: knows the endpoints of those who send it.
        own_host: whether the host is the caller's own; the guard takes it into account.
        method: a method that changes nothing on the server, since the request may be sent twice.
        body: a JSON body; empty for none.
        user_agent: the value of the User-Agent header.
        at: an IP address and port to connect to in place of the URL's, for one request: the connection is closed after it.
        headers: names and values to send beside the usual ones, and in place of those of the same name.
        routed: whether the host's name may be an alias of a gateway's; the guard takes it into account.

    Raises:
        NameNotFoundError: the URL's host is not ASCII.
    """
    if not url.isascii() or any(c <= " " for c in url):
        raise NameNotFoundError("its host is not a name that can be looked up: write it in ASCII", Phase.NAME)
    parts = urlsplit(url)
    address, port = at or ("", parts.port or DEFAULT_PORTS[parts.scheme])
    endpoint = endpoints.get(parts.hostname or "", port, tls, own_host=own_host, address=address, routed=routed)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"Host: {parts.netloc}",
        f"User-Agent: {user_agent}",
        "Accept: */*",
        "Accept-Encoding: identity",
    ]
    if headers:
        lines = _replaced(lines, headers)
    if at is not None:
        lines.append("Connection: close")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    head = "\r\n".join((f"{method} {path} HTTP/1.1", *lines))
    return Ask(url, endpoint, f"{head}\r\n\r\n".encode() + body, method)


def _replaced(lines: Sequence[str], headers: Sequence[tuple[str, str]]) -> list[str]:
    """The lines of a head with these headers, without those that they replace."""
    replaced = {name.lower() for name, _ in headers}
    kept = [line for line in lines if line.partition(":")[0].lower() not in replaced]
    return [*kept, *(f"{name}: {value}" for name, value in headers)]
