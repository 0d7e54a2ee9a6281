"""InferenceServices and their statuses as KServe's controller writes them, stage by stage: pure builders for tests of all kinds.

Rebuilt from objects that KServe's real controller wrote (master, August 2026).
Times are fixed; conditions are sorted by type, as KServe's are.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]

TIME = "2026-11-23T18:41:59Z"
API_VERSION = "serving.kserve.io/v1beta1"
STOP = "serving.kserve.io/stop"
MODE = "serving.kserve.io/deploymentMode"

# The types that KServe's controller itself sets; all others it leaves alone.
KSERVE_TYPES = frozenset(
    {
        "CanaryPredictorReady",
        "ExplainerReady",
        "ExplainerRoutesReady",
        "IngressReady",
        "LatestDeploymentReady",
        "PredictorConfigurationReady",
        "PredictorReady",
        "PredictorRouteReady",
        "Ready",
        "RoutesReady",
        "Stopped",
        "TransformerReady",
    }
)

# --- what they run on


def serving_runtime(name: str, namespace: str, *args: str) -> Manifest:
    """A ServingRuntime for scikit-learn that speaks V2, with the arguments of its server."""
    container = {"name": "kserve-container", "image": "example.com/own", "args": list(args)}
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], "protocolVersions": ["v2"], "supportedModelFormats": [{"name": "sklearn"}]},
    }


# --- parts


def condition(kind: str, status: str, reason: str = "", message: str = "", severity: str = "") -> dict[str, str]:
    """One condition; empty fields are left out, as Go's `omitempty` leaves them."""
    fields = {"reason": reason, "message": message, "severity": severity}
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": TIME,
        **{key: value for key, value in fields.items() if value},
    }


def service_url(name: str, namespace: str, component: str = "predictor", port: int | None = None) -> str:
    """What `status.address.url` is: the component's Service inside the cluster; `port` only where the Service is headless."""
    return f"http://{name}-{component}.{namespace}.svc.cluster.local" + (f":{port}" if port else "")


def external_url(name: str, namespace: str) -> str:
    """What `status.url` is in Standard mode with the shipped configuration: a name that resolves nowhere."""
    return f"http://{name}-{namespace}.example.com"


def model_state(transition: str, active: str, target: str, total: int | None = None) -> Manifest:
    copies = {"failedCopies": 0} if total is None else {"failedCopies": 0, "totalCopies": total}
    states = {"activeModelState": active, "targetModelState": target}
    return {"transitionStatus": transition, "copies": copies, "states": states}


LOADED = model_state("UpToDate", "Loaded", "Loaded", 1)
PENDING = model_state("InProgress", "", "Pending")
NOT_AVAILABLE = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")


def merged(current: Manifest, new: Manifest) -> Manifest:
    """`new` with the conditions of `current` that are not KServe's, as its controller keeps them; a stop wipes them."""
    own = new.get("conditions")
    if not isinstance(own, list) or any(_stopped(item) for item in own):
        return new
    foreign = [item for item in current.get("conditions", []) if item["type"] not in KSERVE_TYPES]
    return {**new, "conditions": sorted([*own, *foreign], key=lambda item: str(item["type"]))}


def _stopped(item: dict[str, str]) -> bool:
    return item["type"] == "Stopped" and item["status"] == "True"


def _status(
    name: str,
    namespace: str,
    conditions: list[dict[str, str]],
    model: Manifest,
    *,
    url: str | None,
    components: tuple[str, ...] = ("predictor",),
    up: bool = True,
    generation: int | None = 1,
) -> Manifest:
    status: Manifest = {
        "address": {"url": url or service_url(name, namespace, components[-1])},
        "clusterServingRuntimeName": "kserve-sklearnserver",
        "components": {each: {"url": f"http://{name}-{each}-{namespace}.example.com"} if up else {} for each in components},
        "conditions": sorted([*conditions, condition("Stopped", "False", severity="Info")], key=lambda item: item["type"]),
        "deploymentMode": "Standard",
        "modelStatus": model,
        "url": external_url(name, namespace),
    }
    return status if generation is None else {**status, "observedGeneration": generation}


def _rolled_out(name: str, component: str = "predictor", severity: str = "") -> dict[str, str]:
    message = f'ReplicaSet "{name}-{component}-f99f9bd74" has successfully progressed.'
    return condition(f"{component.title()}Ready", "True", "NewReplicaSetAvailable", message, severity)


# --- Standard mode, in the order of a life


def progressing(name: str, namespace: str, url: str | None = None) -> Manifest:
    """The first status, some 90 ms after creation: the Deployment is there and has said nothing."""
    conditions = [condition("IngressReady", "True"), condition("PredictorReady", "False"), condition("Ready", "False")]
    return _status(name, namespace, conditions, PENDING, url=url, up=False, generation=None)


def unavailable(name: str, namespace: str, url: str | None = None) -> Manifest:
    """No pod is ready yet."""
    conditions = [
        condition("IngressReady", "True"),
        condition("PredictorReady", "False", *NOT_AVAILABLE),
        condition("Ready", "False", *NOT_AVAILABLE),
    ]
    return _status(name, namespace, conditions, PENDING, url=url, up=False)


def ready(name: str, namespace: str, url: str | None = None, observed_generation: int = 1) -> Manifest:
    """Up and, says KServe, loaded. `url` replaces the in-cluster address, so that a real server can stand behind it."""
    conditions = [condition("IngressReady", "True"), _rolled_out(name), condition("Ready", "True")]
    return _status(name, namespace, conditions, LOADED, url=url, generation=observed_generation)


def pod_lost(name: str, namespace: str, url: str | None = None) -> Manifest:
    """Was ready; its pod no longer is."""
    status = unavailable(name, namespace, url)
    status["components"] = ready(name, namespace)["components"]
    return {**status, "modelStatus": model_state("InProgress", "Loaded", "Pending")}


def failed_rollout(name: str, namespace: str, url: str | None = None) -> Manifest:
    """A new pod crashed until the deadline passed; the old one still serves although Ready is False."""
    why = ("ProgressDeadlineExceeded", f'ReplicaSet "{name}-predictor-56f8f559df" has timed out progressing.')
    conditions = [
        condition("IngressReady", "True"),
        condition("PredictorReady", "False", *why),
        condition("Ready", "False", *why),
    ]
    failure = {"exitCode": 1, "message": "ValueError: cannot load model.joblib\n", "reason": "ModelLoadFailed"}
    model = {**model_state("BlockedByFailedLoad", "Loaded", "FailedToLoad", 1), "lastFailureInfo": failure}
    return _status(name, namespace, conditions, model, url=url, generation=2)


def failed_to_load(name: str, namespace: str, url: str | None = None) -> Manifest:
    """The only pod crashes while it loads."""
    failure = {"exitCode": 1, "message": "ValueError: cannot load model.joblib\n", "reason": "ModelLoadFailed"}
    model = {**model_state("BlockedByFailedLoad", "", "FailedToLoad"), "lastFailureInfo": failure}
    return {**unavailable(name, namespace, url), "modelStatus": model}


def recovered(name: str, namespace: str, url: str | None = None) -> Manifest:
    """Well again after a failed load: KServe never clears `lastFailureInfo`."""
    failure = failed_to_load(name, namespace)["modelStatus"]["lastFailureInfo"]
    return {**ready(name, namespace, url), "modelStatus": {**LOADED, "lastFailureInfo": failure}}


def headless(name: str, namespace: str, port: int = 8080) -> Manifest:
    """Ready, with `serviceClusterIPNone`: the address carries the container's port."""
    return ready(name, namespace, service_url(name, namespace, port=port))


def custom_container(name: str, namespace: str, url: str | None = None) -> Manifest:
    """Ready, of a predictor without a runtime: its Service's port 80 leads to the first port declared."""
    status = ready(name, namespace, url)
    del status["clusterServingRuntimeName"]
    return status


def with_transformer(name: str, namespace: str, url: str | None = None, *, transformer_up: bool = True) -> Manifest:
    """Ready with a transformer before the predictor; KServe says Ready=True also while the transformer is down (ingress off)."""
    transformer = (
        _rolled_out(name, "transformer", "Info") if transformer_up else condition("TransformerReady", "False", *NOT_AVAILABLE, "Info")
    )
    conditions = [condition("IngressReady", "True"), _rolled_out(name), condition("Ready", "True"), transformer]
    return _status(name, namespace, conditions, LOADED, url=url, components=("predictor", "transformer"))


def with_canary(name: str, namespace: str, canary: str = "v2", traffic_percent: int = 20) -> Manifest:
    """Ready with a canary of its own Deployment and Service."""
    status = ready(name, namespace)
    status["conditions"].insert(0, condition("CanaryPredictorReady", "True", "AllCanariesReady", severity="Info"))
    status["canaryStatuses"] = [{"name": canary, "ready": True, "trafficPercent": traffic_percent, "modelStatus": {"transitionStatus": ""}}]
    return status


def no_pod(name: str, namespace: str, url: str | None = None) -> Manifest:
    """Ready=True with no pod at all: the Deployment was scaled to 0 by hand."""
    return {**ready(name, namespace, url), "modelStatus": model_state("InProgress", "Loaded", "Pending")}


def stopped() -> Manifest:
    """Stopped by annotation: neither address nor components, and nothing of anyone else's."""
    return {
        "clusterServingRuntimeName": "kserve-sklearnserver",
        "conditions": [
            condition("PredictorReady", "False", "Stopped"),
            condition("Ready", "False", "Stopped"),
            condition("Stopped", "True", severity="Info"),
        ],
        "deploymentMode": "Standard",
        "modelStatus": {"transitionStatus": ""},
    }


def started_again(name: str, namespace: str, url: str | None = None) -> Manifest:
    """After a stop, before the first pod is ready."""
    return unavailable(name, namespace, url)


def unknown_runtime() -> Manifest:
    """The runtime that the spec names is not there."""
    failure = {"message": "Waiting for runtime to become available", "reason": "RuntimeNotRecognized"}
    states = {"activeModelState": "", "targetModelState": "FailedToLoad"}
    return {
        "conditions": [condition(kind, "Unknown") for kind in ("IngressReady", "PredictorReady", "Ready")],
        "deploymentMode": "Standard",
        "modelStatus": {"transitionStatus": "InvalidSpec", "states": states, "lastFailureInfo": failure},
    }


# --- Knative mode


def knative_starting(name: str) -> Manifest:
    """The first Revision is not ready."""
    why = ("RevisionMissing", f'Configuration "{name}-predictor" is waiting for a Revision to become ready.')
    return {
        "clusterServingRuntimeName": "kserve-sklearnserver",
        "components": {"predictor": {"latestCreatedRevision": f"{name}-predictor-00001"}},
        "conditions": [
            condition("IngressReady", "Unknown"),
            condition("LatestDeploymentReady", "Unknown", "PredictorConfigurationReady not ready", severity="Info"),
            condition("PredictorConfigurationReady", "Unknown", severity="Info"),
            condition("PredictorReady", "Unknown", *why),
            condition("PredictorRouteReady", "Unknown", *why, "Info"),
            condition("Ready", "Unknown", *why),
            condition("RoutesReady", "Unknown", "PredictorRouteReady not ready", severity="Info"),
            condition("Stopped", "False", severity="Info"),
        ],
        "deploymentMode": "Knative",
        "modelStatus": model_state("InProgress", "", "Loading"),
        "observedGeneration": 1,
    }


def knative_ready(name: str, namespace: str, url: str | None = None) -> Manifest:
    """Ready. It looks the same at zero: only the Revision tells."""
    address = url or service_url(name, namespace)
    revision = f"{name}-predictor-00001"
    predictor = {
        "address": {"url": address},
        "latestCreatedRevision": revision,
        "latestReadyRevision": revision,
        "latestRolledoutRevision": revision,
        "traffic": [{"latestRevision": True, "percent": 100, "revisionName": revision}],
        "url": address,
    }
    info = {"LatestDeploymentReady", "PredictorConfigurationReady", "PredictorRouteReady", "RoutesReady"}
    up = [condition(kind, "True", severity="Info") for kind in info]
    own = [condition(kind, "True") for kind in ("IngressReady", "PredictorReady", "Ready")]
    conditions = [*up, *own, condition("Stopped", "False", severity="Info")]
    return {
        "address": {"url": address},
        "clusterServingRuntimeName": "kserve-sklearnserver",
        "components": {"predictor": predictor},
        "conditions": sorted(conditions, key=lambda item: item["type"]),
        "deploymentMode": "Knative",
        "modelStatus": LOADED,
        "observedGeneration": 1,
        "url": address,
    }


# --- specs


def isvc(
    name: str,
    namespace: str,
    spec: Manifest | None = None,
    annotations: dict[str, str] | None = None,
    status: Manifest | None = None,
) -> Manifest:
    """An InferenceService as a user sends it; with `status`, as a watch shows it."""
    manifest: Manifest = {
        "apiVersion": API_VERSION,
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
        "spec": spec or model_spec(),
    }
    return manifest if status is None else {**manifest, "status": status}


def model_spec(model_format: str = "sklearn", **model: object) -> Manifest:
    """`spec.predictor.model`, with further fields such as `protocolVersion="v2"`, `runtime=...`, `args=[...]`, `env=[...]`."""
    return {"predictor": {"model": {"modelFormat": {"name": model_format}, "storageUri": "s3://bucket/models/m", **model}}}


def container_spec(**container: object) -> Manifest:
    """A custom predictor, with further fields such as `args=[...]`, `env=[...]`, `ports=[...]`."""
    return {
        "predictor": {"containers": [{"name": "kserve-container", "image": "example.com/model:1", **container}]},
    }


def transformer_spec(spec: Manifest, **container: object) -> Manifest:
    """`spec` with a transformer before it."""
    containers = [{"name": "kserve-container", "image": "example.com/transformer:1", **container}]
    return {**spec, "transformer": {"containers": containers}}


def with_min_replicas(spec: Manifest, replicas: int) -> Manifest:
    """`spec` with `minReplicas`: in Knative mode, 0 lets it sleep."""
    return {**spec, "predictor": {**spec["predictor"], "minReplicas": replicas}}


# --- what no controller should write and someone will: for readers that must not fall over

WRONG_SHAPES: dict[str, Any] = {
    "null": None,
    "text": "Ready",
    "list": [],
    "conditions as a mapping": {"conditions": {"Ready": "True"}},
    "conditions as text": {"conditions": "Ready"},
    "conditions of null": {"conditions": [None]},
    "conditions of text": {"conditions": ["Ready"]},
    "condition without a type": {"conditions": [{"status": "True"}]},
    "condition without a status": {"conditions": [{"type": "Ready"}]},
    "condition with a boolean status": {"conditions": [{"type": "Ready", "status": True}]},
    "condition with a wrong time": {"conditions": [{"type": "ModelReady", "status": "True", "lastTransitionTime": "yesterday"}]},
    "condition twice": {"conditions": [condition("Ready", "True"), condition("Ready", "False")]},
    "address as text": {"address": "http://model"},
    "address of null": {"address": {"url": None}},
    "address of a number": {"address": {"url": 80}},
    "url as a list": {"url": ["http://model"]},
    "url without a scheme": {"url": "model.example.com"},
    "components as a list": {"components": ["predictor"]},
    "component of null": {"components": {"predictor": None}},
    "deploymentMode as a number": {"deploymentMode": 1},
    "modelStatus as text": {"modelStatus": "Loaded"},
}
