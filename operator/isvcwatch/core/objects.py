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
class ComponentSpec:
    """A predictor or a transformer, as specified.

    Attributes:
        min_replicas: `minReplicas`, None where unset.
        model_format: `model.modelFormat.name` in lower case, or an old style key (`sklearn`, ...); empty for a custom container.
        protocol_version: `model.protocolVersion` in lower case.
        arguments: the container's `args` and `command`.
        environment: the container's plain environment variables.
        port: the first declared container port.
    """

    min_replicas: int | None = None
    model_format: str = ""
    protocol_version: str = ""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None


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
        port: the first declared port of its model container.
        arguments: that container's `args` and `command`.
        environment: that container's plain environment variables.
    """

    key: RuntimeKey
    server_type: str = ""
    protocol_versions: tuple[str, ...] = ()
    model_formats: tuple[str, ...] = ()
    port: int | None = None
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InferenceService:
    """An InferenceService as far as watching it needs.

    Attributes:
        uid: never empty.
        resource_version: guards writes.
        annotations: those that say something to us: our own, and KServe's and Knative's on deploying, stopping and scaling.
        deleting: a deletionTimestamp is set.
        stopped: the annotation or the condition says so.
        mode: None where neither status nor annotation tells.
        address_url: `status.address.url`.
        url: `status.url`.
        component_urls: `status.components.<component>.address.url`, the in-cluster ones.
        predictor: None where the spec has none.
        transformer: None where the spec has none.
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
    deleting: bool = False
    stopped: bool = False
    mode: DeploymentMode | None = None
    address_url: str = ""
    url: str = ""
    component_urls: Mapping[str, str] = field(default_factory=dict)
    predictor: ComponentSpec | None = None
    transformer: ComponentSpec | None = None
    runtime: RuntimeKey | None = None
    conditions: tuple[Condition | None, ...] | None = None
    has_status: bool = False
    problem: str = ""

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if it is there."""
        return next((c for c in self.conditions or () if c is not None and c.type == kind), None)
