"""The operator's own calls to a real API server: what its answers mean, and what is known of us afterwards."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from isvcwatch.kube import errors
from isvcwatch.kube.api import Api
from isvcwatch.kube.connection import connect
from isvcwatch.kube.resources import INFERENCE_SERVICE_STATUS, INFERENCE_SERVICES, NAMESPACES, Resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rig.cluster import Cluster

pytestmark = pytest.mark.real

UNDEFINED = Resource("nobody.example", "v1", "things")


@asynccontextmanager
async def calling(cluster: Cluster) -> AsyncIterator[Api]:
    connection = await connect(str(cluster.kubeconfig))
    try:
        yield Api(connection)
    finally:
        await connection.close()


async def test_an_object_that_is_not_there_is_gone(cluster: Cluster, namespace: str) -> None:
    async with calling(cluster) as api:
        with pytest.raises(errors.GoneError, match="not found"):
            await api.get(NAMESPACES, "", "never-made")
        with pytest.raises(errors.GoneError, match="not found"):
            await api.get(INFERENCE_SERVICES, namespace, "never-made")
        with pytest.raises(errors.GoneError, match="not found"):
            await api.json_patch(INFERENCE_SERVICE_STATUS, namespace, "never-made", [{"op": "add", "path": "/status/x", "value": 1}])


async def test_a_resource_without_its_crd_is_not_served_and_says_nothing_of_its_objects(cluster: Cluster, namespace: str) -> None:
    async with calling(cluster) as api:
        with pytest.raises(errors.NotServedError):
            await api.list_page(UNDEFINED, namespace)
        with pytest.raises(errors.UnavailableError):
            await api.get(UNDEFINED, namespace, "iris")
        for version in ("v1", "v9"):
            with pytest.raises(errors.NotServedError):
                await api.list_page(Resource("discovery.k8s.io", version, "things"), namespace)
