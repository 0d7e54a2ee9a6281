"""Gives httpx's errors a text that says what failed, at which URL and after how long, since many of them have none."""

from __future__ import annotations

from typing import Final

import httpx

from isvcwatch.client.protocols.urls import without_secrets

_MISSED: Final[dict[type[httpx.RequestError], tuple[str, str]]] = {
    httpx.ConnectTimeout: ("no connection to", "connect"),
    httpx.ReadTimeout: ("no complete answer from", "read"),
    httpx.WriteTimeout: ("the request could not be sent to", "write"),
    httpx.PoolTimeout: ("no connection was free for", "pool"),
}
"""For each kind of timeout, its meaning in words, and the phase whose limit has passed."""


def explain(error: httpx.RequestError, method: str, url: httpx.URL, limit: float | httpx.Timeout | None, elapsed: float) -> None:
    """Gives an error its full text, and its request if it has none.

    Args:
        error: the error, which keeps its type.
        method: the request's method.
        url: the request's URL; the text contains neither its query nor its credentials.
        limit: the call's timeout.
        elapsed: seconds since the call began.
    """
    kind = type(error).__name__
    where, said = without_secrets(str(url)), str(error).strip()
    what, phase = _MISSED.get(type(error), ("", ""))
    if what:
        allowed = getattr(limit, phase) if isinstance(limit, httpx.Timeout) else limit
        span = f"after {elapsed:.3g} s" if allowed is None else f"within {allowed:g} s"
        error.args = (f"{what} {where} {span} ({kind})",)
    else:
        error.args = (f"{said or 'the request failed'}: {method} {where} after {elapsed:.3g} s ({kind})",)
    try:
        _ = error.request
    except RuntimeError:
        error.request = httpx.Request(method, url)
