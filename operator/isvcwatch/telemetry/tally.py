"""Counts what happens at every probe, in plain numbers, since only one thread counts; they become series when they are scraped."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Sequence


class Counts:
    """Counts how often each of a few words was given.

    Args:
        name: the series' name, without `_total`.
        documentation: the series' help text.
        label: the name of the label that has the words as values.
        words: the words whose series exist from the start.
    """

    __slots__ = ("_counts", "_documentation", "_label", "_name")

    def __init__(self, name: str, documentation: str, label: str, words: Sequence[str] = ()) -> None:
        self._name = name
        self._documentation = documentation
        self._label = label
        self._counts = dict.fromkeys(words, 0)

    def add(self, word: str) -> None:
        """Count the word once more."""
        self._counts[word] = self._counts.get(word, 0) + 1

    def family(self) -> CounterMetricFamily:
        """The metric with its current series."""
        family = CounterMetricFamily(self._name, self._documentation, labels=(self._label,))
        for word, count in self._counts.items():
            family.add_metric((word,), count)
        return family


class Durations:
    """Counts durations in buckets.

    Args:
        name: the series' name.
        documentation: the series' help text.
        bounds: upper bounds of the buckets, ascending.
    """

    __slots__ = ("_bounds", "_counts", "_documentation", "_name", "_sum")

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def family(self) -> HistogramMetricFamily:
        """The metric with its current series."""
        upper = (*map(str, self._bounds), "+Inf")
        buckets = list(zip(upper, map(float, accumulate(self._counts)), strict=True))
        return HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)
