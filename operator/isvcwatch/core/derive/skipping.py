"""Decides which services are not probed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.core.backing import backing_of
from isvcwatch.core.conditions import Status
from isvcwatch.core.objects import DeploymentMode
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component, Skipped

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from isvcwatch.core.backing import Backing
    from isvcwatch.core.objects import InferenceService
    from isvcwatch.core.targets import Hop

AUTOSCALER_CLASS: Final = "serving.kserve.io/autoscalerClass"
MIN_SCALE: Final = "autoscaling.knative.dev/min-scale"

NEVER_ZERO: Final = frozenset({"", "hpa"})
"""Autoscaler classes that never go below one pod in Standard mode: KServe raises an HPA's minimum of 0 to 1."""

SCALED_BY_OTHERS: Final = frozenset({"external", "keda"})
"""Autoscaler classes of Standard mode that KServe does not set the minimum of, so that it may be zero whatever the service says."""


def skipped(isvc: InferenceService) -> Skipped | None:
    """The reason why the service is not probed; None if it is probed."""
    if isvc.problem:
        return Skipped(Reason.MALFORMED, isvc.problem)
    if isvc.deleting:
        return Skipped(Reason.DELETING, "it is being deleted")
    if isvc.stopped:
        return Skipped(Reason.STOPPED, "it is stopped; it is judged afresh once it is started again")
    if isvc.mode is DeploymentMode.MODEL_MESH:
        return Skipped(Reason.MODEL_MESH, "ModelMesh replaces the whole status at every turn, so no condition can be kept there")
    asleep = _may_sleep(isvc)
    if asleep:
        return Skipped(Reason.SCALES_TO_ZERO, f"{asleep}: a probe would wake it or keep it awake, so it is left alone")
    return None


def scaled_by_others(isvc: InferenceService) -> bool:
    """Whether an autoscaler outside KServe may have scaled the service to zero, so that no answer may be no fault."""
    return isvc.mode is DeploymentMode.STANDARD and isvc.annotations.get(AUTOSCALER_CLASS, "").lower() in SCALED_BY_OTHERS


def asleep(isvc: InferenceService, hops: Iterable[Hop], behind: Collection[Backing]) -> Skipped | None:
    """The reason why the service is left alone while an autoscaler outside KServe has scaled it to zero; None if it has not.

    That is proven where a Service has no pod and KServe calls the predictor ready all the same, as it does a Deployment of no replicas:
    with pods that crash it does not.
    """
    predictor = isvc.condition("PredictorReady")
    if not scaled_by_others(isvc) or predictor is None or predictor.status != Status.TRUE:
        return None
    backings = (backing_of(hop.service, behind) for hop in hops)
    if any(backing is not None and backing.is_leaving for backing in backings):
        return Skipped(Reason.SCALES_TO_ZERO, "its autoscaler has scaled it to zero; it is judged afresh once it has endpoints again")
    return None


def _may_sleep(isvc: InferenceService) -> str:
    """The reason why the service may be scaled to zero; empty if it never is."""
    for component, spec in ((Component.PREDICTOR, isvc.predictor), (Component.TRANSFORMER, isvc.transformer)):
        if spec is not None and spec.min_replicas == 0:
            autoscaler = isvc.annotations.get(AUTOSCALER_CLASS, "").lower()
            if isvc.mode is not DeploymentMode.STANDARD or autoscaler not in NEVER_ZERO:
                return f"spec.{component}.minReplicas is 0"
    if isvc.mode is not DeploymentMode.STANDARD and isvc.annotations.get(MIN_SCALE, "") == "0":
        return f"annotation {MIN_SCALE} is 0"
    return ""
