"""Decides how soon a target is asked again: after a period, sooner while a verdict is being confirmed, later if it has long been down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.core.conditions import Status

if TYPE_CHECKING:
    from isvcwatch.core.health import Health
    from isvcwatch.core.policy import ProbePolicy

LONG: Final = 600.0
"""Seconds without being True after which a target is asked less and less often, since people have long been told of it."""

EASING: Final = 60.0
"""Seconds of being down that lengthen the time between two rounds by one second: from ten seconds to a minute within an hour."""


def is_steady(health: Health) -> bool:
    """Whether the model's verdict is ready, and no finding contradicts any verdict."""
    verdict = health.model_ready.verdict
    return verdict is not None and verdict.status is Status.TRUE and not any(True for _ in health.pending())


def starts_up(health: Health, policy: ProbePolicy) -> bool:
    """Whether failures are expected: the model has not been ready yet, and has time to start or rounds left to do so.

    These rounds are a period apart, so that `startup_failure_threshold` times `period` is the time that a start may take.
    """
    model = health.model_ready
    if model.latest is None and model.verdict is not None:
        return model.verdict.is_start
    succeeds = model.latest is not None and model.latest.status is Status.TRUE
    return model.is_new and policy.patience > policy.failure_threshold and not succeeds


def is_unsure(health: Health, policy: ProbePolicy, down: float) -> bool:
    """Whether a verdict is being confirmed, so that the target is asked again soon.

    For a target that has long been down, only an answer that is ready counts: a reason that keeps changing is no longer news.

    Args:
        health: the target's current health.
        policy: the target's policy.
        down: seconds since the model's verdict was last ready.
    """
    if starts_up(health, policy):
        return False
    if down >= LONG and not health.model_ready.is_new:
        return any(finding.status is Status.TRUE for finding in health.pending())
    return health.model_ready.is_new or any(True for _ in health.pending())


def delay(health: Health, policy: ProbePolicy, down: float) -> float:
    """Seconds from the start of a target's latest round to the start of the next. Its arguments are those of `is_unsure`."""
    if is_unsure(health, policy, down):
        return policy.edge
    if down < LONG or starts_up(health, policy):
        return policy.period
    return max(policy.period, min(policy.slow_period, policy.period + (down - LONG) / EASING))


def silence_tells(health: Health, policy: ProbePolicy) -> bool:
    """Whether to ask again while an answer is still outstanding, which is worth it only if a failure would be news."""
    verdict = health.model_ready.verdict
    return not starts_up(health, policy) and (verdict is None or verdict.status is Status.TRUE)
