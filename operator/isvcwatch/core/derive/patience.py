"""How long a service that has never been ready is given to start, before anything is said of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from isvcwatch.core.conditions import ConditionType, Status
from isvcwatch.core.policy import MOST_ROUNDS

if TYPE_CHECKING:
    from isvcwatch.core.derive.containers import Server
    from isvcwatch.core.objects import Canary, Container, InferenceService
    from isvcwatch.core.overrides import Overrides
    from isvcwatch.core.policy import ProbePolicy

DEFAULT: Final = 600.0
"""Seconds: a Deployment's `progressDeadlineSeconds`, after which Kubernetes itself says that it makes no progress."""

FIELD: Final = "startup_failure_threshold"
"""Of the policy."""


def with_grace(
    isvc: InferenceService, asked: Overrides, server: Container, collocated: Server | None
) -> tuple[ProbePolicy, dict[str, str]]:
    """The policy, with a start-up budget where KServe still says that the service is coming and nothing was ever said of its model.

    Once KServe says Ready, that is to be proven, and the usual threshold holds.

    Args:
        isvc: the service.
        asked: what annotations and settings ask for, which comes first.
        server: the model server's container.
        collocated: the transformer in its pod.

    Returns:
        The policy, and where a field of it came from that is in neither annotations nor settings.
    """
    policy = asked.policy
    ready = isvc.condition("Ready")
    comes = ready is not None and ready.status != Status.TRUE and isvc.condition(ConditionType.MODEL_READY) is None
    if not comes or policy.startup_failure_threshold is not None:
        return policy, {}
    declared = declared_by(server, collocated)
    rounds = min(max(math.ceil((declared or DEFAULT) / policy.period), policy.failure_threshold), MOST_ROUNDS)
    origin = "the container's own probe" if declared else f"{DEFAULT:g} s, while KServe says that it is not Ready yet"
    return replace(policy, startup_failure_threshold=rounds), {FIELD: origin}


def of_canary(canary: Canary, server: Container, collocated: Server | None) -> float:
    """Seconds that a canary which KServe calls not ready is given; KServe after 0.20 sends it nothing meanwhile."""
    return 0.0 if canary.ready else declared_by(server, collocated) or DEFAULT


def declared_by(server: Container, collocated: Server | None) -> float:
    """Seconds that the pod's containers say they may take to start; 0 where they say nothing."""
    return max(server.startup, collocated.container.startup if collocated else 0.0)
