"""Reads what a body says against its own status: some servers answer 200 and say in words that they are not ready."""

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
"""Words for a state in which nothing can be served, in lower case: llama.cpp, TorchServe, Spring Boot's actuator (`DOWN`), health checks of
people's own."""

_LONGEST: Final = 64
"""Bytes of a body that may be such a word; more is a text that may hold it by chance."""

_LOADING: Final = frozenset({"loading", "loading model", "starting", "initializing"})

_KEYS: Final = ("ready", "live", "healthy", "ok", "status", "state", "health")
"""Where such words stand."""


def denial(body: bytes) -> str:
    """The word by which a body says no; empty where it doesn't."""
    value = parse_json(body)
    if value is NOT_JSON:
        said = body.decode("utf-8", errors="ignore").strip().strip(".").lower() if len(body) <= _LONGEST else ""
        return said if said in _NO else ""
    if value is False:
        return "false"
    if isinstance(value, dict):
        for key in _KEYS:
            found = value.get(key)
            if isinstance(found, str) and found.strip().lower() in _NO:
                return found.strip().lower()
            if key in {"ready", "live", "healthy", "ok"} and key in value and truth(found) is False:
                return f"{key} is false"
    return ""


def is_loading(word: str) -> bool:
    """Whether the word means that the server is on its way."""
    return word in _LOADING
