"""Reads the HTTP statuses that mean the same in every protocol."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, Reading, Verdict
from isvcwatch.client.protocols.words import one_line, server_words

OK_FROM: Final = 200
OK_BELOW: Final = 300
CLIENT_ERROR_FROM: Final = 400
SERVER_ERROR_FROM: Final = 500
NOT_FOUND: Final = 404
SERVICE_UNAVAILABLE: Final = 503

_NAMED: Final = {
    401: reasons.UNAUTHORIZED,
    403: reasons.FORBIDDEN,
    407: reasons.UNAUTHORIZED,
    429: reasons.TOO_MANY_REQUESTS,
    511: reasons.UNAUTHORIZED,
}

_ABOUT_THE_REQUEST: Final = frozenset({402, 405, 406, 408, 411, 413, 414, 415, 417, 421, 426, 428, 431, 451})
"""Client errors about the request or the caller (RFC 9110 §15.5), mostly from proxies, which say nothing about health."""


def is_ok(status: int) -> bool:
    """Whether the status is a 2xx."""
    return OK_FROM <= status < OK_BELOW


def no_answer(reason: str, detail: str = "") -> Reading:
    """A reading that says nothing about health, and why."""
    return Reading(Verdict.NO_ANSWER, reason, one_line(detail))


def not_about_health(answer: Answer) -> Reading | None:
    """The reading of a status that says nothing about health in any protocol; None if the protocol must decide.

    401, 403: the caller lacks a credential. 3xx: someone else answers, and following would send headers there. 429: a gateway
    or the server limits callers. 5xx other than 503: the server or something before it broke; 503 is how KServe and vLLM say no.
    """
    status = answer.status
    if status in _NAMED:
        return no_answer(_NAMED[status], server_words(answer.body))
    if is_ok(status) or status == SERVICE_UNAVAILABLE:
        return None
    if status >= SERVER_ERROR_FROM:
        return no_answer(reasons.SERVER_ERROR, f"HTTP {status} {server_words(answer.body)}")
    if OK_BELOW <= status < CLIENT_ERROR_FROM:
        return no_answer(reasons.REDIRECTED, _redirect(answer))
    if status < OK_FROM or status in _ABOUT_THE_REQUEST:
        return no_answer(reasons.UNEXPECTED_ANSWER, f"HTTP {status} {server_words(answer.body)}")
    return None


def _redirect(answer: Answer) -> str:
    """The target of a redirect, without user info, query and fragment, which may contain credentials."""
    location = answer.headers.get("location", "")
    try:
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return f"HTTP {answer.status}"
    target = f"{parts.scheme}://{host}{parts.path}" if host else parts.path
    return f"HTTP {answer.status} to {target}" if target else f"HTTP {answer.status}"
