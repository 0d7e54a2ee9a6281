"""The operator runs under exactly the service account and role that are shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rig.account import install_account
from tests.integration.watching.operating import QUICK, OperatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane


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
