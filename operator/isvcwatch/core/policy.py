"""The policy of how often a target is asked and how many findings make a verdict, with the kubelet's probe fields and their meanings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHORTEST_PERIOD: Final = 0.1
"""The shortest period, in seconds, that the operator's own settings may ask for."""

SHORTEST_PERIOD_OF_TENANTS: Final = 1.0
"""The shortest period, in seconds, that an annotation may ask for: a tenant must not turn the watcher into a load generator."""

LONGEST_TIMEOUT_OF_TENANTS: Final = 30.0
"""The longest timeout, in seconds, that an annotation may ask for: a round that waits holds a connection."""

SHORTEST_TIMEOUT: Final = 0.001
"""The shortest timeout of a request that can be set, in seconds."""

LONGEST: Final = 3600.0
"""The longest time of any kind that can be set, in seconds."""

MOST_ROUNDS: Final = 1000
"""The most rounds in a row that a threshold may ask for."""


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """One target's probing, in the kubelet's terms.

    Attributes:
        period: seconds between the starts of two rounds.
        timeout: seconds that one request may take, connecting included.
        initial_delay: seconds without probing after a target is first seen or is started again.
        failure_threshold: rounds in a row that must fail before a verdict is False or Unknown.
        success_threshold: rounds in a row that must succeed before a verdict is True.
        startup_failure_threshold: rounds in a row that must fail before a first verdict is False or Unknown; None for `failure_threshold`.
        edge_period: seconds between the starts of two rounds while a verdict is being confirmed; `period` if that is shorter.
        slow_period: the most seconds between the starts of two rounds of a target that has long been down; `period` if that is longer.
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
        """Rounds in a row that must fail before a first verdict is False or Unknown."""
        return self.failure_threshold if self.startup_failure_threshold is None else self.startup_failure_threshold
