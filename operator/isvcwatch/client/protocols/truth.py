"""Reads a JSON value as a boolean, which servers write in more than one way."""

from __future__ import annotations

from typing import Final

_WORDS: Final = {"true": True, "false": False}


def truth(value: object) -> bool | None:
    """True or False as the server means it; None for a value that is neither.

    KServe up to 0.11 (pydantic 1) answers `{"ready": "False"}`: a string, and truthy in Python.
    """
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    return None
