"""What may be asked: no address of an API server, as a real one tells them, and no alias of another's name, as a resolver tells it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from isvcwatch.client.transport.names import Found
from isvcwatch.kube.api import Api
from isvcwatch.kube.connection import connect
from isvcwatch.kube.servers import ApiServers
from isvcwatch.probing.addresses import AddressPolicy
from rig.dns import NameServer, can_be_used
from rig.endpoints import endpoint_slice

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address
    from pathlib import Path

    from rig.cluster import Cluster


@pytest.mark.skipif(not can_be_used(), reason="a process can't be given a resolver of its own here")
def test_the_systems_resolver_tells_what_a_services_name_is_an_alias_of(tmp_path: Path) -> None:
    aliases = {"mine.models.svc.cluster.local": "metadata.example.internal"}
    names = ("mine.models.svc.cluster.local", "iris.models.svc.cluster.local")
    program = f"from isvcwatch.client.transport.names import system_lookup; print(*map(system_lookup, {names}))"
    with NameServer(aliases=aliases) as server:
        command = [*server.python(tmp_path), "-c", program]
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout  # noqa: S603 -- our own
    found = Found(("127.0.0.1",), "metadata.example.internal"), Found(("127.0.0.1",), "iris.models.svc.cluster.local")
    assert told.strip() == f"{found[0]} {found[1]}"
    assert AddressPolicy.leads_away("mine.models.svc.cluster.local", found[0].canonical, routed=True)


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
