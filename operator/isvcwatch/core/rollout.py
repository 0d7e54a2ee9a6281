"""Which pods serve while a service is being changed: until the new ones are there, those of before the change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from isvcwatch.core.conditions import Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from isvcwatch.core.objects import InferenceService
    from isvcwatch.core.targets import Hop

DONE: Final = "NewReplicaSetAvailable"
FAILED: Final = "ProgressDeadlineExceeded"
"""Reasons of a Deployment's `Progressing` condition, which KServe hands on with a component's."""

AVAILABLE: Final = "MinimumReplicasAvailable"
"""The reason of a component's condition while a roll-out is under way and the pods of before it are available."""

DEPLOYMENTS: Final = ("PredictorReady", "TransformerReady")
"""KServe's conditions that carry a Deployment's reason in Standard mode; that of canaries has reasons of its own."""

REVISIONS: Final = ("LatestDeploymentReady", "PredictorConfigurationReady")
"""KServe's conditions that are not True in Knative mode until the latest revision serves."""

BEGINS: Final = timedelta(seconds=20)
"""How long after a change of its spec a service's status may still tell of the roll-out before it."""

LASTS: Final = timedelta(minutes=15)
"""How long a roll-out may last that KServe does not call done: a Deployment gives up after 10 minutes, and KServe may say so late."""


@dataclass(frozen=True, slots=True)
class Former:
    """How a service was reached before its last change, and answered.

    Attributes:
        hops: those that answered, without canaries: a canary that fails is no roll-out that is not done yet. Empty if they are not known,
            since the service changed before the watcher started.
        since: when the service changed.
    """

    hops: tuple[Hop, ...]
    since: datetime

    def may_serve(self, isvc: InferenceService, now: datetime) -> bool:
        """Whether the pods of before the change may still be those that serve: until the roll-out is done, also where it has failed."""
        age = now - self.since
        if has_failed(isvc):
            return True
        return age < (LASTS if _is_under_way(isvc) else BEGINS)


def old_pods_serve(isvc: InferenceService) -> bool:
    """Whether KServe says that a roll-out is under way or has failed, and that pods are available meanwhile: those of before it."""
    return any(c and c.type in DEPLOYMENTS and c.reason in {AVAILABLE, FAILED} for c in isvc.conditions or ())


def has_failed(isvc: InferenceService) -> bool:
    """Whether KServe says that the latest roll-out has failed, so that the pods of before it serve on."""
    return any(c and c.type in DEPLOYMENTS and c.reason == FAILED for c in isvc.conditions or ())


def stable(hops: Iterable[Hop]) -> tuple[Hop, ...]:
    """The hops that are no canaries."""
    return tuple(hop for hop in hops if not hop.canary)


def reached(hops: Iterable[Hop]) -> list[tuple[str, str, str]]:
    """Where hops that are no canaries are asked, for what, and how: whatever else of them changes, the same pods answer."""
    return [(hop.base_url, hop.model_name, hop.protocol) for hop in stable(hops)]


def _is_under_way(isvc: InferenceService) -> bool:
    for condition in isvc.conditions or ():
        if condition and condition.type in DEPLOYMENTS and condition.reason and condition.reason != DONE:
            return True
        if condition and condition.type in REVISIONS and condition.status != Status.TRUE:
            return True
    return False
