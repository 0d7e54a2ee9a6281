"""Derives how long a service that has never been ready may take to start before it gets a verdict."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from isvcwatch.core.conditions import Status, moment

if TYPE_CHECKING:
    from isvcwatch.core.derive.containers import Server
    from isvcwatch.core.objects import Canary, Container, InferenceService
    from isvcwatch.core.policy import ProbePolicy

DEFAULT: Final = 600.0
"""Seconds: a Deployment's `progressDeadlineSeconds`, after which Kubernetes itself says that it makes no progress."""


class Start(NamedTuple):
    """The time that a service has to start.

    Attributes:
        until: when it is over.
        origin: the fields and the rule that gave it.
    """

    until: datetime
    origin: str


def of_service(isvc: InferenceService, policy: ProbePolicy, server: Container, collocated: Server | None) -> Start | None:
    """The time that a service has to start; None once KServe calls it Ready, and where a threshold of its own is set.

    It counts from the object's own times, so that a restart of the watcher doesn't prolong it.

    Args:
        isvc: the service.
        policy: the policy, whose `startup_failure_threshold` takes precedence.
        server: the model server's container.
        collocated: the transformer in its pod.
    """
    ready = isvc.condition("Ready")
    begun, field = _begun(isvc)
    if begun is None or ready is None or ready.status == Status.TRUE or policy.startup_failure_threshold is not None:
        return None
    declared = declared_by(server, collocated)
    budget = f"{declared:g} s by the container's own probe" if declared else f"{DEFAULT:g} s"
    return Start(begun + timedelta(seconds=declared or DEFAULT), f"{budget} from {field}, while KServe says that it is not Ready")


def _begun(isvc: InferenceService) -> tuple[datetime | None, str]:
    """When the service was created, or was last started again after a stop, and the field that says so.

    KServe's Ready does not tell: with a model that crashes again and again it turns at each start of the container.
    """
    stopped = isvc.condition("Stopped")
    started = moment(stopped.last_transition_time) if stopped and stopped.status == Status.FALSE else None
    if started and (isvc.created is None or started > isvc.created):
        return started, "the condition Stopped"
    return isvc.created, "metadata.creationTimestamp"


def of_canary(canary: Canary, server: Container, collocated: Server | None) -> float:
    """Seconds that a canary may take to start; 0 if KServe calls it ready. Until then, KServe after 0.20 sends it no traffic."""
    return 0.0 if canary.ready else declared_by(server, collocated) or DEFAULT


def declared_by(server: Container, collocated: Server | None) -> float:
    """Seconds that the pod's containers may take to start by their own probes; 0 if they declare none."""
    return max(server.startup, collocated.container.startup if collocated else 0.0)
