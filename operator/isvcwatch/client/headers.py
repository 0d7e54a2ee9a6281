"""A caller's headers, without those that are the client's to say: callers hand on the headers of another request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_THE_CONNECTION: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""They frame a body or speak of one connection (RFC 9110 §7.6.1), and hold for no other. Host is not among them: ingresses need it."""

DECODED: Final = frozenset({"", "gzip", "deflate", "identity"})
"""Codings of an answer that can be read here whatever is installed."""


def handed_on(headers: Mapping[str, str] | None) -> httpx.Headers:
    """The headers to send; the caller's are not changed."""
    kept = httpx.Headers(headers)
    for name in OF_THE_CONNECTION & kept.keys():
        del kept[name]
    if not _codings(kept.get("accept-encoding", "")) <= DECODED:
        del kept["accept-encoding"]  # httpx says itself what it can decode
    return kept


def _codings(accepted: str) -> set[str]:
    return {coding.partition(";")[0].strip().lower() for coding in accepted.split(",")}
