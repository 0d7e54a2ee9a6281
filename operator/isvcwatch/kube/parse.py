"""Parses the API server's objects into the core's frozen ones. Parsing never fails, whatever value a field has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from isvcwatch.core.conditions import Condition, moment, one_line
from isvcwatch.core.objects import (
    Canary,
    ComponentSpec,
    Container,
    DeploymentMode,
    EndpointSlice,
    InferenceService,
    Port,
    ReadyRoute,
    Replica,
    Runtime,
    RuntimeKey,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENT_MODE: Final = "serving.kserve.io/deploymentMode"
STOP: Final = "serving.kserve.io/stop"
NO_UPDATE: Final = "serving.kserve.io/disable-auto-update"
SERVER_TYPE: Final = "serving.kserve.io/server-type"

SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
"""KServe's label on the Services of an InferenceService, and so on their slices, with its name."""

SERVICE_NAME: Final = "kubernetes.io/service-name"
"""Kubernetes' label on a slice with the name of its Service."""

MODES: Final[Mapping[str, DeploymentMode]] = {
    "standard": DeploymentMode.STANDARD,
    "rawdeployment": DeploymentMode.STANDARD,
    "knative": DeploymentMode.KNATIVE,
    "serverless": DeploymentMode.KNATIVE,
    "modelmesh": DeploymentMode.MODEL_MESH,
}
"""KServe's present and former names of deployment modes, in lower case."""

SERVER: Final = "kserve-container"
"""The name of the container with the model server; if no container has it, the first one is taken."""

COLLOCATED: Final = "transformer-container"
"""The name of a transformer's container in the predictor's own pod, which KServe exposes in place of the model server."""

LONGEST_NOTE: Final = 1024
"""The most characters of an annotation's value that is kept: kubectl and others put whole manifests into annotations."""

LONGEST_FAILURE: Final = 256
"""The most characters of a container's last words that are kept."""

LOADED: Final = "UpToDate"
"""The `modelStatus.transitionStatus` of a model that is loaded."""

MOST_SECONDS: Final = 86_400
"""The longest time in seconds that is accepted from a container's probe."""

STORAGE: Final = ("storageUri", "storageUris", "storage")

OLD_STYLE: Final = (
    "sklearn", "xgboost", "tensorflow", "pytorch", "onnx", "pmml", "lightgbm", "paddle", "triton", "huggingface",
)  # fmt: skip
"""Predictor fields from before `model`, each named after a model format, which KServe's webhook still accepts."""


def inference_service(raw: Mapping[str, Any]) -> InferenceService:
    """Parse an InferenceService; its `problem` names what is malformed."""
    metadata, spec, status = _map(raw, "metadata"), _map(raw, "spec"), _map(raw, "status")
    noted = {str(k): str(v) for k, v in _map(metadata, "annotations").items()}
    predictor, transformer = _map(spec, "predictor"), _map(spec, "transformer")
    components = _map(status, "components")
    conditions, condition_problem = _conditions(status)
    return InferenceService(
        uid=_text(metadata, "uid"),
        namespace=_text(metadata, "namespace"),
        name=_text(metadata, "name"),
        resource_version=_text(metadata, "resourceVersion"),
        annotations={k: v for k, v in noted.items() if len(v) <= LONGEST_NOTE},
        labels={str(k): str(v) for k, v in _map(metadata, "labels").items()},
        deleting=bool(metadata.get("deletionTimestamp")),
        created=moment(_text(metadata, "creationTimestamp")),
        stopped=_stopped(noted, conditions or ()),
        mode=_mode(status, noted),
        address_url=_text(_map(status, "address"), "url"),
        url=_text(status, "url"),
        component_urls={str(k): _text(_map(_map(components, k), "address"), "url") for k in components},
        predictor=_component(predictor) if predictor else None,
        transformer=_component(transformer) if transformer else None,
        canaries=_canaries(spec, status),
        runtime=_runtime_key(status, predictor, _text(metadata, "namespace")),
        conditions=conditions,
        failure=_failure(_map(status, "modelStatus"), conditions or ()),
        has_status=isinstance(raw.get("status"), dict),
        problem=condition_problem or _problem(raw, predictor),
    )


def runtime(raw: Mapping[str, Any]) -> Runtime:
    """Parse a ServingRuntime or a ClusterServingRuntime."""
    metadata, spec = _map(raw, "metadata"), _map(raw, "spec")
    return Runtime(
        key=RuntimeKey(_text(metadata, "namespace"), _text(metadata, "name")),
        server_type=(_text(_map(spec, "builtInAdapter"), "serverType") or _text(_map(metadata, "annotations"), SERVER_TYPE)).lower(),
        protocol_versions=tuple(v.lower() for v in _texts(spec, "protocolVersions")),
        model_formats=tuple(_text(f, "name").lower() for f in _maps(spec, "supportedModelFormats")),
        server=_container(_server(spec)),
        collocated=_collocated(spec),
    )


def endpoint_slice(raw: Mapping[str, Any]) -> EndpointSlice:
    """Parse an EndpointSlice. An unknown readiness counts as ready, as the API says."""
    metadata = _map(raw, "metadata")
    labels = _map(metadata, "labels")
    return EndpointSlice(
        namespace=sys.intern(_text(metadata, "namespace")),
        owner=_text(labels, SERVICE_LABEL),
        service=_text(labels, SERVICE_NAME),
        endpoints=tuple(_endpoint(item) for item in _maps(raw, "endpoints")),
        ports=tuple(port["port"] for port in _maps(raw, "ports") if isinstance(port.get("port"), int)),
    )


def _endpoint(raw: Mapping[str, Any]) -> Replica:
    states, target = _map(raw, "conditions"), _map(raw, "targetRef")
    ready = states.get("ready") is not False
    return Replica(
        address=next(iter(_texts(raw, "addresses")), ""),
        pod=_text(target, "name") if target.get("kind") == "Pod" else "",
        node=sys.intern(_text(raw, "nodeName")),
        ready=ready,
        serving=ready if states.get("serving") is None else states["serving"] is not False,
        ending=states.get("terminating") is True,
    )


def _problem(raw: Mapping[str, Any], predictor: Mapping[str, Any]) -> str:
    for field in ("metadata", "spec"):
        if not isinstance(raw.get(field), dict):
            return f"{field} is missing or is not an object"
    if raw.get("status") is not None and not isinstance(raw.get("status"), dict):
        return "status is not an object"
    return "" if predictor else "spec.predictor is missing or is not an object"


def _conditions(status: Mapping[str, Any]) -> tuple[tuple[Condition | None, ...] | None, str]:
    """The conditions, each at its place in the list, or None if there is no list yet; and a problem if the value is not a list."""
    found = status.get("conditions")
    if found is None:
        return None, ""
    if not isinstance(found, list):
        return None, "status.conditions is not a list"
    return tuple(_condition(item) for item in found), ""


def _condition(raw: object) -> Condition | None:
    if not isinstance(raw, dict):
        return None
    fields = ("type", "status", "reason", "message", "lastTransitionTime", "severity")
    return Condition(*(_text(raw, field) for field in fields))


def _stopped(noted: Mapping[str, str], conditions: tuple[Condition | None, ...]) -> bool:
    """Whether the service is stopped or about to be. If KServe was told not to update it, the annotation does not stop it."""
    if any(c and (c.type, c.status) == ("Stopped", "True") for c in conditions):
        return True
    return noted.get(STOP, "").lower() == "true" and noted.get(NO_UPDATE, "").lower() != "true"


def _failure(model: Mapping[str, Any], conditions: tuple[Condition | None, ...]) -> str:
    """Why the model failed to load: the exit code, and the last line of what the container said, since a traceback ends with its error.

    KServe never clears `lastFailureInfo`: of a model that is loaded by now, or a service that is Ready, it is no longer true.
    """
    if _text(model, "transitionStatus") == LOADED or any(c and (c.type, c.status) == ("Ready", "True") for c in conditions):
        return ""
    info = _map(model, "lastFailureInfo")
    code = int(_number(info, "exitCode", 0.0))
    lines = (_text(info, "message").strip() or _text(info, "reason")).splitlines()
    return ": ".join(filter(None, (f"exit code {code}" if code else "", one_line(lines[-1], LONGEST_FAILURE) if lines else "")))


def _mode(status: Mapping[str, Any], noted: Mapping[str, str]) -> DeploymentMode | None:
    """The deployment mode from the status, which is authoritative, else from the annotation, else from fields that only Knative writes."""
    said = MODES.get(_text(status, "deploymentMode").lower()) or MODES.get(noted.get(DEPLOYMENT_MODE, "").lower())
    predictor = _map(_map(status, "components"), "predictor")
    return said or (DeploymentMode.KNATIVE if predictor.get("latestReadyRevision") else None)


def _runtime_key(status: Mapping[str, Any], predictor: Mapping[str, Any], namespace: str) -> RuntimeKey | None:
    """The key of the runtime that KServe chose. Until then, the key of the runtime that the spec names, in the service's namespace."""
    if _text(status, "servingRuntimeName"):
        return RuntimeKey(namespace, _text(status, "servingRuntimeName"))
    if _text(status, "clusterServingRuntimeName"):
        return RuntimeKey("", _text(status, "clusterServingRuntimeName"))
    named = _named_runtime(predictor)
    return RuntimeKey(namespace, named) if named else None


def _named_runtime(predictor: Mapping[str, Any]) -> str:
    return _text(_map(predictor, "model"), "runtime")


def _component(raw: Mapping[str, Any]) -> ComponentSpec:
    model, old_style = _map(raw, "model"), next((k for k in OLD_STYLE if isinstance(raw.get(k), dict)), "")
    server = model or _map(raw, old_style) or _server(raw)
    replicas = raw.get("minReplicas")
    return ComponentSpec(
        min_replicas=replicas if isinstance(replicas, int) else None,
        model_format=(_text(_map(model, "modelFormat"), "name") or old_style).lower(),
        protocol_version=_text(server, "protocolVersion").lower(),
        name=_text(raw, "name"),
        has_storage=any(server.get(field) for field in STORAGE),
        server=_container(server),
        collocated=_collocated(raw),
    )


def _canaries(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[Canary, ...]:
    """The canaries of the spec, each with the status that has its name."""
    said = {_text(item, "name"): item for item in _maps(status, "canaryStatuses")}
    predictors = [predictor for item in _maps(spec, "canary") if (predictor := _map(item, "predictor"))]
    return tuple(_canary(predictor, said.get(_text(predictor, "name"), {})) for predictor in predictors)


def _canary(predictor: Mapping[str, Any], said: Mapping[str, Any]) -> Canary:
    return Canary(
        spec=_component(predictor),
        runtime=_named_runtime(predictor),
        traffic=int(_number(said, "trafficPercent", 0)),
        ready=said.get("ready") is True,
    )


def _server(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = _maps(raw, "containers")
    return next((c for c in containers if c.get("name") == SERVER), containers[0] if containers else {})


def _collocated(raw: Mapping[str, Any]) -> Container | None:
    return next((_container(c) for c in _maps(raw, "containers") if c.get("name") == COLLOCATED), None)


def _container(raw: Mapping[str, Any]) -> Container:
    return Container(
        image=_text(raw, "image"),
        command=tuple(_texts(raw, "command")),
        args=tuple(_texts(raw, "args")),
        environment={_text(e, "name"): _text(e, "value") for e in _maps(raw, "env") if _text(e, "value")},
        ports=tuple(Port(number, _text(p, "name")) for p in _maps(raw, "ports") if isinstance(number := p.get("containerPort"), int)),
        ready=_ready(_map(_map(raw, "readinessProbe"), "httpGet")),
        startup=_startup(raw),
    )


def _startup(raw: Mapping[str, Any]) -> float:
    """Seconds that a container may take to start: by its startupProbe as the kubelet counts, else by its readinessProbe's initial delay."""
    probe = _map(raw, "startupProbe")
    if not probe:
        return _number(_map(raw, "readinessProbe"), "initialDelaySeconds", 0.0)
    return _number(probe, "initialDelaySeconds", 0.0) + _number(probe, "failureThreshold", 3.0) * _number(probe, "periodSeconds", 10.0)


def _number(raw: Mapping[str, Any], field: str, otherwise: float) -> float:
    found = raw.get(field)
    return float(found) if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MOST_SECONDS else otherwise


def _ready(raw: Mapping[str, Any]) -> ReadyRoute | None:
    port = raw.get("port")
    if not isinstance(port, int | str):
        return None
    return ReadyRoute(_text(raw, "path") or "/", port, _text(raw, "scheme").lower() or "http")


def _map(raw: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found = raw.get(field) if field else None
    return found if isinstance(found, dict) else {}


def _maps(raw: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    found = raw.get(field)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _text(raw: Mapping[str, Any], field: str) -> str:
    found = raw.get(field)
    return found if isinstance(found, str) else ""


def _texts(raw: Mapping[str, Any], field: str) -> list[str]:
    found = raw.get(field)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
