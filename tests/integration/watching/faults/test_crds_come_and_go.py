"""Kinds that come late, go, and come anew: each heals by itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.cluster import CRDS, documents
from rig.process import wait_until
from tests.integration.watching.answers import READY, RawServer
from tests.integration.watching.faults.services import RESYNC, create, is_probed, remove
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


def watched(control_plane: ControlPlane, since: datetime) -> list[str]:
    """The kinds of which the API server began to serve a watch since then, by its audit log."""
    # Rights are tried by watches of a second.
    asked = [entry for entry in control_plane.audit(since) if entry.verb == "watch" and entry.code == 200]
    return [entry.resource for entry in asked if "timeoutSeconds=1&" not in f"{entry.request_uri}&"]


def test_after_its_kind_was_away_for_long_a_service_is_watched_again(
    own_control_plane: ControlPlane, own_cluster: Cluster, tmp_path: Path
) -> None:
    namespace = own_cluster.create_namespace()
    flags = (*QUICK, "--resync", "600")  # so that only the watch can tell
    with RawServer(READY) as server, OperatorProcess(own_control_plane.kubeconfig, tmp_path, *flags) as operator:
        operator.wait_ready()
        create(own_cluster, namespace, "iris", server)
        wait_for(own_cluster, namespace, "iris", "True")
        (crd,) = crds("inferenceservices")
        own_cluster.delete(crd)
        wait_until(lambda: is_probed(operator, 0), 20, "with its kind it is gone")
        wait_until(lambda: "[!]watch: no live watch of inferenceservices" in operator.get("/livez?verbose"), 50, "it says that it is deaf")
        assert operator.get("/livez") == "200 ok\n"
        assert "isvcwatch_operator_health_status 1.0" in operator.get("/metrics")
        began = datetime.now(UTC)
        own_cluster.apply(crd)
        wait_until(lambda: "inferenceservices" in watched(own_control_plane, began), 20, "it is watched again, by the audit log")
        create(own_cluster, namespace, "iris", server)
        wait_for(own_cluster, namespace, "iris", "True", timeout=5)
        remove(own_cluster, namespace, "iris")
        wait_until(lambda: is_probed(operator, 0), 5, "the watch tells of its deletion")
        wait_until(lambda: "[+]watch:" in operator.get("/livez?verbose"), 40, "all is well again")
        operator.terminate(10)
        assert operator.said("ended")
    own_cluster.delete_namespace(namespace)


def test_a_kind_that_is_upgraded_is_watched_on(own_control_plane: ControlPlane, own_cluster: Cluster, tmp_path: Path) -> None:
    namespace = own_cluster.create_namespace()
    with RawServer(READY) as server, OperatorProcess(own_control_plane.kubeconfig, tmp_path, *QUICK, "--resync", "600") as operator:
        operator.wait_ready()
        (crd,) = crds("inferenceservices")
        crd["spec"]["names"]["shortNames"] = ["isvc", "isvcs"]
        crd["spec"]["versions"][0]["additionalPrinterColumns"] = []
        own_cluster.apply(crd)
        create(own_cluster, namespace, "iris", server)
        wait_for(own_cluster, namespace, "iris", "True")
        remove(own_cluster, namespace, "iris")
        wait_until(lambda: is_probed(operator, 0), 5, "the watch tells of its deletion")
        assert "[+]watch:" in operator.get("/livez?verbose")
    own_cluster.delete_namespace(namespace)


def test_it_ends_in_order_after_its_kind_has_gone(own_control_plane: ControlPlane, own_cluster: Cluster, tmp_path: Path) -> None:
    with OperatorProcess(own_control_plane.kubeconfig, tmp_path, *FLAGS) as operator:
        operator.wait_ready()
        (crd,) = crds("inferenceservices")
        own_cluster.delete(crd)
        wait_until(lambda: bool(operator.said("watch_restarts")), 20, "the watch ends with its kind")
        operator.terminate(15)
        assert operator.said("ended")
        assert operator.said("kopf_does_not_end") == []
    own_cluster.apply(crd)
