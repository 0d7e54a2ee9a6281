"""The parts of Kubernetes objects that probing needs, as parsed once at the edge. Their values are not validated."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from isvcwatch.core.conditions import Condition


class DeploymentMode(StrEnum):
    """How KServe deploys a service, in KServe's present terms (`RawDeployment` is now Standard, `Serverless` is now Knative)."""

    STANDARD = "Standard"
    KNATIVE = "Knative"
    MODEL_MESH = "ModelMesh"


@dataclass(frozen=True, slots=True)
class Port:
    """A container's declared port.

    Attributes:
        number: the port.
        name: its name; KServe takes a port with `grpc` or `h2c` in its name for gRPC.
    """

    number: int
    name: str = ""

    @property
    def is_grpc(self) -> bool:
        """Whether KServe takes the port for gRPC by its name."""
        return "grpc" in self.name or "h2c" in self.name


@dataclass(frozen=True, slots=True)
class ReadyRoute:
    """A container's own `readinessProbe.httpGet`.

    Attributes:
        path: the path.
        port: a port's number, or its name.
        scheme: `http` or `https`.
    """

    path: str
    port: int | str
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Container:
    """The parts of a serving container that matter for probing it.

    Attributes:
        image: the image's name.
        command: `command`; empty if the image's own entry point runs.
        args: the container's `args`.
        environment: the plain environment variables.
        ports: the declared ports, in order.
        ready: its own readiness route.
        startup: seconds that it may take to start by its own probes; 0 if it declares none.
    """

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    ready: ReadyRoute | None = None
    startup: float = 0.0


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A predictor or a transformer, as specified.

    Attributes:
        min_replicas: `minReplicas`, None where unset.
        model_format: `model.modelFormat.name` in lower case, or an old style key (`sklearn`, ...); empty for a custom container.
        protocol_version: `model.protocolVersion` in lower case.
        name: `predictor.name`, which becomes part of the Service's name.
        has_storage: whether it names its model's storage; a server of many models is started without.
        server: the container with the model server; with a runtime, only what the service adds to the runtime's container.
        collocated: the `transformer-container` in the same pod, which the Service exposes in place of the model server.
    """

    min_replicas: int | None = None
    model_format: str = ""
    protocol_version: str = ""
    name: str = ""
    has_storage: bool = False
    server: Container = field(default_factory=Container)
    collocated: Container | None = None


@dataclass(frozen=True, slots=True)
class Canary:
    """A predictor beside the stable one, to which KServe's Standard mode gives a part of the traffic.

    Attributes:
        spec: the predictor, whose name is part of its Service's name.
        runtime: the name of the runtime that it asks for; empty if KServe chooses one.
        traffic: its percentage of the traffic in the status; 0 until KServe has created it.
        ready: whether the status calls it ready.
    """

    spec: ComponentSpec
    runtime: str = ""
    traffic: int = 0
    ready: bool = False


@dataclass(frozen=True, slots=True)
class RuntimeKey:
    """The name of a ServingRuntime, or, with an empty namespace, of a ClusterServingRuntime."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of a ServingRuntime or ClusterServingRuntime that tell how to probe its servers.

    Attributes:
        key: the runtime's namespace and name.
        server_type: `spec.builtInAdapter.serverType` in lower case, else empty.
        protocol_versions: `spec.protocolVersions` in lower case.
        model_formats: the names of `spec.supportedModelFormats` in lower case.
        server: its model container.
        collocated: its `transformer-container`.
    """

    key: RuntimeKey
    server_type: str = ""
    protocol_versions: tuple[str, ...] = ()
    model_formats: tuple[str, ...] = ()
    server: Container = field(default_factory=Container)
    collocated: Container | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """One endpoint of a Service, which is a pod in nearly all cases.

    Attributes:
        address: its first IP address.
        pod: the pod's name; empty if the endpoint is not a pod.
        node: the node's name; empty if it is not known.
        ready: whether traffic is sent to it.
        serving: whether it answers, though it may be ending.
        ending: whether its pod is being deleted.
    """

    address: str
    pod: str = ""
    node: str = ""
    ready: bool = True
    serving: bool = True
    ending: bool = False

    @property
    def name(self) -> str:
        """The pod, and its node, for people."""
        pod = self.pod or self.address
        return f"{pod} on {self.node}" if self.node else pod


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """Some endpoints of a Service of an InferenceService.

    Attributes:
        namespace: the namespace of all three.
        owner: the name of the InferenceService, by KServe's label on the Service, which is copied to the slice.
        service: the name of the Service.
        endpoints: the endpoints; a slice without any shows that the Service's selector finds no pod.
        ports: the numbers of the pods' ports that the Service leads to.
    """

    namespace: str
    owner: str
    service: str
    endpoints: tuple[Replica, ...] = ()
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class InferenceService:
    """The parts of an InferenceService that watching it needs.

    Attributes:
        uid: never empty.
        resource_version: the version that was read, which guards writes against changes since.
        annotations: all but the very long ones, since a runtime's arguments may be filled in from any of them.
        labels: all labels, since a runtime's arguments may be filled in from them too.
        deleting: whether a deletionTimestamp is set.
        created: `metadata.creationTimestamp`; None if it can't be read.
        stopped: whether the annotation or the condition says that it is stopped.
        mode: the deployment mode; None if neither status nor annotation tells it.
        address_url: `status.address.url`.
        url: `status.url`.
        component_urls: `status.components.<component>.address.url`, the in-cluster ones.
        predictor: None where the spec has none.
        transformer: None where the spec has none.
        canaries: the canaries in the spec.
        runtime: the runtime that KServe chose, else the one that the spec names.
        conditions: all conditions, ours and others', each at its place in the list; a malformed one is None.
        failure: why a model that is not loaded failed the last time, as KServe reports it; empty if KServe doesn't.
        has_status: whether there is a status object at all.
        problem: a description for people of what is malformed; empty if nothing is.
    """

    uid: str
    namespace: str
    name: str
    resource_version: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    created: datetime | None = None
    stopped: bool = False
    mode: DeploymentMode | None = None
    address_url: str = ""
    url: str = ""
    component_urls: Mapping[str, str] = field(default_factory=dict)
    predictor: ComponentSpec | None = None
    transformer: ComponentSpec | None = None
    canaries: tuple[Canary, ...] = ()
    runtime: RuntimeKey | None = None
    conditions: tuple[Condition | None, ...] | None = None
    failure: str = ""
    has_status: bool = False
    problem: str = ""

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type; None if the object has none."""
        return next((c for c in self.conditions or () if c is not None and c.type == kind), None)
