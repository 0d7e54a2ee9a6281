"""Reads from a container whether the port that is asked speaks TLS, which KServe's addresses don't tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.core.derive import address

if TYPE_CHECKING:
    from isvcwatch.core.derive.containers import Server
    from isvcwatch.core.objects import Container

CERTIFICATE_FLAGS: Final = ("--ssl-certfile", "--ssl-keyfile", "--ssl-cert-file", "--ssl-key-file")
"""Flags of vLLM, SGLang and uvicorn, and of llama.cpp's server, which speak TLS alone if they have a certificate."""

CERTIFICATE_FILE: Final = "KSERVE_TLS_CERT_FILE"
"""The environment variable by which KServe's SDK speaks TLS alone. Source: kserve 0.21, `model_server.py`."""

NIM_MODE: Final = "NIM_SSL_MODE"
"""The environment variable by which NVIDIA NIM speaks TLS alone."""

NIM_ENCRYPTED: Final = frozenset({"TLS", "MTLS"})

HTTPS: Final = "https"


def told_by(server: Server, url: str) -> str:
    """What in a server's specification tells that it speaks TLS at a URL; empty if nothing does.

    The container's own readiness probe at that port comes first, since the kubelet asks by it.

    Args:
        server: the server that the URL leads to.
        url: its base URL, by http.
    """
    ready = server.container.ready
    if ready is not None and is_probed_at(url, server.container):
        return f"{server.origin}: readinessProbe with scheme HTTPS" if ready.scheme == HTTPS else ""
    port = address.port_asked(url, server.container)
    if port is not None and port.name.startswith(HTTPS):
        return f"{server.origin}: port {port.name}"
    _, flag = server.flag(*CERTIFICATE_FLAGS)
    mode, variable = server.variable(NIM_MODE)
    _, file = server.variable(CERTIFICATE_FILE)
    return flag or file or (variable if mode.upper() in NIM_ENCRYPTED else "")


def is_probed_at(url: str, container: Container) -> bool:
    """Whether the container's own readiness route is on the URL's port."""
    if container.ready is None:
        return False
    asked = address.port_asked(url, container)
    named = (port.number for port in container.ports if port.name and port.name == container.ready.port)
    return next(named, container.ready.port) == (asked.number if asked else address.DEFAULT_PORT)
