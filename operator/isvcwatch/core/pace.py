"""How soon a target is asked again: once a period; sooner while a verdict is being confirmed, later where it has long been down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.core.conditions import Status

if TYPE_CHECKING:
    from isvcwatch.core.health import Health
    from isvcwatch.core.policy import ProbePolicy

LONG: Final = 600.0
"""Seconds without being True after which a target is asked less and less often: whoever was going to look has been told."""

EASING: Final = 60.0
"""Seconds of being down that add a second between two rounds: from ten seconds to a minute within an hour."""


def is_steady(health: Health) -> bool:
    """Whether the model is held to be ready, and nothing speaks for anything else."""
    verdict = health.model_ready.verdict
    return verdict is not None and verdict.status is Status.TRUE and not any(True for _ in health.pending())


def starts_up(health: Health, policy: ProbePolicy) -> bool:
    """Whether failures are expected: the model was never heard of, and is given more rounds to start than it will have later.

    These rounds are a period apart, so that `startup_failure_threshold` times `period` is the time that a start may take.
    """
    model = health.model_ready
    succeeds = model.latest is not None and model.latest.status is Status.TRUE
    return model.verdict is None and policy.patience > policy.failure_threshold and not succeeds


def is_unsure(health: Health, policy: ProbePolicy, down: float) -> bool:
    """Whether a verdict is being confirmed. Causes that go on changing for long are no longer news; an answer that is ready always is.

    Args:
        health: as it stands.
        policy: the target's.
        down: seconds for which the model has not been held to be ready.
    """
    if starts_up(health, policy):
        return False
    if down >= LONG:
        return any(finding.status is Status.TRUE for finding in health.pending())
    return health.model_ready.verdict is None or any(True for _ in health.pending())


def delay(health: Health, policy: ProbePolicy, down: float) -> float:
    """Seconds from the start of a target's latest round to the start of the next; arguments as for `is_unsure`."""
    if is_unsure(health, policy, down):
        return policy.edge
    if down < LONG or starts_up(health, policy):
        return policy.period
    return max(policy.period, min(policy.slow_period, policy.period + (down - LONG) / EASING))


def silence_tells(health: Health, policy: ProbePolicy) -> bool:
    """Whether no answer so far is reason enough to ask again: only where a failure would be news."""
    verdict = health.model_ready.verdict
    return not starts_up(health, policy) and (verdict is None or verdict.status is Status.TRUE)
