"""Removes from a caller's headers those that only the client can set, since callers may pass on the headers of another request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_THE_CONNECTION: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that describe a body's framing or a single connection (RFC 9110 §7.6.1). Host is not among them, since ingresses need it."""

DECODED: Final = frozenset({"", "gzip", "deflate", "identity"})
"""Content codings of an answer that can always be decoded, whatever packages are installed."""


def handed_on(headers: Mapping[str, str] | None) -> httpx.Headers:
    """The headers to send, made from the caller's, which are not changed."""
    kept = httpx.Headers(headers)
    for name in OF_THE_CONNECTION & kept.keys():
        del kept[name]
    if not _codings(kept.get("accept-encoding", "")) <= DECODED:
        del kept["accept-encoding"]  # httpx adds the codings that it can decode
    return kept


def _codings(accepted: str) -> set[str]:
    return {coding.partition(";")[0].strip().lower() for coding in accepted.split(",")}
