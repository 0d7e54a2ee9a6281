"""Builders of what the core speaks of; each has defaults for all that a test does not care about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isvcwatch.core.conditions import SEVERITY, Condition, ConditionType, Status
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.objects import ComponentSpec, Container, DeploymentMode, InferenceService, Port
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component, Hop, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG_AGO = "2026-11-23T18:00:00Z"
NOW = "2026-11-23T19:00:00Z"

READY = Finding(Status.TRUE, Reason.MODEL_READY, "it is ready")
NOT_READY = Finding(Status.FALSE, Reason.MODEL_NOT_READY, "it says that it is not ready")
NOT_FOUND = Finding(Status.FALSE, Reason.MODEL_NOT_FOUND, "it does not know the model")
REFUSED = Finding(Status.FALSE, Reason.CONNECTION_REFUSED, "nothing listens there")
DENIED = Finding(Status.UNKNOWN, Reason.UNAUTHORIZED, "it wants a credential")

LIVE = Finding(Status.TRUE, Reason.SERVER_LIVE, "the server answers")
SERVES = Finding(Status.TRUE, Reason.SERVER_READY, "the server serves its model")

DEFAULTS = ProbePolicy()


def round_of(model: Finding, live: Finding = LIVE, ready: Finding = SERVES) -> Round:
    return Round(live, ready, model)


ALL_WELL = round_of(READY)
ALL_REFUSED = Round(REFUSED, REFUSED, REFUSED)


def isvc(**changes: Any) -> InferenceService:  # noqa: ANN401 -- any field
    """A service in Standard mode that KServe has given an address."""
    usual = InferenceService(
        uid="uid-of-iris",
        namespace="models",
        name="iris",
        resource_version="100",
        mode=DeploymentMode.STANDARD,
        address_url="http://iris-predictor.models.svc.cluster.local",
        url="http://iris-models.example.com",
        predictor=ComponentSpec(model_format="sklearn"),
        conditions=(),
        has_status=True,
    )
    return replace(usual, **changes)


def component(
    arguments: Sequence[str] = (),
    port: int | None = None,
    environment: dict[str, str] | None = None,
    **fields: Any,  # noqa: ANN401 -- any field
) -> ComponentSpec:
    """A component whose container has these arguments, this port and this environment."""
    return ComponentSpec(server=container(arguments, port, environment), **fields)


def container(arguments: Sequence[str] = (), port: int | None = None, environment: dict[str, str] | None = None) -> Container:
    return Container(args=tuple(arguments), environment=environment or {}, ports=() if port is None else (Port(port),))


def annotated(**annotations: str) -> InferenceService:
    """The usual service with annotations of ours: `model_name="m"` is `isvcwatch.dev/model-name: m`."""
    return isvc(annotations={f"isvcwatch.dev/{key.replace('_', '-')}": value for key, value in annotations.items()})


def with_conditions(*conditions: Condition | None) -> InferenceService:
    return isvc(conditions=conditions)


def condition(kind: str, finding: Finding, since: str = LONG_AGO, severity: str = SEVERITY) -> Condition:
    """The condition that says what was found."""
    return Condition(kind, finding.status, finding.reason, finding.message, since, severity)


def saying(found: Round, since: str = LONG_AGO) -> tuple[Condition, ...]:
    """The conditions that say what a round found."""
    return (
        condition(ConditionType.SERVER_LIVE, found.server_live or LIVE, since),
        condition(ConditionType.SERVER_READY, found.server_ready or SERVES, since),
        condition(ConditionType.MODEL_READY, found.model_ready, since),
    )


def hop(base_url: str = "http://127.0.0.1:1", component: Component = Component.PREDICTOR, protocol: str = "v2", model: str = "iris") -> Hop:
    return Hop(component, base_url, protocol, model, own_host=True)


def target(uid: str = "uid-of-iris", hops: Sequence[Hop] = (), **policy: Any) -> Target:  # noqa: ANN401 -- any field
    return Target(uid, "models", "iris", tuple(hops) or (hop(),), replace(DEFAULTS, **policy))
