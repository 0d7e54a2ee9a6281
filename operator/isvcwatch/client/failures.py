"""Says what failed, to where and after how long; httpx's own errors often have no text at all."""

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
"""What a timeout means, and the phase whose limit has passed."""


def explain(error: httpx.RequestError, method: str, url: httpx.URL, limit: float | httpx.Timeout | None, elapsed: float) -> None:
    """Gives an error its full text, and its request where it has none.

    Args:
        error: what is raised; its type stays.
        method: the request's method.
        url: the request's URL, of which neither query nor credentials are told.
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
