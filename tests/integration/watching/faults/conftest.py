"""An operator that sees the API server through a proxy, which does what networks and API servers do on bad days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rig.cluster import Cluster
from rig.controlplane import ControlPlane
from rig.faultproxy import FaultProxy
from tests.integration.watching.faults.services import RESYNC
from tests.integration.watching.operating import QUICK, OperatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def proxy(account: Path) -> Iterator[FaultProxy]:
    with FaultProxy(account) as standing:
        yield standing


@pytest.fixture
def start(proxy: FaultProxy, tmp_path: Path, namespace: str) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts an operator that sees the API server through the proxy."""
    started: list[OperatorProcess] = []

    def begin(*flags: str) -> OperatorProcess:
        config = proxy.kubeconfig(tmp_path / "through-the-proxy")
        operator = OperatorProcess(config, tmp_path, "--namespace", namespace, *QUICK, "--resync", f"{RESYNC:g}", *flags)
        started.append(operator)
        return operator.wait_ready()

    yield begin
    for operator in started:
        operator.stop()


@pytest.fixture(scope="module")
def own_control_plane() -> Iterator[ControlPlane]:
    """A control plane that may be broken."""
    with ControlPlane.start() as control_plane:
        yield control_plane


@pytest.fixture
def own_cluster(own_control_plane: ControlPlane) -> Iterator[Cluster]:
    with Cluster(own_control_plane.kubeconfig) as admin:
        admin.apply_crds()
        yield admin
