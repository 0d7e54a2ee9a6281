"""Kinds that come late, go, and come anew: each heals by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.cluster import CRDS, documents
from rig.process import wait_until
from tests.integration.watching.answers import READY, RawServer
from tests.integration.watching.faults.services import RESYNC, create, is_probed
from tests.integration.watching.operating import QUICK, OperatorProcess, wait_for

if TYPE_CHECKING:
    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane
    from rig.kserve_status import Manifest

pytestmark = pytest.mark.real

FLAGS = (*QUICK, "--resync", f"{RESYNC:g}")


def crds(*plurals: str) -> list[Manifest]:
    found = [document for file in sorted(Path(os.environ.get("ISVC_CRD_DIR") or CRDS).glob("*.yaml")) for document in documents(file)]
    return [crd for crd in found if crd["spec"]["names"]["plural"] in plurals]


def test_a_runtime_whose_kind_comes_after_the_start_is_taken_up(
    own_control_plane: ControlPlane, own_cluster: Cluster, tmp_path: Path
) -> None:
    for crd in crds("servingruntimes", "clusterservingruntimes"):
        own_cluster.delete(crd)
    namespace = own_cluster.create_namespace()
    with RawServer(READY) as server, OperatorProcess(own_control_plane.kubeconfig, tmp_path, *FLAGS) as operator:
        operator.wait_ready()
        assert {line["resource"] for line in operator.said("kind_unreadable")} == {
            "servingruntimes.serving.kserve.io",
            "clusterservingruntimes.serving.kserve.io",
        }
        status = kserve.ready("iris", namespace, server.base_url) | {"servingRuntimeName": "own", "clusterServingRuntimeName": ""}
        own_cluster.create_isvc(kserve.isvc("iris", namespace, kserve.model_spec(runtime="own")), status)
        wait_for(own_cluster, namespace, "iris", "True")
        own_cluster.apply(*crds("servingruntimes", "clusterservingruntimes"))
        own_cluster.apply(kserve.serving_runtime("own", namespace, "--model_name=another"))
        wait_until(lambda: any(b"GET /v2/models/another/" in asked for asked in server.requests), 30, "it goes by the runtime")
        wait_until(lambda: len(operator.said("kind_readable")) == 2, 30, "both kinds are said to be there")
        server.requests.clear()
        own_cluster.apply(kserve.serving_runtime("own", namespace, "--model_name=third"))
        wait_until(lambda: any(b"GET /v2/models/third/" in asked for asked in server.requests), 30, "it goes by the runtime as it changes")
        assert operator.get("/livez") == "200 ok\n"
    own_cluster.delete_namespace(namespace)


def test_a_kind_that_is_removed_and_made_anew(own_control_plane: ControlPlane, own_cluster: Cluster, tmp_path: Path) -> None:
    namespace = own_cluster.create_namespace()
    with RawServer(READY) as server, OperatorProcess(own_control_plane.kubeconfig, tmp_path, *FLAGS) as operator:
        operator.wait_ready()
        create(own_cluster, namespace, "iris", server)
        wait_for(own_cluster, namespace, "iris", "True")
        (crd,) = crds("inferenceservices")
        own_cluster.delete(crd)
        wait_until(lambda: is_probed(operator, 0), 60, "with its kind it is gone")
        assert operator.running
        own_cluster.apply(crd)
        create(own_cluster, namespace, "iris", server)
        wait_for(own_cluster, namespace, "iris", "True", timeout=60)
        assert operator.get("/livez") == "200 ok\n"
    own_cluster.delete_namespace(namespace)
