"""The operator runs under exactly the service account and role that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.watching.operating import QUICK, OperatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests" / "base"
ACCOUNT = "system:serviceaccount:isvcwatch-system:isvcwatch"


def install_account(cluster: Cluster) -> str:
    """Apply the shipped namespace, service account and role; a token of that account."""
    files = [MANIFESTS / name for name in ("namespace.yaml", "serviceaccount.yaml", "rbac.yaml")]
    documents = [document for file in files for document in _documents(file)]
    cluster.apply(*documents)
    return cluster.create_token("isvcwatch-system", "isvcwatch")


def _documents(file: Path) -> list[dict[str, object]]:
    from rig.cluster import documents  # noqa: PLC0415

    found = documents(file)
    for document in found:
        if document["kind"] == "ServiceAccount":  # kustomize puts it there
            document["metadata"]["namespace"] = "isvcwatch-system"
    return found


@pytest.fixture(scope="session")
def account(control_plane: ControlPlane, cluster: Cluster) -> Path:
    """A kubeconfig of the shipped service account."""
    return control_plane.kubeconfig_for(install_account(cluster))


@pytest.fixture
def start_operator(account: Path, tmp_path: Path, namespace: str) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts an operator that watches the test's own namespace, quickly unless told otherwise."""
    started: list[OperatorProcess] = []

    def start(*flags: str, pace: tuple[str, ...] = QUICK) -> OperatorProcess:
        operator = OperatorProcess(account, tmp_path, "--namespace", namespace, *pace, *flags)
        started.append(operator)
        return operator.wait_ready()

    yield start
    for operator in started:
        operator.stop()
