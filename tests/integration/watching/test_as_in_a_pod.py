"""What a pod has not, and a developer's shell has: a name for the uid, a home, an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.account import ACCOUNT
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer
from tests.integration.watching.operating import QUICK, OperatorProcess, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane

NOBODY = ("unshare", "--user", "--map-user=65532", "--map-group=65532", "env", "-i", sys.executable)
"""Runs Python as a uid that has no line in /etc/passwd, with an empty environment."""


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


@pytest.mark.parametrize("arguments", [("run",), ("explain", "models/iris"), ("explain", "-f", "/nowhere.yaml")])
def test_each_command_says_what_it_lacks_and_raises_no_traceback(nobody: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    tried = subprocess.run(  # noqa: S603
        [*nobody, "-m", "isvcwatch", *arguments], capture_output=True, text=True, check=False, cwd=os.sep, timeout=60
    )
    assert tried.returncode == 2
    assert tried.stderr.startswith("isvcwatch: ")
    assert "Traceback" not in tried.stderr
