"""Inflates bodies that came compressed, to a bound, since a KiB of gzip can hold a MiB."""

from __future__ import annotations

import zlib
from typing import Final

GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
"""Has zlib tell the two formats apart. By `deflate` the one with zlib's header is meant (RFC 9110 §8.4.1.2)."""

RAW: Final = -zlib.MAX_WBITS
"""What some servers send as `deflate`: without the header."""

INFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})
"""The content codings that are inflated. Others are not asked for, and left as they came."""


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """The content of a body.

    Args:
        body: the body as it came.
        coding: its Content-Encoding.
        limit: of a longer content, the first `limit + 1` bytes are returned.

    Raises:
        ValueError: the body is not what its coding says, or ends too early.
    """
    kind = coding.strip().lower()
    if kind not in INFLATED or not body:
        return body
    try:
        content, complete = _first(body, GZIP_OR_ZLIB, limit + 1)
    except zlib.error as error:
        if kind != "deflate":
            raise ValueError(f"its body is not {kind}, as it says") from error
        try:
            content, complete = _first(body, RAW, limit + 1)
        except zlib.error:
            raise ValueError(f"its body is not {kind}, as it says") from error
    if not complete and len(content) <= limit:
        raise ValueError(f"its body ends in the midst of its {kind}")
    return content


def _first(body: bytes, format_: int, length: int) -> tuple[bytes, bool]:
    """The first bytes of the content, and whether that was all."""
    stream = zlib.decompressobj(format_)
    return stream.decompress(body, length), stream.eof
