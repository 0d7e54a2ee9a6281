"""Derives what to probe from an InferenceService, with the field that each value came from, and whether the value is certain.

The rules are KServe's own: what its controller writes into the status, and how its runtimes name models and choose protocols.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from isvcwatch.core import overrides
from isvcwatch.core.backing import backing_of
from isvcwatch.core.conditions import one_line, timestamp
from isvcwatch.core.derive import address, dialect, encryption, naming, patience
from isvcwatch.core.derive.address import cluster_domain, is_own_host
from isvcwatch.core.derive.containers import servers
from isvcwatch.core.derive.naming import Named
from isvcwatch.core.derive.skipping import AUTOSCALER_CLASS, MIN_SCALE, asleep, scaled_by_others, skipped
from isvcwatch.core.derive.sources import Derivation, Source
from isvcwatch.core.objects import ComponentSpec, DeploymentMode
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component, Hop, Misconfigured, Skipped, Target

if TYPE_CHECKING:
    from collections.abc import Collection

    from isvcwatch.core.backing import Backing
    from isvcwatch.core.derive.address import Address
    from isvcwatch.core.derive.containers import Server
    from isvcwatch.core.derive.dialect import Spoken
    from isvcwatch.core.objects import Canary, Container, InferenceService, Runtime
    from isvcwatch.core.policy import ProbePolicy

ALL_TRAFFIC: Final = 100
"""Per cent."""

__all__ = ["AUTOSCALER_CLASS", "MIN_SCALE", "Derivation", "Source", "derive", "is_own_host"]


def derive(isvc: InferenceService, runtime: Runtime | None, defaults: ProbePolicy, behind: Collection[Backing] = ()) -> Derivation:
    """Derive what to probe for a service.

    Args:
        isvc: the service.
        runtime: the runtime that the service runs on; None if it names none or the runtime could not be read.
        defaults: the policy that applies where no annotation sets a value.
        behind: what stands behind its Services, as far as it is known.
    """
    left_alone = skipped(isvc)
    if left_alone:
        return Derivation(left_alone)
    try:
        asked = overrides.read(isvc.annotations, defaults)
    except overrides.WrongValueError as error:
        return Derivation(Misconfigured(Reason.INVALID_ANNOTATION, str(error)))
    return _Deriving(isvc, runtime, asked, behind).target()


class _UnaskableError(Exception):
    """A component can't be probed as it is specified."""

    def __init__(self, reason: Reason, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.outcome = Misconfigured(reason, f"{message}; {advice}" if advice else message)


class _Deriving:
    """Derives one service's target, and collects the sources of its values."""

    def __init__(
        self, isvc: InferenceService, runtime: Runtime | None, asked: overrides.Overrides, behind: Collection[Backing] = ()
    ) -> None:
        self.isvc = isvc
        self.behind = behind
        self.runtime = runtime
        self.asked = asked
        self.sources: list[Source] = []
        self.notes: list[str] = []
        self.spec = isvc.predictor or ComponentSpec()
        self.predictor, self.collocated = servers(isvc, runtime, self.spec, "spec.predictor")
        self.transformer = servers(isvc, None, isvc.transformer, "spec.transformer")[0] if isvc.transformer else None
        self.start = patience.of_service(isvc, asked.policy, self.predictor.container, self.collocated)

    def target(self) -> Derivation:
        try:
            outcome = self._outcome()
        except _UnaskableError as error:
            outcome = error.outcome
        policy = self.asked.policy
        for field in (f.name for f in fields(policy) if getattr(policy, f.name) is not None):
            self._from(
                field.replace("_", " "),
                f"{getattr(policy, field):g}",
                "annotation" if field in self.asked.policy_fields else "settings",
            )
        if self.start:
            self._from("may start until", timestamp(self.start.until), self.start.origin)
        for name in self.asked.unknown:
            self._from("ignored", name, f"not an annotation of isvcwatch's: {', '.join(sorted(overrides.KNOWN))}")
        return Derivation(outcome, tuple(self.sources), self.start.until if self.start else None, "; ".join(self.notes))

    def _outcome(self) -> Target | Skipped | Misconfigured:
        isvc = self.isvc
        entry = Component.TRANSFORMER if self.transformer else Component.PREDICTOR
        found = self._entry(entry)
        if found is None:
            return Skipped(Reason.NO_ADDRESS, "neither status.address.url nor status.url is set yet")
        hops = [self._hop(entry, found)]
        if entry is Component.TRANSFORMER and not self.asked.url:
            behind = address.behind(isvc, found.url, self._exposed(Component.PREDICTOR).container)
            if behind:
                hops += self._predictor_behind(behind, hops[0])
        if isvc.mode is DeploymentMode.STANDARD and not self.asked.url:
            hops += self._canaries()
        return asleep(isvc, hops, self.behind) or Target(isvc.uid, isvc.namespace, isvc.name, tuple(hops), self.asked.policy)

    def _predictor_behind(self, at: Address, transformer: Hop) -> list[Hop]:
        """The hop of the predictor behind a transformer; none if it can't be asked, such as one that speaks gRPC with its transformer."""
        try:
            return [self._hop(Component.PREDICTOR, at, transformer)]
        except _UnaskableError as error:
            self._leave_out(Component.PREDICTOR, error)
            return []

    def _canaries(self) -> list[Hop]:
        """The hops of the canaries that get traffic, and can be asked."""
        hops = []
        served = [canary for canary in self.isvc.canaries if canary.spec.name and canary.traffic]
        for canary in served:
            try:
                hops.append(self._canary(canary))
            except _UnaskableError as error:
                self._leave_out(f"canary {one_line(canary.spec.name, 63)}", error)
        if sum(canary.traffic for canary in served) >= ALL_TRAFFIC:
            self.notes.append("the stable predictor gets no traffic")
        return hops

    def _leave_out(self, part: str, error: _UnaskableError) -> None:
        """Take note of a part beside the first hop that is not asked."""
        self.notes.append(f"{part} not asked: {error}")
        self._from("not asked", part, str(error))

    def _canary(self, canary: Canary) -> Hop:
        """The hop of a canary, which KServe runs in the same way as the stable predictor."""
        stable = self.isvc.runtime
        same = canary.spec.model_format == self.spec.model_format and canary.runtime in {"", stable.name if stable else ""}
        chosen = stable if canary.spec.model_format else None
        name = one_line(canary.spec.name, 63)
        alike = replace(self.isvc, predictor=canary.spec, transformer=None, canaries=(), component_urls={}, runtime=chosen)
        deriving = _Deriving(alike, self.runtime if same else None, self.asked)
        try:
            hop = deriving._hop(Component.PREDICTOR, address.of_canary(alike, deriving._exposed(Component.PREDICTOR).container))
        finally:
            for found in deriving.sources:
                self.sources.append(replace(found, field=found.field.replace(Component.PREDICTOR, f"canary {name}", 1)))
        return replace(hop, canary=name, grace=patience.of_canary(canary, deriving.predictor.container, deriving.collocated))

    def _entry(self, entry: Component) -> Address | None:
        if self.asked.url:
            return address.Address(self.asked.url, f"annotation {overrides.URL}")
        return address.given(self.isvc, entry, self._exposed(entry).container)

    def _exposed(self, component: Component) -> Server:
        """The container that the component's Service leads to."""
        if component is Component.TRANSFORMER and self.transformer:
            return self.transformer
        return self.collocated or self.predictor

    def _hop(self, component: Component, at: Address, before: Hop | None = None) -> Hop:
        server = self._exposed(component)
        container = server.container
        at = self._encrypted(self._at_http_port(at, container), server)
        url = self._from(f"{component} URL", at.url, at.origin, certain=at.certain)
        spoken = self._protocol(component)
        name = self._model_name(component, before)
        self._check(component, url, container, spoken.protocol)
        service = address.own_service(url, self.isvc.namespace, cluster_domain(self.isvc))
        return Hop(
            component,
            url,
            spoken.protocol,
            name.name,
            own_host=bool(service) and self._leads_to_pods(service),
            routed=self.isvc.mode is not DeploymentMode.STANDARD and not self.asked.url,
            protocol_certain=spoken.certain,
            name_certain=name.certain,
            address_certain=at.certain,
            other_urls=at.others,
            tls_by_spec=at.tls_by_spec,
            ready_path=_ready_path(at, container),
            has_model=self.spec.has_storage or not self.spec.model_format,
            may_sleep=scaled_by_others(self.isvc) and backing_of(service, self.behind) is None,
            service=service,
            port=declared.number if (declared := address.port_asked(url, container)) else 0,
        )

    def _leads_to_pods(self, service: str) -> bool:
        """Whether a Service of the namespace leads to pods, by its slices; if they are not known, whether it is one that KServe makes.

        One without a selector leads wherever its maker wants. One that an annotation names may be such a one.
        """
        backing = backing_of(service, self.behind)
        if backing is not None:
            return all(endpoint.pod for endpoint in backing.endpoints)
        return not self.asked.url or service in address.services_of(self.isvc)

    def _at_http_port(self, at: Address, container: Container) -> Address:
        """The address, with another declared port if its own is for gRPC."""
        try:
            overrides.base_url(at.url)
        except overrides.WrongValueError as error:
            raise _UnaskableError(
                Reason.INVALID_ADDRESS, f"the status says {overrides.shown(at.url)[:128]!r}, which can't be probed: {error}"
            ) from error
        port = None if self.asked.url else address.port_asked(at.url, container)
        if port is not None and port.is_grpc:
            beside = address.plain_port_beside(at.url, container, self.isvc.mode)
            if beside:
                return replace(at, url=beside, origin=f"{at.origin}, at the declared port that is not gRPC's")
        return at

    def _encrypted(self, at: Address, server: Server) -> Address:
        """The address by https if the server's specification says that it speaks TLS. KServe's Standard mode writes http all the same."""
        is_kserves = not self.asked.url and is_own_host(at.url, self.isvc.namespace, cluster_domain(self.isvc))
        if not is_kserves or self.isvc.mode is not DeploymentMode.STANDARD or not at.url.startswith("http:"):
            return at
        why = encryption.told_by(server, at.url)
        if not why:
            return at
        origin = f"{at.origin}, by https ({why})"
        return replace(at, url=address.over_tls(at.url), origin=origin, others=(at.url, *at.others), tls_by_spec=True)

    def _check(self, component: Component, url: str, container: Container, protocol: str) -> None:
        """Raise an error for a component that can't be probed, so that nothing is sent to it."""
        port = None if self.asked.url or self.asked.protocol else address.port_asked(url, container)
        if port is not None and port.is_grpc:
            raise _UnaskableError(
                Reason.UNSUPPORTED_PROTOCOL,
                f"the {component} is reached at port {port.name[:32]!r} ({port.number}), which is gRPC by its name, and isvcwatch asks in "
                "HTTP/1.1",
                f"where its server answers HTTP elsewhere in the cluster, say where by annotation {overrides.URL} "
                "(adding it rolls the pods)",
            )
        if protocol not in overrides.PROTOCOLS:
            raise _UnaskableError(
                Reason.UNSUPPORTED_PROTOCOL,
                f"the {component} speaks {protocol[:32]}, which isvcwatch can't ask",
                f"where it also speaks one of {', '.join(overrides.PROTOCOLS)}, "
                f"say so by annotation {overrides.PROTOCOL} (adding it rolls the pods)",
            )

    def _protocol(self, component: Component) -> Spoken:
        field = f"{component} protocol"
        if self.asked.protocol:
            found = dialect.Spoken(self.asked.protocol, f"annotation {overrides.PROTOCOL}", certain=True)
        elif component is Component.TRANSFORMER or self.collocated:
            behind = self._of_predictor()
            found = dialect.Spoken(
                "v2" if behind.protocol.endswith("v2") else "v1", f"the predictor's is {behind.protocol} ({behind.origin})", certain=False
            )
        else:
            found = self._of_predictor()
        self._from(field, found.protocol, found.origin, certain=found.certain)
        return found

    def _of_predictor(self) -> Spoken:
        return dialect.of_predictor(self.predictor, self.spec, self.runtime, dialect.kind_of(self.predictor, self.spec, self.runtime))

    def _model_name(self, component: Component, before: Hop | None) -> Named:
        isvc = self.isvc
        if self.asked.model_name:
            found = Named(self.asked.model_name, f"annotation {overrides.MODEL_NAME}", certain=True)
        elif component is Component.TRANSFORMER and self.transformer:
            found = naming.of_transformer(self.transformer, isvc.name)
        elif self.collocated:
            given, origin = self.collocated.flag("--model-name")
            found = Named(given, origin, certain=True) if given else Named(isvc.name, "metadata.name", certain=False)
        else:
            otherwise = Named(isvc.name, "metadata.name", certain=False)
            if before is not None:
                otherwise = Named(before.model_name, "the transformer's, by which KServe's SDK forwards", certain=False)
            kind = dialect.kind_of(self.predictor, self.spec, self.runtime)
            found = naming.of_server(self.predictor, kind, otherwise, whole=self.runtime is not None or isvc.runtime is None)
        self._from(f"{component} model name", found.name, found.origin, certain=found.certain)
        return found

    def _from(self, field: str, value: str, origin: str, *, certain: bool = True) -> str:
        self.sources.append(Source(field, value, origin, certain))
        return value


def _ready_path(at: Address, container: Container) -> str:
    """The path of the container's own readiness route if it is on the address's port, else an empty text."""
    ready = container.ready
    if ready is None or ready.scheme != ("https" if at.tls_by_spec else "http"):
        return ""
    return ready.path if encryption.is_probed_at(at.url, container) else ""
