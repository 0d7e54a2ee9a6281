"""How long to wait for an API server that is away: longer each time, jittered, and never long after it has come back."""

from __future__ import annotations

import random
from typing import Final

FIRST: Final = 0.5
LAST: Final = 15.0
"""Seconds; components that back off for longer act up to a minute after an API server's return."""


def pause(tries: int, asked: float = 0.0) -> float:
    """Seconds before the next try, after so many that failed; at least what the server asked for."""
    backoff = min(LAST, FIRST * float(2 ** min(tries, 10)))
    return max(asked, float(backoff) * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter
