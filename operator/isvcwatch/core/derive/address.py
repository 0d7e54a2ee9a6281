"""Derives the base URL of a component from KServe's address in the status, in the formats of all its releases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from isvcwatch.core.objects import DeploymentMode
from isvcwatch.core.targets import Component

if TYPE_CHECKING:
    from isvcwatch.core.objects import Container, InferenceService, Port

DEFAULT_DOMAIN: Final = "cluster.local"

DEFAULT_PORT: Final = 8080
"""The container port of KServe's runtimes, at which they are reached through a headless Service."""

PLAIN_PORT: Final = 80
"""The port of a Service, which KServe maps to the first declared container port."""

AUTH_PORT: Final = 8443
"""The port of Open Data Hub's proxy, which is the predictor Service's only port where that proxy is used."""

ENABLE_AUTH: Final = "security.opendatahub.io/enable-auth"

_INFERENCE_ROUTE: Final = re.compile(r"/v1/models/[^/]+:(predict|explain)/?$|/v2/models/[^/]+(/versions/[^/]+)?/infer/?$")
"""The end of an address that KServe up to 0.10 wrote: the route for inference, which is not part of the base URL."""


@dataclass(frozen=True, slots=True)
class Address:
    """The base URL of a component.

    Attributes:
        url: the base URL.
        origin: where it was read, or the rule that gave it.
        certain: whether KServe makes a Service of that name.
        others: base URLs to try if nothing answers at the URL.
        tls_by_spec: whether the URL is https since the container's specification says so.
    """

    url: str
    origin: str
    certain: bool = True
    others: tuple[str, ...] = ()
    tls_by_spec: bool = False


def given(isvc: InferenceService, component: Component, container: Container) -> Address | None:
    """The service's own address as KServe wrote it into the status; None until it has."""
    field, written = ("status.address.url", isvc.address_url) if isvc.address_url else ("status.url", isvc.url)
    if not written:
        return None
    url = _INFERENCE_ROUTE.sub("", written)
    origin = field if url == written else f"{field}, without its inference route"
    return _completed(isvc, component, container, url, origin)


def behind(isvc: InferenceService, entry_url: str, container: Container) -> Address | None:
    """The predictor's address behind a transformer. It is probed too, since a transformer by default does not check its predictor."""
    written = isvc.component_urls.get(Component.PREDICTOR, "")
    if written:
        return _completed(isvc, Component.PREDICTOR, container, written, "status.components.predictor.address.url")
    try:
        parts = urlsplit(entry_url)
        service, _, domain = (parts.hostname or "").partition(".")
        port = parts.port
    except ValueError:
        return None
    if service != f"{isvc.name}-{Component.TRANSFORMER}":
        return None
    origin = "status.address.url, with the predictor's Service in place of the transformer's"
    return _beside(isvc, container, parts.scheme, domain, origin, with_port=bool(port))


def of_canary(isvc: InferenceService, container: Container) -> Address:
    """The address of a canary's own Service, which exists beside the stable predictor's.

    Args:
        isvc: the service with the canary in place of its predictor.
        container: the container that the canary's Service leads to.
    """
    domain = f"{isvc.namespace}.svc.{cluster_domain(isvc)}"
    origin = "the Service that KServe's Standard mode makes for a canary"
    return _beside(isvc, container, "http", domain, origin, with_port=is_headless(isvc.address_url))


def _beside(isvc: InferenceService, container: Container, scheme: str, domain: str, origin: str, *, with_port: bool) -> Address:
    """The address of the predictor's own Service, for a predictor that has no address in the status.

    Args:
        isvc: the service.
        container: the container that the Service leads to.
        scheme: `http` or `https`.
        domain: the part of the host after the Service's name.
        origin: the rule that the address comes from.
        with_port: whether the URL must name the container's port, since no Service maps ports.
    """
    host = f"{_service_names(isvc, Component.PREDICTOR)[0]}.{domain}"
    if isvc.mode is DeploymentMode.STANDARD and isvc.annotations.get(ENABLE_AUTH, "").lower() == "true":
        return Address(f"https://{host}:{AUTH_PORT}", f"{origin}, and its authenticating proxy's port")
    inside = f":{_http_port(container.ports)}" if with_port else ""
    return _completed(isvc, Component.PREDICTOR, container, f"{scheme}://{host}{inside}", origin)


def port_asked(url: str, container: Container) -> Port | None:
    """The container port that the URL reaches: the first declared one if a Service maps ports, else the one with the URL's number."""
    port = urlsplit(url).port
    if port is None or port == PLAIN_PORT:
        return container.ports[0] if container.ports else None
    return next((declared for declared in container.ports if declared.number == port), None)


def is_headless(url: str) -> bool:
    """Whether the URL names a container's port, as KServe writes it where no Service maps ports."""
    return urlsplit(url).port not in (None, PLAIN_PORT)


def plain_port_beside(url: str, container: Container, mode: DeploymentMode | None) -> str:
    """The URL with another declared port that is not for gRPC, which a Service in Standard mode exposes too; empty if there is none."""
    other = next((port for port in container.ports[1:] if not port.is_grpc), None)
    if other is None or mode is not DeploymentMode.STANDARD or is_headless(url):
        return ""
    return _with_port(url, other.number)


def _completed(isvc: InferenceService, component: Component, container: Container, url: str, origin: str) -> Address:
    """The address, with the other base URLs at which the server may be."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Address(url, origin)
    service, _, rest = host.partition(".")
    if isvc.mode is not DeploymentMode.STANDARD or not is_own_host(url, isvc.namespace, cluster_domain(isvc)):
        return Address(url, origin)
    expected = _service_names(isvc, component)
    certain = service in expected
    others = [] if certain else [f"http://{name}.{rest}" for name in (*expected, f"{expected[0]}-default")]
    declared = _http_port(container.ports)
    if certain and port != declared:
        others.append(_with_port(f"http://{host}", declared))
    if certain and parts.scheme == "https" and port is None:
        others.append(f"http://{host}")
    return Address(url, origin, certain, tuple(others))


def _service_names(isvc: InferenceService, component: Component) -> tuple[str, ...]:
    """The Services that KServe makes for a component in Standard mode."""
    spec = isvc.predictor if component is Component.PREDICTOR else isvc.transformer
    named = (f"{isvc.name}-{spec.name}-{component}",) if spec is not None and spec.name else ()
    return (*named, f"{isvc.name}-{component}")


def services_of(isvc: InferenceService) -> frozenset[str]:
    """The Services that KServe makes for a service: those that its status names, and its predictor's."""
    written = (isvc.address_url, isvc.url, *isvc.component_urls.values())
    named = {own_service(url, isvc.namespace, cluster_domain(isvc)) for url in written}
    return frozenset(named - {""}) | frozenset(_service_names(isvc, Component.PREDICTOR))


def _http_port(ports: tuple[Port, ...]) -> int:
    return next((port.number for port in ports if not port.is_grpc), DEFAULT_PORT)


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path}"


def over_tls(url: str) -> str:
    """The URL by https, at the same port."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return url
    port = "" if parts.port else f":{PLAIN_PORT}"
    return f"https://{parts.netloc}{port}{parts.path}"


def cluster_domain(isvc: InferenceService) -> str:
    """The cluster's domain as KServe wrote it into the address. An annotation can't change it, so tenants can't choose it."""
    _, _, domain = (_hostname(isvc.address_url)).partition(".svc.")
    return domain or DEFAULT_DOMAIN


def is_own_host(url: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> bool:
    """Whether the URL's host is a Service in that namespace."""
    return bool(own_service(url, namespace, domain))


def own_service(url: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> str:
    """The Service in that namespace that the URL's host is: of `<service>.<namespace>.svc`, perhaps with the cluster's domain; else empty.

    A host with any other domain after `.svc` is not in the cluster, and its owner can point it at any address.
    """
    service, _, rest = _hostname(url).partition(".")
    return service if rest in {f"{namespace}.svc", f"{namespace}.svc.{domain}"} else ""


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""
