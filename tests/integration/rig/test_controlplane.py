from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from rig import kserve_status
from rig.cluster import ApiError, Cluster
from rig.controlplane import ControlPlane
from rig.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def own(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:  # noqa: ARG001
    """One that may be hurt; `control_plane` decides whether one can be had."""
    with ControlPlane.start(tmp_path_factory.mktemp("own")) as started:
        yield started


def test_a_stranger_may_do_nothing(control_plane: ControlPlane, cluster: Cluster, namespace: str) -> None:
    cluster.create_isvc(kserve_status.isvc("iris", namespace))
    stranger = control_plane.users["stranger"]
    with Cluster(control_plane.kubeconfig_for(stranger)) as view, pytest.raises(ApiError, match="Forbidden") as refused:
        view.get_isvc(namespace, "iris")
    assert refused.value.code == 403
    assert refused.value.reason == "Forbidden"


def test_a_service_account_may_do_what_is_bound_to_it_and_no_more(control_plane: ControlPlane, cluster: Cluster, namespace: str) -> None:
    meta = {"name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    rule = {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["list"]}
    subject = {"kind": "ServiceAccount", **meta}
    rbac = "rbac.authorization.k8s.io/v1"
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": rbac, "kind": "Role", "metadata": meta, "rules": [rule]},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": meta, "roleRef": role, "subjects": [subject]},
    )
    token = cluster.create_token(namespace, "reader")
    with Cluster(control_plane.kubeconfig_for(token)) as view:
        assert view.list_isvcs(namespace) == []
        with pytest.raises(ApiError, match="Forbidden"):
            view.create_isvc(kserve_status.isvc("iris", namespace))


def test_the_audit_log_has_each_request_once_with_who_and_what(control_plane: ControlPlane, cluster: Cluster, namespace: str) -> None:
    since = datetime.now(UTC)
    cluster.create_isvc(kserve_status.isvc("iris", namespace), kserve_status.ready("iris", namespace))
    seen = [entry for entry in control_plane.audit(since=since, user="admin") if entry.resource]
    assert [(e.verb, e.resource, e.subresource, e.namespace, e.name, e.code) for e in seen] == [
        ("create", "inferenceservices", "", namespace, "iris", 201),
        ("get", "inferenceservices", "", namespace, "iris", 200),
        ("update", "inferenceservices", "status", namespace, "iris", 200),
    ]
    assert [entry.is_write for entry in seen] == [True, False, True]
    assert all(entry.user_agent.startswith("python-httpx") for entry in seen)
    assert control_plane.audit(since=since + timedelta(hours=1)) == []


def test_the_audit_log_shows_a_watch_that_is_still_open(control_plane: ControlPlane, cluster: Cluster, namespace: str) -> None:
    since = datetime.now(UTC)
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices?watch=true"
    with cluster.stream("GET", path):
        wait_until(lambda: bool(control_plane.audit(since=since)), 5, "the watch is logged")
        assert [entry.verb for entry in control_plane.audit(since=since)] == ["watch"]


def test_it_comes_back_with_the_same_data_and_address_after_a_power_cut(own: ControlPlane) -> None:
    with Cluster(own.kubeconfig) as cluster:
        namespace = cluster.create_namespace()
    own.kill()
    with Cluster(own.kubeconfig) as cluster, pytest.raises(httpx.ConnectError):
        cluster.request("GET", "/version")
    own.restart()
    with Cluster(own.kubeconfig) as cluster:
        assert cluster.request("GET", f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace


def test_paused_it_keeps_connections_and_answers_nothing_until_resumed(own: ControlPlane) -> None:
    own.pause()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(own.url.replace("https", "http"), timeout=0.3)
    own.resume()
    with Cluster(own.kubeconfig) as cluster:
        assert cluster.request("GET", "/version")["major"]


def test_a_start_that_fails_says_what_the_server_said(control_plane: ControlPlane) -> None:  # noqa: ARG001
    with pytest.raises(Exception, match="unknown flag: --no-such-flag"):
        ControlPlane.start(flags=["--no-such-flag"])


def test_it_dies_with_a_test_run_that_is_killed(control_plane: ControlPlane, tmp_path: Path) -> None:  # noqa: ARG001
    script = (
        "import sys, pathlib, time\n"
        "from rig.controlplane import ControlPlane\n"
        "print(ControlPlane.start(pathlib.Path(sys.argv[1])).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    run = subprocess.Popen(  # noqa: S603 (our own Python)
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout
        pid = int(run.stdout.readline())
        assert _alive(pid)
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not _alive(pid), 5, "the control plane died too")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
