"""What a subject did between two marks."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.part import Part

MICRO = 1e6
POLL = 0.25  # seconds

PATIENCE = 20.0
"""Seconds beyond the first period after which an engine is measured even if targets have no verdict."""

SETTLING = 1.0
"""Seconds that a part gets beside its first period, in which connections are opened."""


@dataclass(frozen=True, slots=True)
class Window:
    """Between two marks.

    Attributes:
        seconds: how long it was.
        cpu: seconds of user and system, of the measured process alone.
        answered: probes that were answered ready.
        failed: probes that were not.
        end: the mark at its end.
    """

    seconds: float
    cpu: float
    answered: int
    failed: int
    end: dict[str, Any]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    @property
    def cores(self) -> float:
        return self.cpu / self.seconds

    @property
    def cpu_per_probe(self) -> float:
        """Microseconds of CPU for each answer: the servers are well, so what fails is the subject's own doing."""
        return self.cpu / self.answered * MICRO if self.answered else math.inf

    @property
    def rss(self) -> float:
        """MiB at its end."""
        return float(self.end["rss"]) / 1024

    def p99(self, of: str) -> float:
        """The 99th percentile of its `lateness` or `latency`, in milliseconds."""
        value = self.end.get(f"{of}_p99")
        return math.nan if value is None else float(value) * 1000


def settle(part: Part, within: float, then: float = SETTLING) -> None:
    """Wait until the engine has a verdict on each target, but no longer than so many seconds; and some more."""
    end = time.monotonic() + within
    while part.ask(do="mark")["first_verdict"] is None and time.monotonic() < end:
        time.sleep(POLL)
    time.sleep(then)


def measure(part: Part, seconds: float) -> Window:
    """What it does in that time."""
    before = part.ask(do="mark")
    time.sleep(seconds)
    after = part.ask(do="mark")
    return between(before, after)


def between(before: dict[str, Any], after: dict[str, Any]) -> Window:
    spent = {key: after[key] - before[key] for key in ("time", "cpu", "answered", "failed")}
    return Window(spent["time"], spent["cpu"], spent["answered"], spent["failed"], after)


def median(windows: Iterable[Window], of: Callable[[Window], float]) -> float:
    """Of the windows' values, the one in the middle."""
    return statistics.median(of(window) for window in windows)
