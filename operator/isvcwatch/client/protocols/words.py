"""Reads bodies of any format: their JSON, if they have it, and the server's own words.

Bodies come from untrusted servers, so no function here raises, and each text that one returns is one line of limited length.
"""

from __future__ import annotations

import json
import re
from typing import Final

DETAIL_LIMIT: Final = 256
"""The most characters of a reading's detail, so that it fits into a condition's message together with our own words."""

PARSED_LIMIT: Final = 1 << 20
"""The most bytes of a body that is parsed as JSON: known health answers have less than 100 KiB, and parsing 1 MiB takes milliseconds."""

_LOOKED_AT: Final = 1 << 14
"""The bytes at the beginning of a body without JSON that words are taken from."""

_SPOKEN_KEYS: Final = ("error", "detail", "message", "msg", "error_message")
"""The keys of servers' messages: `error` KServe, MLServer, Triton, TF Serving; `detail` FastAPI; `error.message` OpenAI's API;
`message` TorchServe, Istio, many gateways; `msg` an item of FastAPI's `detail`; `error_message` TF Serving's model status."""

_MOST_ITEMS: Final = 5
_MOST_DEPTH: Final = 6
_TITLE: Final = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_TAG: Final = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)


class _NotJSON:
    """The type of `NOT_JSON`."""


NOT_JSON: Final = _NotJSON()
"""The result of `parse_json` for a body that is not JSON (None stands for JSON's null)."""


def parse_json(body: bytes) -> object:
    """The value that the body holds, or `NOT_JSON`; a body too big, too deep or in no known encoding is `NOT_JSON`."""
    if len(body) > PARSED_LIMIT:
        return NOT_JSON
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return NOT_JSON
    return value


def says_not_ready(words: str, model_name: str | None) -> bool:
    """Whether a server's words are that this model is not ready, as KServe's are, which for one that it does not have are others."""
    return bool(model_name) and re.search(rf"(?<![\w.-]){re.escape(model_name or '')} is not ready", words) is not None


def is_markup(body: bytes, content_type: str = "") -> bool:
    """Whether the body is HTML or XML: as sent by a captive portal, an ingress' error page, or another kind of server."""
    kind = content_type.partition(";")[0].strip().lower()
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") or (bool(start) and kind in {"text/html", "application/xhtml+xml"})


def one_line(text: str, limit: int = DETAIL_LIMIT) -> str:
    """The text with every run of space and unprintable characters as one space, at most `limit` characters long."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 8 * limit])
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def server_words(body: bytes, limit: int = DETAIL_LIMIT) -> str:
    """The server's own words in a body of any format, in one line; empty if it has none.

    Args:
        body: the body as it came, of any type and size.
        limit: the most characters to return.
    """
    if not body.strip():
        return ""
    value = parse_json(body)
    return one_line(_unparsed_words(body) if value is NOT_JSON else _words_of(value), limit)


def _words_of(value: object, depth: int = 0) -> str:
    if value is None or depth > _MOST_DEPTH:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for key in _SPOKEN_KEYS:
            if words := _words_of(value.get(key), depth + 1):
                return words
        return "" if not value or depth else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "; ".join(filter(None, (_words_of(item, depth + 1) for item in value[:_MOST_ITEMS])))
    return json.dumps(value)


def _unparsed_words(body: bytes) -> str:
    looked_at = body[:_LOOKED_AT]
    if is_markup(looked_at):
        text = looked_at.decode("utf-8", errors="replace")
        title = _TITLE.search(text)
        return title[1].strip() if title and title[1].strip() else _TAG.sub(" ", text)
    if b"\0" in looked_at:
        return f"{len(body)} bytes that are not text"
    text = looked_at.decode("utf-8", errors="ignore")
    return text if 2 * len(text) > len(looked_at) or text.isprintable() else f"{len(body)} bytes that are not text"
