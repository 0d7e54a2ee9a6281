"""Finds the API server and the credentials for it, for our own calls and for kopf's."""

from __future__ import annotations

import contextlib
import os
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
import kopf
import structlog
import yaml
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import ApiClient, Configuration

from isvcwatch.core.conditions import one_line
from isvcwatch.kube.errors import ConfigError
from isvcwatch.version import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from ipaddress import IPv4Address, IPv6Address

log = structlog.get_logger(__name__)

DEFAULT_KUBECONFIG: Final = "~/.kube/config"

RENEWAL: Final = 60.0
"""Seconds after which a token file is read, or a kubeconfig's plugin is run, again: as often as client-go does."""

BEARER: Final = "BearerToken"
"""The key under which the client's configuration keeps its token."""


def in_a_pod() -> bool:
    """Whether the process runs in a pod, where the kubelet names the API server in the environment and the cluster's DNS knows it."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


class ApiConnection:
    """An API server and credentials for it, which are read again when they rotate."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.client = ApiClient(configuration)
        self.client.user_agent = USER_AGENT

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._configuration.host)

    def server_addresses(self) -> list[IPv4Address | IPv6Address]:
        """The API server's IP addresses, as far as they are known without DNS: in a pod, the one in its environment."""
        named = (urlsplit(self.server).hostname or "", os.environ.get("KUBERNETES_SERVICE_HOST", ""))
        addresses = []
        for text in named:
            with contextlib.suppress(ValueError):
                addresses.append(ip_address(text))
        return addresses

    def endpoint(self) -> tuple[str, int]:
        """Host and port of the API server."""
        parts = urlsplit(self.server)
        return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)

    async def close(self) -> None:
        """Close the connections of our own calls; kopf closes its own."""
        await self.client.close()

    def kopf_session(self, *middlewares: aiohttp.ClientMiddlewareType) -> kopf.AiohttpSession:
        """A session for kopf, on the same TLS settings and credentials; kopf owns and closes it.

        Args:
            middlewares: see each request and its response.
        """
        context = self.client.rest_client.ssl_context
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            middlewares=(self._authenticate, *middlewares),
            headers={"User-Agent": USER_AGENT},
            trust_env=True,
            read_bufsize=2**21,
        )
        return kopf.AiohttpSession(server=self.server, aiohttp_session=session)

    async def _authenticate(
        self, request: aiohttp.ClientRequest, handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
    ) -> aiohttp.ClientResponse:
        """Put the current token on each request, so that a rotated token is used without a new session."""
        settings: dict[str, Any] = dict(await self._configuration.auth_settings())
        for setting in settings.values():
            if setting.get("in") == "header" and setting.get("value"):
                request.headers[setting["key"]] = setting["value"]
        return await handler(request)


async def connect(kubeconfig: str = "", context: str = "") -> ApiConnection:
    """Find the API server by the given kubeconfig, else by KUBECONFIG, else by the pod's own credentials, else by ~/.kube/config.

    Args:
        kubeconfig: a path, or several joined as kubectl takes them; empty to look in the usual places.
        context: the context of the kubeconfig to use; empty for its current one.

    Raises:
        ConfigError: none of these exists, or the one found can't be used; the error says what to do.
    """
    configuration = Configuration()
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    if not named and not context and in_a_pod():
        try:
            await _load_pods_own(configuration)
        except (kube_config.ConfigException, OSError) as error:
            raise ConfigError(f"the pod's service account can't be used: {error}; mount its token, or name a --kubeconfig") from error
        _renew(configuration, _load_pods_own)
        return ApiConnection(configuration)
    await _load_kubeconfig(configuration, named or DEFAULT_KUBECONFIG, context)
    return ApiConnection(configuration)


async def _load_kubeconfig(configuration: Configuration, path: str, context: str) -> None:
    _check_files(path)
    try:
        loader = await kube_config.load_kube_config(path, context or None, client_configuration=configuration, persist_config=False)
    except (kube_config.ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        which = f"context {context!r} of the kubeconfig {path}" if context else f"kubeconfig {path}"
        raise ConfigError(f"the {which} can't be used: {error}") from error
    _renew(configuration, loader.load_and_set)


async def _load_pods_own(configuration: Configuration) -> None:
    # The client's own renewal would raise an error from inside a request where the token can't be read.
    kube_config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)


def _renew(configuration: Configuration, load: Callable[[Configuration], Awaitable[None]]) -> None:
    """Have the credentials that were loaded renewed from now on."""
    _strip(configuration)
    configuration.refresh_api_key_hook = Renewal(load)  # type: ignore[assignment]  # the client declares it as None


class Renewal:
    """Reads credentials again every `RENEWAL` seconds, since a token may last only minutes. What can't be read leaves the old ones."""

    def __init__(self, load: Callable[[Configuration], Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._read = clock()
        self._problem = ""

    async def __call__(self, configuration: Configuration) -> None:
        """Renew the credentials if it is time; the client calls this before each request. Keeps the old ones if reading fails."""
        now = self._clock()
        if now - self._read < RENEWAL:
            return
        self._read = now
        problem = ""
        try:
            await self._load(configuration)
        except (kube_config.ConfigException, OSError, ValueError) as error:
            problem = one_line(str(error))
        _strip(configuration)
        if problem and problem != self._problem:
            log.warning("credentials_not_read", why=problem)
        self._problem = problem


def _strip(configuration: Configuration) -> None:
    """Remove the line break at the end of a token: most files end with one, and a header must not contain it."""
    if BEARER in configuration.api_key:
        configuration.api_key[BEARER] = configuration.api_key[BEARER].strip()


def _check_files(path: str) -> None:
    """Raise a clear error for a kubeconfig that is missing or not valid, since the loader's own error is not clear."""
    files = [file for part in path.split(os.pathsep) if part and (file := Path(part).expanduser()).is_file()]
    if not files:
        raise ConfigError(f"no kubeconfig at {path}: name one with --kubeconfig or KUBECONFIG, or run in a pod with a service account")
    for file in files:
        try:
            content: Any = yaml.safe_load(file.read_text())
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the kubeconfig {file} can't be read: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict) or "clusters" not in content:
            raise ConfigError(f"{file} is not a kubeconfig: it has no list of clusters")
