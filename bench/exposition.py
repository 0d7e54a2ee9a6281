"""What a process says of itself at `/metrics`, read as far as the measurements need it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

LINE: Final = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
BOUND: Final = re.compile(r'le="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, its labels as they are written, its value."""

    name: str
    labels: str
    value: float


class Exposition:
    """All series of one scrape.

    Args:
        text: in Prometheus' text format.
    """

    def __init__(self, text: str) -> None:
        found = (LINE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
        self._series = [Series(m["name"], m["labels"] or "", float(m["value"])) for m in found if m]

    def total(self, name: str, label: str = "") -> float:
        """The sum of the series of that name, of those alone that have the label, such as `state="probed"`."""
        return sum(series.value for series in self._series if series.name == name and label in series.labels)

    def count(self, *names: str) -> int:
        """How many series there are of these names."""
        return sum(series.name in names for series in self._series)

    def buckets(self, name: str) -> dict[float, float]:
        """A histogram's counts at or below each upper bound."""
        mine = (series for series in self._series if series.name == f"{name}_bucket")
        return {float(found[1]): series.value for series in mine if (found := BOUND.search(series.labels))}


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The value that so large a share of what came between two scrapes does not exceed; straight lines between the bounds."""
    within = {bound: count - before.get(bound, 0.0) for bound, count in sorted(after.items())}
    wanted = share * max(within.values(), default=0.0)
    if not wanted:
        return math.nan
    lower, below = 0.0, 0.0
    for bound, count in within.items():
        if count >= wanted:
            return bound if math.isinf(bound) else lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return math.inf


def most(before: dict[float, float], after: dict[float, float]) -> float:
    """The upper bound of the highest bucket in which anything came between two scrapes; 0 of none."""
    highest, below = 0.0, 0.0
    for bound, count in sorted(after.items()):
        came = count - before.get(bound, 0.0)
        if came > below:
            highest, below = bound, came
    return highest
