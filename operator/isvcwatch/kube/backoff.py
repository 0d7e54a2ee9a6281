"""Decides how long to wait before the next try at an API server that does not answer: longer each time, jittered and bounded."""

from __future__ import annotations

import random
from typing import Final

FIRST: Final = 0.5
LAST: Final = 15.0
"""The longest wait in seconds. With a longer one, a component may act as late as a minute after the API server is back."""


def pause(tries: int, asked: float = 0.0) -> float:
    """Seconds to wait after `tries` failures in a row; at least the `asked` seconds that the server asked for."""
    backoff = min(LAST, FIRST * float(2 ** min(tries, 10)))
    return max(asked, float(backoff) * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter
