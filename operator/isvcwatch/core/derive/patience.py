"""Derives how long a service that has never been ready may take to start before it gets a verdict."""

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
"""The field of the policy that holds the start-up budget."""


def with_grace(
    isvc: InferenceService, asked: Overrides, server: Container, collocated: Server | None
) -> tuple[ProbePolicy, dict[str, str]]:
    """The policy, with a start-up budget if KServe does not call the service Ready yet and its model never had a verdict.

    Once KServe calls the service Ready, the usual threshold applies.

    Args:
        isvc: the service.
        asked: the values of annotations and settings, which take precedence.
        server: the model server's container.
        collocated: the transformer in its pod.

    Returns:
        The policy, and the origin of each field that neither annotations nor settings gave.
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
    """Seconds that a canary may take to start; 0 if KServe calls it ready. Until then, KServe after 0.20 sends it no traffic."""
    return 0.0 if canary.ready else declared_by(server, collocated) or DEFAULT


def declared_by(server: Container, collocated: Server | None) -> float:
    """Seconds that the pod's containers may take to start by their own probes; 0 if they declare none."""
    return max(server.startup, collocated.container.startup if collocated else 0.0)
