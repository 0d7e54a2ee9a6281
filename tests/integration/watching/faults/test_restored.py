"""An API server that is restored from a backup: what was since has never been, and the versions of objects go back."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.account import install_account
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer
from tests.integration.watching.faults.services import RESYNC, create, held, remove
from tests.integration.watching.operating import QUICK, OperatorProcess, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane

pytestmark = pytest.mark.real

CAUGHT_UP = 60.0
"""Seconds: three lists in a row must be older than what is known, each after a pause of up to 15."""


@pytest.mark.parametrize("busy", [False, True], ids=["its versions go back", "its versions have caught up before the next list"])
def test_what_the_backup_has_is_what_is_watched(own_control_plane: ControlPlane, own_cluster: Cluster, tmp_path: Path, busy: bool) -> None:
    account = own_control_plane.kubeconfig_for(install_account(own_cluster))
    namespace = own_cluster.create_namespace()
    etcd, backup = own_control_plane.directory / "etcd", tmp_path / "backup"
    with RawServer(READY) as well, RawServer(NOT_READY) as ill:
        for name in ("stays", "moves", "goes"):
            create(own_cluster, namespace, name, well)
        flags = ("--namespace", namespace, *QUICK, "--resync", f"{RESYNC:g}")
        with OperatorProcess(account, tmp_path, *flags) as operator:
            operator.wait_ready()
            for name in ("stays", "moves", "goes"):
                wait_for(own_cluster, namespace, name, "True")

            own_control_plane.kill()
            shutil.copytree(etcd, backup)
            own_control_plane.restart()
            own_cluster.write_status(namespace, "moves", kserve.ready("moves", namespace, ill.base_url))
            remove(own_cluster, namespace, "goes")
            create(own_cluster, namespace, "comes", well)
            wait_for(own_cluster, namespace, "moves", "False", timeout=60)
            wait_for(own_cluster, namespace, "comes", "True", timeout=30)

            own_control_plane.kill()
            shutil.rmtree(etcd)
            shutil.copytree(backup, etcd)
            own_control_plane.restart()
            if busy:
                for number in range(200):
                    own_cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": f"busy-{number}"}})
            restored = dict.fromkeys(("stays", "moves", "goes"), True)
            wait_until(lambda: held(operator) == restored, CAUGHT_UP, "it watches what the backup has, where the backup has it")
            wait_until(
                lambda: 'isvcwatch_model_ready{name="moves"' in operator.get("/metrics"), CAUGHT_UP, "the one that had moved is known"
            )
            well.answer = NOT_READY
            for name in ("stays", "moves", "goes"):
                wait_for(own_cluster, namespace, name, "False", timeout=CAUGHT_UP)
            assert operator.running
            assert operator.get("/livez") == "200 ok\n"
    own_cluster.delete_namespace(namespace)
