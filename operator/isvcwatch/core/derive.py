"""From an InferenceService to what is probed, with the field that each value came from.

The rules are KServe's own: what its controller writes into the status, and how its runtimes name models and choose protocols.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from isvcwatch.core import overrides
from isvcwatch.core.objects import DeploymentMode
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component, Hop, Misconfigured, Skipped, Target

if TYPE_CHECKING:
    from isvcwatch.core.objects import ComponentSpec, InferenceService, Runtime
    from isvcwatch.core.policy import ProbePolicy

AUTOSCALER_CLASS: Final = "serving.kserve.io/autoscalerClass"
MIN_SCALE: Final = "autoscaling.knative.dev/min-scale"

NEVER_ZERO: Final = frozenset({"", "hpa"})
"""Autoscaler classes that never go below one pod in Standard mode: KServe raises an HPA's minimum of 0 to 1."""

V2_SERVERS: Final = frozenset({"mlserver", "triton"})
PREFERENCE: Final = ("v1", "v2", "grpc-v1", "grpc-v2")
"""KServe's order of preference among a runtime's protocol versions."""

DEFAULT_DOMAIN: Final = "cluster.local"

DEFAULT_PORT: Final = 8080
"""The container port of KServe's runtimes, which a headless Service is reached at."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from.

    Attributes:
        field: what the value is, such as "predictor protocol".
        value: the value.
        origin: the field it was read from, or the rule that gave it.
    """

    field: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Derivation:
    """What is to be done about a service, and why."""

    outcome: Target | Skipped | Misconfigured
    sources: tuple[Source, ...] = ()


def derive(isvc: InferenceService, runtime: Runtime | None, defaults: ProbePolicy) -> Derivation:
    """What to probe.

    Args:
        isvc: the service.
        runtime: the runtime that it runs on, where that could be read.
        defaults: the policy where no annotation says otherwise.
    """
    skipped = _skipped(isvc)
    if skipped:
        return Derivation(skipped)
    try:
        asked = overrides.read(isvc.annotations, defaults)
    except overrides.WrongValueError as error:
        return Derivation(Misconfigured(Reason.INVALID_ANNOTATION, str(error)))
    return _Deriving(isvc, runtime, asked).target()


def _skipped(isvc: InferenceService) -> Skipped | None:
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


def _may_sleep(isvc: InferenceService) -> str:
    """Why the service may be at zero pods, or nothing where it never is."""
    for component, spec in ((Component.PREDICTOR, isvc.predictor), (Component.TRANSFORMER, isvc.transformer)):
        if spec is not None and spec.min_replicas == 0:
            autoscaler = isvc.annotations.get(AUTOSCALER_CLASS, "").lower()
            if isvc.mode is not DeploymentMode.STANDARD or autoscaler not in NEVER_ZERO:
                return f"spec.{component}.minReplicas is 0"
    if isvc.mode is not DeploymentMode.STANDARD and isvc.annotations.get(MIN_SCALE, "") == "0":
        return f"annotation {MIN_SCALE} is 0"
    return ""


class _Deriving:
    """One derivation: the inputs, and the sources as they are found."""

    def __init__(self, isvc: InferenceService, runtime: Runtime | None, asked: overrides.Overrides) -> None:
        self.isvc = isvc
        self.runtime = runtime
        self.asked = asked
        self.sources: list[Source] = []

    def target(self) -> Derivation:
        outcome = self._outcome()
        policy = self.asked.policy
        for field in (f.name for f in fields(policy) if getattr(policy, f.name) is not None):
            self._from(
                field.replace("_", " "),
                f"{getattr(policy, field):g}",
                "annotation" if field in self.asked.policy_fields else "settings",
            )
        for name in self.asked.unknown:
            self._from("ignored", name, f"not an annotation of isvcwatch's: {', '.join(sorted(overrides.KNOWN))}")
        return Derivation(outcome, tuple(self.sources))

    def _outcome(self) -> Target | Skipped | Misconfigured:
        entry = Component.TRANSFORMER if self.isvc.transformer else Component.PREDICTOR
        url = self._entry_url(entry)
        if not url:
            return Skipped(Reason.NO_ADDRESS, "neither status.address.url nor status.url is set yet")
        urls = {entry: url}
        try:
            overrides.base_url(url)
            behind = self._predictor_behind(url) if entry is Component.TRANSFORMER and not self.asked.url else ""
            if behind:
                urls[Component.PREDICTOR] = url = behind
                overrides.base_url(url)
        except overrides.WrongValueError as error:
            return Misconfigured(Reason.INVALID_ADDRESS, f"the status says {overrides.shown(url)[:128]!r}, which can't be probed: {error}")
        hops = [self._hop(component, base_url) for component, base_url in urls.items()]
        unsupported = next((hop for hop in hops if hop.protocol not in overrides.PROTOCOLS), None)
        if unsupported:
            return Misconfigured(
                Reason.UNSUPPORTED_PROTOCOL,
                f"the {unsupported.component} speaks {unsupported.protocol[:32]}, which isvcwatch can't ask; where it also speaks one of "
                f"{', '.join(overrides.PROTOCOLS)}, say so by annotation {overrides.PROTOCOL} (adding it rolls the pods)",
            )
        isvc = self.isvc
        return Target(isvc.uid, isvc.namespace, isvc.name, tuple(hops), self.asked.policy)

    def _hop(self, component: Component, url: str) -> Hop:
        protocol = self._protocol(component)
        model_name = self._model_name(component)
        return Hop(component, url, protocol, model_name, is_own_host(url, self.isvc.namespace, cluster_domain(self.isvc)))

    def _entry_url(self, entry: Component) -> str:
        field = f"{entry} URL"
        if self.asked.url:
            return self._from(field, self.asked.url, f"annotation {overrides.URL}")
        if self.isvc.address_url:
            return self._from(field, self.isvc.address_url, "status.address.url")
        if self.isvc.url:
            return self._from(field, self.isvc.url, "status.url")
        return ""

    def _predictor_behind(self, entry_url: str) -> str:
        """The predictor's own URL behind a transformer, which by default does not look at its predictor."""
        component = self.isvc.component_urls.get(Component.PREDICTOR, "")
        if component:
            return self._from("predictor URL", component, "status.components.predictor.address.url")
        parts = urlsplit(entry_url)
        service, _, domain = (parts.hostname or "").partition(".")
        if service != f"{self.isvc.name}-{Component.TRANSFORMER}":
            return ""
        port = f":{self._container_port()}" if parts.port else ""
        url = f"{parts.scheme}://{self.isvc.name}-{Component.PREDICTOR}.{domain}{port}"
        return self._from("predictor URL", url, "status.address.url, with the predictor's Service in place of the transformer's")

    def _container_port(self) -> int:
        declared = self.isvc.predictor.port if self.isvc.predictor else None
        return declared or (self.runtime.port if self.runtime else None) or DEFAULT_PORT

    def _protocol(self, component: Component) -> str:
        field = f"{component} protocol"
        if self.asked.protocol:
            return self._from(field, self.asked.protocol, f"annotation {overrides.PROTOCOL}")
        if component is Component.TRANSFORMER:
            behind, origin = self._predictor_protocol()
            return self._from(field, "v2" if behind.endswith("v2") else "v1", f"the predictor's is {behind} ({origin})")
        return self._from(field, *self._predictor_protocol())

    def _predictor_protocol(self) -> tuple[str, str]:  # noqa: PLR0911 -- a precedence list: first that is set
        predictor, runtime = self.isvc.predictor, self.runtime
        if predictor and predictor.model_format == "vllm":
            return "vllm", "spec.predictor.model.modelFormat.name is vLLM"
        if predictor and predictor.protocol_version:
            return predictor.protocol_version, "spec.predictor.model.protocolVersion"
        if runtime and "vllm" in runtime.model_formats:
            return "vllm", f"runtime {runtime.key.name}: supportedModelFormats has vLLM"
        if runtime and runtime.server_type in V2_SERVERS:
            return "v2", f"runtime {runtime.key.name}: builtInAdapter.serverType is {runtime.server_type}"
        if predictor and predictor.model_format in V2_SERVERS:
            return "v2", f"the model format is {predictor.model_format}"
        if runtime and runtime.protocol_versions:
            lowest = min(runtime.protocol_versions, key=lambda v: PREFERENCE.index(v) if v in PREFERENCE else len(PREFERENCE))
            return lowest, f"runtime {runtime.key.name}: lowest of protocolVersions"
        for origin, environment in self._environments():
            if environment.get("PROTOCOL"):
                return environment["PROTOCOL"].lower(), f"{origin}: env PROTOCOL"
        return "v1", "default"

    def _environments(self) -> list[tuple[str, dict[str, str]]]:
        both = (("spec.predictor", self.isvc.predictor), ("runtime", self.runtime))
        return [(origin, dict(found.environment)) for origin, found in both if found]

    def _model_name(self, component: Component) -> str:
        field = f"{component} model name"
        if self.asked.model_name:
            return self._from(field, self.asked.model_name, f"annotation {overrides.MODEL_NAME}")
        if component is Component.TRANSFORMER:
            given = _model_name_argument(self.isvc.transformer)
            if given:
                return self._from(field, given, "spec.transformer: --model_name")
            return self._from(field, self.isvc.name, "metadata.name")
        predictor = self.isvc.predictor
        if predictor and predictor.environment.get("MLSERVER_MODEL_NAME"):
            return self._from(field, predictor.environment["MLSERVER_MODEL_NAME"], "spec.predictor: env MLSERVER_MODEL_NAME")
        given = _model_name_argument(predictor)
        if given:
            return self._from(field, given, "spec.predictor: --model_name")
        return self._from(field, self.isvc.name, "metadata.name")

    def _from(self, field: str, value: str, origin: str) -> str:
        self.sources.append(Source(field, value, origin))
        return value


def _model_name_argument(spec: ComponentSpec | None) -> str:
    """The value of `--model_name` as KServe's own servers take it: with `=` or as the next argument, `_` or `-`."""
    arguments = spec.arguments if spec else ()
    for argument, following in pairwise((*arguments, "")):
        flag, equals, value = argument.partition("=")
        if flag in {"--model_name", "--model-name", "--served-model-name"}:
            found = value if equals else following
            return "" if "$" in found or "{" in found else found  # a template, filled in where we can't see
    return ""


def cluster_domain(isvc: InferenceService) -> str:
    """The cluster's domain as KServe wrote it into the address: who may only annotate an object can't choose it."""
    _, _, domain = (_hostname(isvc.address_url)).partition(".svc.")
    return domain or DEFAULT_DOMAIN


def is_own_host(url: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> bool:
    """Whether the URL's host is a Service in that namespace: `<service>.<namespace>.svc`, perhaps with the cluster's domain.

    Any other domain behind `.svc` belongs to whoever registered it, and can point anywhere.
    """
    service, _, rest = _hostname(url).partition(".")
    return bool(service) and rest in {f"{namespace}.svc", f"{namespace}.svc.{domain}"}


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""
