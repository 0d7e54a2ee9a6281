"""The parts of Kubernetes objects that matter here, parsed once at the edge. Nothing in them is trusted to make sense."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.core.conditions import Condition


class DeploymentMode(StrEnum):
    """How KServe deploys a service, by its present names (`RawDeployment` is Standard, `Serverless` is Knative)."""

    STANDARD = "Standard"
    KNATIVE = "Knative"
    MODEL_MESH = "ModelMesh"


@dataclass(frozen=True, slots=True)
class Port:
    """A container's declared port.

    Attributes:
        number: the port.
        name: its name; one with `grpc` or `h2c` in it is gRPC to KServe.
    """

    number: int
    name: str = ""

    @property
    def is_grpc(self) -> bool:
        """Whether KServe takes it for gRPC, which its name tells."""
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
    """A container that serves models, as far as asking it needs.

    Attributes:
        image: the image's name.
        command: `command`; empty where the image's own entry point runs.
        args: `args`.
        environment: the plain environment variables.
        ports: the declared ports, in order.
        ready: its own readiness route.
        startup: seconds that it says it may take to start; 0 where it says nothing.
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
        has_storage: whether it says where its model is; a server of many models is started without.
        server: the container with the model server; where there is a runtime, what the service adds to it.
        collocated: the `transformer-container` beside it, which is then what the Service exposes.
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
        spec: the predictor, by whose name its Service is called.
        runtime: the runtime that it names; empty where KServe chooses.
        traffic: percent, as the status has it; 0 until KServe has made it.
        ready: what the status says of it.
    """

    spec: ComponentSpec
    runtime: str = ""
    traffic: int = 0
    ready: bool = False


@dataclass(frozen=True, slots=True)
class RuntimeKey:
    """Names a ServingRuntime, or, with an empty namespace, a ClusterServingRuntime."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """A (Cluster)ServingRuntime's say on how its servers are spoken to.

    Attributes:
        key: which one it is.
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
class InferenceService:
    """An InferenceService as far as watching it needs.

    Attributes:
        uid: never empty.
        resource_version: guards writes.
        annotations: all but the very long ones: our own, KServe's and Knative's, and those that a runtime's arguments are filled from.
        labels: all, likewise.
        deleting: a deletionTimestamp is set.
        stopped: the annotation or the condition says so.
        mode: None where neither status nor annotation tells.
        address_url: `status.address.url`.
        url: `status.url`.
        component_urls: `status.components.<component>.address.url`, the in-cluster ones.
        predictor: None where the spec has none.
        transformer: None where the spec has none.
        canaries: those of the spec.
        runtime: the runtime that KServe chose, else the one that the spec names.
        conditions: all that are there, ours or not, each at its place in the list; a malformed entry is None.
        has_status: whether there is a status object at all.
        problem: what is malformed, for people; empty where nothing is.
    """

    uid: str
    namespace: str
    name: str
    resource_version: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
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
    has_status: bool = False
    problem: str = ""

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if it is there."""
        return next((c for c in self.conditions or () if c is not None and c.type == kind), None)
