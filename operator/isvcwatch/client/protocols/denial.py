"""Finds words in a body that contradict a 200 status, since some servers answer 200 and say in the body that they are not ready."""

from __future__ import annotations

from typing import Final

from isvcwatch.client.protocols.truth import truth
from isvcwatch.client.protocols.words import NOT_JSON, parse_json

_NO: Final = frozenset(
    {
        "loading",
        "loading model",
        "starting",
        "initializing",
        "unhealthy",
        "not ready",
        "notready",
        "unavailable",
        "down",
        "dead",
        "error",
        "fail",
        "failed",
        "false",
    }
)
"""Words, in lower case, for a state in which nothing can be served: those of llama.cpp, TorchServe, Spring Boot's actuator (`DOWN`) and
custom health checks."""

_LONGEST: Final = 64
"""The most bytes of a body that is compared with these words; a longer text may contain one by chance."""

_LOADING: Final = frozenset({"loading", "loading model", "starting", "initializing"})

_FLAGS: Final = ("ready", "live", "healthy", "ok")
"""The keys of a JSON object whose values may be true or false."""

_KEYS: Final = (*_FLAGS, "status", "state", "health")
"""The keys of a JSON object whose values may be such words."""


def denial(body: bytes) -> str:
    """The word in a body that says no; empty if there is none."""
    return denial_in(parse_json(body), body)


def denial_in(value: object, body: bytes) -> str:
    """The same for a body whose JSON value is known, as `parse_json` returns it."""
    if value is NOT_JSON:
        said = body.decode("utf-8", errors="ignore").strip().strip(".").lower() if len(body) <= _LONGEST else ""
        return said if said in _NO else ""
    if value is False:
        return "false"
    if isinstance(value, dict):
        for key in _KEYS:
            if key not in value:
                continue
            found = value[key]
            if isinstance(found, str) and found.strip().lower() in _NO:
                return found.strip().lower()
            if key in _FLAGS and truth(found) is False:
                return f"{key} is false"
    return ""


def is_loading(word: str) -> bool:
    """Whether the word means that the server is still starting."""
    return word in _LOADING
