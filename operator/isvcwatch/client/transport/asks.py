"""What is asked, ready for the wire: made once, sent again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from isvcwatch.client.transport.errors import NameNotFoundError, Phase

if TYPE_CHECKING:
    import ssl

DEFAULT_PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """Where a connection goes, and by which rules: connections to equal endpoints can stand for each other.

    Attributes:
        host: a name or an IP address, without brackets.
        port: the TCP port.
        tls: the context that it is secured by; None for plain HTTP.
        own_host: whether the host is the asker's own, as the guard is told.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    own_host: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """A request.

    Attributes:
        url: what is asked, without credentials.
        method: GET, or a POST that changes nothing.
        endpoint: where it is sent.
        payload: the request's bytes.
    """

    url: str
    endpoint: Endpoint
    payload: bytes
    method: str = "GET"


def get(
    url: str, tls: ssl.SSLContext | None, *, own_host: bool, method: str = "GET", body: bytes = b"", user_agent: str = "isvcwatch"
) -> Ask:
    """A question to a URL, which can be sent on a kept connection, and again. Never asks for a compressed answer.

    Args:
        url: http or https, escaped, without credentials and fragment.
        tls: the context of an https URL; None for http.
        own_host: what the guard is told of the host.
        method: the method; one that changes nothing, since it may be sent twice.
        body: JSON, where there is any.
        user_agent: who asks.

    Raises:
        NameNotFoundError: its host is not ASCII.
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
