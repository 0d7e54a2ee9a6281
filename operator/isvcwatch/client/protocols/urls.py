"""Joins base URLs and routes, and escapes names, as plain strings, so that every transport sends the same bytes.

RFC 3986 is the source: §3 for the parts, §5.2.4 for dot segments, §2.1 for escapes.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

_PATH_SAFE: Final = "/%:@!$&'()*+,;=~"
_QUERY_SAFE: Final = "/%:@!$&'()*+,;=~?[]"


class BaseURL(NamedTuple):
    """A base URL in its parts.

    Attributes:
        origin: scheme, host and port, without user info.
        path: the path without a trailing slash, escaped; empty for none.
        query: the query without its question mark, escaped; empty for none.
        userinfo: user name and password, unescaped; None where the URL has none.
    """

    origin: str
    path: str
    query: str
    userinfo: tuple[str, str] | None


def escape_segment(name: str | None) -> str:
    """A model's name as one segment of a path: `/`, `?`, `%` and all other characters with a meaning in URLs are escaped.

    A segment of dots is escaped too, since clients and proxies resolve `.` and `..`.

    Raises:
        ValueError: no name, or one that is not valid Unicode.
    """
    if not name:
        raise ValueError("model_name should not be empty or 'None': name the model to ask about")
    try:
        escaped = quote(name, safe="")
    except UnicodeEncodeError:
        raise ValueError(f"model_name {name!a} is not valid Unicode text") from None
    return escaped.replace(".", "%2E") if not escaped.strip(".") else escaped


def parse_base_url(url: str) -> BaseURL:
    """Takes a base URL apart, and cleans its path: no double slashes, no dot segments, no trailing slash.

    Raises:
        ValueError: no `http://` or `https://`, no host, or an impossible port or host. The message never holds user info.
    """
    parts = _split(url)
    segments: list[str] = []
    for segment in parts.path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(quote(segment, safe=_PATH_SAFE))
    path = "".join(f"/{segment}" for segment in segments)
    return BaseURL(_origin(parts), path, quote(parts.query, safe=_QUERY_SAFE), _userinfo(parts))


def join_url(base: BaseURL, route: str) -> str:
    """The URL of a route below a base URL, whose path and query are kept.

    Args:
        base: a base URL from `parse_base_url`.
        route: an escaped path that starts with a slash.
    """
    query = f"?{base.query}" if base.query else ""
    return f"{base.origin}{base.path}{route}{query}"


def take_userinfo(url: str) -> tuple[str, tuple[str, str] | None]:
    """Split a URL into the URL without its user info, and the user info.

    Raises:
        ValueError: as `parse_base_url`.
    """
    parts = _split(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{_origin(parts)}{quote(parts.path, safe=_PATH_SAFE)}{query}", _userinfo(parts)


def without_secrets(url: str) -> str:
    """The URL for logs and messages: without user info, and with a mark in place of its query."""
    head, mark, _ = url.partition("#")[0].partition("?")
    scheme, separator, rest = head.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}{'?…' if mark else ''}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("base_url has a host or port that is not valid: write it like 'http://host:8080'") from None
    if parts.scheme not in ("http", "https"):
        rest = without_secrets(url.strip()).rpartition("://")[2].lstrip("/")
        raise ValueError(f"Base url should have 'http://' or 'https://' protocol: write 'http://{rest}' or 'https://{rest}'")
    if not parts.hostname or port == 0:
        raise ValueError("base_url has no host that can be connected to: write it like 'http://host:8080'")
    return parts


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _userinfo(parts: SplitResult) -> tuple[str, str] | None:
    if "@" not in parts.netloc:
        return None
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    return unquote(user), unquote(password)
