"""Prepares requests as bytes, once, to be sent again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from isvcwatch.client.transport.errors import NameNotFoundError, Phase

if TYPE_CHECKING:
    import ssl

DEFAULT_PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """The destination of a connection. Connections to equal endpoints are interchangeable.

    Attributes:
        host: a name or an IP address, without brackets.
        port: the TCP port.
        tls: the TLS context of the connection; None for plain HTTP.
        own_host: whether the host is the caller's own; the guard takes it into account.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    own_host: bool


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
    url: str, tls: ssl.SSLContext | None, *, own_host: bool, method: str = "GET", body: bytes = b"", user_agent: str = "isvcwatch"
) -> Ask:
    """Prepare a request that may be sent more than once and on a kept connection. It never asks for a compressed answer.

    Args:
        url: http or https, escaped, without credentials and fragment.
        tls: the TLS context for an https URL; None for http.
        own_host: whether the host is the caller's own; the guard takes it into account.
        method: a method that changes nothing on the server, since the request may be sent twice.
        body: a JSON body; empty for none.
        user_agent: the value of the User-Agent header.

    Raises:
        NameNotFoundError: the URL's host is not ASCII.
    """
    if not url.isascii() or any(c <= " " for c in url):
        raise NameNotFoundError("its host is not a name that can be looked up: write it in ASCII", Phase.NAME)
    parts = urlsplit(url)
    endpoint = Endpoint(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme], tls, own_host)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"User-Agent: {user_agent}",
        "Accept: */*",
        "Accept-Encoding: identity",
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return Ask(url, endpoint, ("\r\n".join(lines) + "\r\n\r\n").encode() + body, method)
