"""An API server of its own: what is installed here is cluster-wide, and its audit log shall hold nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from rig.cluster import Cluster
from rig.controlplane import ControlPlane
from rig.process import RigError
from tests.integration.shipping import programs
from tests.shipping.shipped import BASE, NAMESPACED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Kubectl:
    """kubectl as the cluster's administrator, strict about what it sends."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        self._program = program
        self._env = {"KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(kubeconfig.parent / "kubectl-cache")}

    def __call__(self, *arguments: str | Path, stdin: str = "") -> tuple[int, str]:
        return programs.run(self._program, *arguments, env=self._env, stdin=stdin)

    def render(self, folder: Path) -> list[dict[str, Any]]:
        """The objects that `kubectl apply -k` would send."""
        code, said = self("kustomize", folder)
        assert code == 0, said
        return list(yaml.safe_load_all(said))

    def apply(self, *arguments: str | Path, stdin: str = "") -> tuple[int, str]:
        """Fields that the API server doesn't know, and its warnings, are errors."""
        return self("apply", "--validate=strict", "--warnings-as-errors", *arguments, stdin=stdin)


@pytest.fixture(scope="package")
def empty_cluster() -> Iterator[ControlPlane]:
    try:
        control_plane = ControlPlane.start()
    except RigError as error:
        programs.required(error)
    with control_plane:
        yield control_plane


@pytest.fixture(scope="package")
def admin(empty_cluster: ControlPlane) -> Iterator[Cluster]:
    with Cluster(empty_cluster.kubeconfig) as cluster:
        yield cluster


@pytest.fixture(scope="package")
def kubectl(empty_cluster: ControlPlane) -> Kubectl:
    try:
        return Kubectl(programs.kubectl(), empty_cluster.kubeconfig)
    except programs.CannotRunError as error:
        programs.required(error)


@pytest.fixture(scope="package")
def installed(kubectl: Kubectl) -> str:
    """`kubectl apply -k manifests/base` into an empty cluster; what it said."""
    code, said = kubectl.apply("-k", BASE)
    assert code == 0, said
    return said


@pytest.fixture(scope="package")
def installed_namespaced(kubectl: Kubectl) -> str:
    """`kubectl apply -k manifests/namespaced` into the namespace that it names; what it said."""
    code, said = kubectl("create", "namespace", "models")
    assert code == 0, said
    code, said = kubectl.apply("-k", NAMESPACED)
    assert code == 0, said
    return said


@pytest.fixture
def deployment(kubectl: Kubectl) -> dict[str, Any]:
    """The Deployment as it is sent."""
    (found,) = [item for item in kubectl.render(BASE) if item["kind"] == "Deployment"]
    return found
