"""What may be asked: no address of an API server, as a real one tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isvcwatch.kube.api import Api
from isvcwatch.kube.connection import connect
from isvcwatch.kube.servers import ApiServers
from rig.endpoints import endpoint_slice

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address
    from pathlib import Path

    from rig.cluster import Cluster


async def test_the_api_servers_behind_their_service_are_known(kubeconfig: Path, cluster: Cluster) -> None:
    made = endpoint_slice("kubernetes", "default", True, service="kubernetes")
    cluster.apply(made)
    found: list[IPv4Address | IPv6Address] = []
    connection = await connect(str(kubeconfig), "")
    try:
        await ApiServers(Api(connection), found.extend).look()
    finally:
        await connection.close()
        cluster.delete(made)
    assert [str(address) for address in found] == ["127.0.0.1", "10.1.0.1"]
