"""What a pod has not, and a developer's shell has: a name for the uid, a home, an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.account import ACCOUNT, install_account
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer
from tests.integration.watching.operating import QUICK, OperatorProcess, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane

NOBODY = ("unshare", "--user", "--map-user=65532", "--map-group=65532", "env", "-i", sys.executable)
"""Runs Python as a uid that has no line in /etc/passwd, with an empty environment."""


POD = """
mount -t tmpfs tmpfs /run
credentials=/run/secrets/kubernetes.io/serviceaccount
mkdir -p $credentials /run/root
cp "$1" $credentials/token
cp "$2" $credentials/ca.crt
shift 2
mount --rbind / /run/root
mount -o remount,bind,ro /run/root
cd /run/root
pivot_root . .
umount -l .
exec "$@"
"""
"""Runs a command with a token and an authority where the kubelet puts them, on a root that can't be written to."""


@pytest.fixture
def nobody() -> tuple[str, ...]:
    tried = subprocess.run([*NOBODY, "-c", "import getpass; getpass.getuser()"], capture_output=True, text=True, check=False)  # noqa: S603
    if "uid not found" not in tried.stderr:
        pytest.skip(f"needs unshare and user namespaces: {tried.stderr.strip() or 'the uid has a name'}")
    return NOBODY


def test_the_watch_works_for_a_uid_without_a_name_home_or_environment(
    control_plane: ControlPlane, account: Path, cluster: Cluster, namespace: str, tmp_path: Path, nobody: tuple[str, ...]
) -> None:
    began = datetime.now(UTC)
    flags = ("--namespace", namespace, *QUICK, "--resync", "600")
    with RawServer(READY) as server, OperatorProcess(account, tmp_path, *flags, python=nobody) as operator:
        operator.wait_ready()

        def watches() -> list[str]:
            asked = [entry for entry in control_plane.audit(began) if entry.verb == "watch" and entry.user == ACCOUNT]
            return [entry.resource for entry in asked if "timeoutSeconds=1&" not in f"{entry.request_uri}&" and entry.code == 200]

        kinds = {"inferenceservices", "servingruntimes", "clusterservingruntimes"}
        wait_until(lambda: kinds <= set(watches()), 20, "all kinds are watched, by the audit log")
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        wait_for(cluster, namespace, "iris", "True")
        server.answer = NOT_READY
        wait_for(cluster, namespace, "iris", "False")
        assert operator.said("watch_restarts") == []
        assert "[+]watch: each kind that could be listed has a live watch" in operator.get("/livez?verbose")


def test_it_finds_the_cluster_by_the_pods_own_credentials_on_a_read_only_root(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, tmp_path: Path, nobody: tuple[str, ...]
) -> None:
    token = tmp_path / "token"
    token.write_text(install_account(cluster))
    address = control_plane.url.removeprefix("https://").split(":")
    environment = ("env", "-i", f"KUBERNETES_SERVICE_HOST={address[0]}", f"KUBERNETES_SERVICE_PORT={address[1]}")
    pod = ("unshare", "-rm", "sh", "-euc", POD, "sh", str(token), str(control_plane.authority), *nobody[:-3], *environment, sys.executable)
    tried = subprocess.run([*pod, "-c", "open('/written', 'w')"], capture_output=True, text=True, check=False)  # noqa: S603
    if "Read-only file system" not in tried.stderr:
        pytest.skip(f"needs a mount namespace: {tried.stderr.strip()}")
    with RawServer(READY) as server, OperatorProcess(None, tmp_path, "--namespace", namespace, *QUICK, python=pod) as operator:
        operator.wait_ready()
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        wait_for(cluster, namespace, "iris", "True")
        assert operator.said("watch_restarts") == []


@pytest.mark.parametrize("arguments", [("run",), ("explain", "models/iris"), ("explain", "-f", "/nowhere.yaml")])
def test_each_command_says_what_it_lacks_and_raises_no_traceback(nobody: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    tried = subprocess.run(  # noqa: S603
        [*nobody, "-m", "isvcwatch", *arguments], capture_output=True, text=True, check=False, cwd=os.sep, timeout=60
    )
    assert tried.returncode == 2
    assert tried.stderr.startswith("isvcwatch: ")
    assert "Traceback" not in tried.stderr
