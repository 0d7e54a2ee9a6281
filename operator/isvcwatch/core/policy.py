"""How often a target is asked, and how many answers make a verdict: the kubelet's probe fields and meanings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """One target's probing, in the kubelet's terms.

    Attributes:
        period: seconds between the starts of two rounds.
        timeout: seconds that one request may take, connecting included.
        initial_delay: seconds after a target is first seen, or started again, in which it is left alone.
        failure_threshold: rounds in a row that must fail before a verdict is False or Unknown.
        success_threshold: rounds in a row that must succeed before a verdict is True.
    """

    period: float = 10.0
    timeout: float = 2.0
    initial_delay: float = 0.0
    failure_threshold: int = 3
    success_threshold: int = 1
