"""InferenceServices by the thousand on a real API server, each with a server of the fleet behind it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from rig import kserve_status, kubeconfig
from rig.cluster import ISVC
from rig.endpoints import endpoint_slice
from rig.process import RigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bench.fleet.fleet import Model
    from rig.kserve_status import Manifest

SLICES: Final = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"

AT_ONCE: Final = 32
"""Requests under way at once: enough to keep the API server busy."""

NAMESPACES: Final = tuple(f"bench-{number}" for number in range(10))

OURS: Final = ("ServerLive", "ServerReady", "ModelReady")


@dataclass(frozen=True, slots=True)
class Service:
    """An InferenceService and what stands behind it."""

    namespace: str
    name: str
    model: Model

    def manifest(self) -> Manifest:
        """As a user sends it."""
        spec = kserve_status.model_spec(protocolVersion="v2")
        return kserve_status.isvc(self.name, self.namespace, spec, {"isvcwatch.dev/model-name": self.model.name})

    def status(self, ours: Iterable[dict[str, str]] = ()) -> Manifest:
        """As KServe's controller writes it, with the operator's conditions where there are any."""
        status = kserve_status.ready(self.name, self.namespace, self.model.base_url)
        return {**status, "conditions": sorted([*status["conditions"], *ours], key=lambda item: str(item["type"]))}


def services(models: Sequence[Model]) -> list[Service]:
    """A service for each model, spread over a few namespaces, one namespace after the other."""
    each = -(-len(models) // len(NAMESPACES))
    return [Service(NAMESPACES[number // each], f"model-{number:05}", model) for number, model in enumerate(models)]


def create(config: Path, wanted: Sequence[Service], ours: Sequence[dict[str, str]] = ()) -> None:
    """Create the services with their statuses and their Services' slices, many at once."""
    asyncio.run(_create(config, wanted, ours))


async def _create(config: Path, wanted: Sequence[Service], ours: Sequence[dict[str, str]]) -> None:
    await create_all(config, [(service.manifest(), service.status(ours)) for service in wanted])


async def create_all(config: Path, wanted: Iterable[tuple[Manifest, Manifest]]) -> None:
    """Create InferenceServices, each with its status and its Service's slice, many at once."""
    access = kubeconfig.read(config)
    left = iter(wanted)
    connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=access.tls)
    async with aiohttp.ClientSession(access.server, connector=connector, headers=access.headers) as session:

        async def work() -> None:
            for manifest, status in left:
                name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
                path = ISVC.format(namespace)
                made = await _sent(session, "POST", path, manifest)
                await _sent(session, "PUT", f"{path}/{name}/status", {**made, "status": status})
                await _sent(session, "POST", SLICES.format(namespace), endpoint_slice(name, namespace, True))

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())


async def _sent(session: aiohttp.ClientSession, method: str, path: str, body: Manifest) -> dict[str, Any]:
    async with session.request(method, path, json=body) as answer:
        if not answer.ok:
            raise RigError(f"{method} {path}: {answer.status} {(await answer.text())[:300]}")
        sent: dict[str, Any] = await answer.json()
        return sent
