"""How often a target is asked, and how many answers make a verdict: the kubelet's probe fields and meanings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHORTEST_PERIOD: Final = 0.1
"""Seconds between two rounds at least, by the settings of whoever runs the operator."""

SHORTEST_PERIOD_OF_TENANTS: Final = 1.0
"""The same by an annotation: a tenant must not turn the watcher into a load generator."""

SHORTEST_TIMEOUT: Final = 0.001
"""Seconds that a request may take at least."""

LONGEST: Final = 3600.0
"""Seconds of any time that can be set at most."""

MOST_ROUNDS: Final = 1000
"""Rounds in a row that a threshold may ask for at most."""


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """One target's probing, in the kubelet's terms.

    Attributes:
        period: seconds between the starts of two rounds.
        timeout: seconds that one request may take, connecting included.
        initial_delay: seconds after a target is first seen, or started again, in which it is left alone.
        failure_threshold: rounds in a row that must fail before a verdict is False or Unknown.
        success_threshold: rounds in a row that must succeed before a verdict is True.
        startup_failure_threshold: rounds in a row that may fail before there ever was a verdict; None for `failure_threshold`.
        edge_period: seconds between the starts of two rounds while a verdict is being confirmed; never more than `period` counts.
        slow_period: the most seconds between the starts of two rounds of a target that has long been down; never less than `period` counts.
    """

    period: float = 10.0
    timeout: float = 2.0
    initial_delay: float = 0.0
    failure_threshold: int = 3
    success_threshold: int = 1
    startup_failure_threshold: int | None = None
    edge_period: float = 1.0
    slow_period: float = 60.0

    @property
    def edge(self) -> float:
        """Seconds between two rounds while a verdict is being confirmed."""
        return min(self.edge_period, self.period)

    @property
    def patience(self) -> int:
        """Rounds that must fail before a first verdict is False or Unknown: the start-up gate."""
        return self.failure_threshold if self.startup_failure_threshold is None else self.startup_failure_threshold
