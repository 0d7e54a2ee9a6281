"""Whatever servers, objects, roles and clusters come up with: a clear message or Unknown, never a crash, and the others go on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.account import install_account
from rig.cluster import ApiError, Cluster
from rig.controlplane import ControlPlane
from rig.process import wait_until
from tests.integration.watching.answers import READY, RawServer, answer
from tests.integration.watching.operating import QUICK, OperatorProcess, event_reasons, our_conditions, verdict, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.real

ANSWERS = {
    "empty": (b"", "False", "ConnectionLost"),
    "binary": (bytes(range(256)) * 4, "Unknown", "InvalidAnswer"),
    "ten-megabytes": (answer(200, b" " * 10_000_000), "Unknown", "InvalidAnswer"),
    "half": (answer(200, b'{"name":"m","ready":true}')[:-10], "False", "ConnectionLost"),
    "html": (answer(200, b"<html>welcome</html>", "text/html"), "Unknown", "UnknownServer"),
    "wrong-type": (answer(200, b"\x00\x01\x02", "image/png"), "Unknown", "UnknownServer"),
    "login": (answer(401, b"who are you?"), "Unknown", "Unauthorized"),
    "forbidden": (answer(403), "Unknown", "Forbidden"),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "Unknown", "Redirected"),
    "broken": (answer(500, b"oops"), "False", "ServerError"),
}


def test_any_answer_of_a_server_is_named_and_disturbs_no_other(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    servers = {name: RawServer(raw) for name, (raw, _, _) in ANSWERS.items()}
    servers["well"] = RawServer(READY)
    for name, server in servers.items():
        server.__enter__()
        cluster.create_isvc(kserve.isvc(name, namespace), kserve.ready(name, namespace, server.base_url))
    try:
        operator = start_operator()
        wait_for(cluster, namespace, "well", "True")
        for name, (_, status, reason) in ANSWERS.items():
            wait_for(cluster, namespace, name, status)
            assert verdict(cluster, namespace, name) == (status, reason), name
            message = our_conditions(cluster, namespace, name)["ModelReady"]["message"]
            assert message, name
            assert len(message) <= 512, name
        assert operator.running
        assert operator.said("probe_crashed") == []
    finally:
        for server in servers.values():
            server.__exit__()


def test_a_wrong_annotation_is_unknown_and_says_what_to_write(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server:
        isvc = kserve.isvc("iris", namespace, annotations={"isvcwatch.dev/period-seconds": "often"})
        cluster.create_isvc(isvc, kserve.ready("iris", namespace, server.base_url))
        start_operator()
        condition = wait_for(cluster, namespace, "iris", "Unknown")
        assert condition["reason"] == "InvalidAnnotation"
        assert "isvcwatch.dev/period-seconds" in condition["message"]
        assert "write a number of seconds" in condition["message"]
        assert server.requests == []
        cluster.patch_isvc(namespace, "iris", {"metadata": {"annotations": {"isvcwatch.dev/period-seconds": "1"}}})
        wait_for(cluster, namespace, "iris", "True")
        wait_until(lambda: event_reasons(cluster, namespace) == ["ModelRecovered", "ModelUnknown"], 5, "both Events")


def test_an_address_that_no_model_can_have_is_refused_and_never_asked(
    account: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with RawServer(READY) as server, OperatorProcess(account, tmp_path, "--namespace", namespace, *QUICK, loopback=False) as operator:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        cluster.create_isvc(kserve.isvc("cloud", namespace), kserve.ready("cloud", namespace, "http://169.254.169.254"))
        operator.wait_ready()
        for name in ("iris", "cloud"):
            condition = wait_for(cluster, namespace, name, "Unknown")
            assert condition["reason"] == "TargetRefused"
            assert "--allow-cidr" in condition["message"]
        assert server.requests == []


def test_malformed_services_disturb_no_other(cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]) -> None:
    operator = start_operator()
    longest = "a" * 63
    taken = []
    with RawServer(READY) as server:
        for number, shape in enumerate(kserve.WRONG_SHAPES.values()):
            name = f"wrong-{number}"
            created = cluster.create_isvc(kserve.isvc(name, namespace))
            try:
                cluster.put_status({**created, "status": shape})
            except ApiError:
                continue  # the CRD refuses it: it can't come to us
            taken.append(name)
        for name in ("no-predictor", "no-spec"):
            isvc = kserve.isvc(name, namespace)
            if name == "no-spec":
                del isvc["spec"]
            else:
                isvc["spec"] = {}
            try:
                cluster.create_isvc(isvc)
            except ApiError:
                continue
            taken.append(name)
        assert taken
        cluster.create_isvc(kserve.isvc(longest, namespace), kserve.ready(longest, namespace, server.base_url))
        wait_for(cluster, namespace, longest, "True")
    assert operator.running
    assert operator.said("object_failed") == []
    assert operator.get("/livez") == "200 ok\n"


@pytest.fixture
def own_control_plane() -> Iterator[ControlPlane]:
    """A control plane that may be broken."""
    with ControlPlane.start() as control_plane:
        yield control_plane


def test_without_the_crd_it_waits_and_starts_when_it_comes(own_control_plane: ControlPlane, tmp_path: Path) -> None:
    with (
        Cluster(own_control_plane.kubeconfig) as cluster,
        RawServer(READY) as server,
        OperatorProcess(own_control_plane.kubeconfig, tmp_path, *QUICK) as operator,
    ):
        wait_until(lambda: "is not served" in operator.get("/readyz"), 20, "it says what it waits for")
        assert operator.get("/livez") == "200 ok\n"
        cluster.apply_crds()
        namespace = cluster.create_namespace()
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        operator.wait_ready()
        wait_for(cluster, namespace, "iris", "True")
        assert len(operator.said("waiting")) <= 3


def test_a_missing_right_is_named_with_its_rule_and_taken_up_when_granted(own_control_plane: ControlPlane, tmp_path: Path) -> None:
    with Cluster(own_control_plane.kubeconfig) as cluster, RawServer(READY) as server:
        cluster.apply_crds()
        account = own_control_plane.kubeconfig_for(install_account(cluster))
        role = cluster.get({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "isvcwatch"}})

        def grant(*lacking: str) -> None:
            rules = [
                {**rule, "verbs": [v for v in rule["verbs"] if f"{v} {rule['resources'][0]}" not in lacking]} for rule in role["rules"]
            ]
            body = {"apiVersion": role["apiVersion"], "kind": "ClusterRole", "metadata": {"name": "isvcwatch"}}
            cluster.apply({**body, "rules": [rule for rule in rules if rule["verbs"]]})

        namespace = cluster.create_namespace()
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        grant("watch inferenceservices", "patch inferenceservices/status")
        with OperatorProcess(account, tmp_path, *QUICK) as operator:
            rule = 'add the RBAC rule {apiGroups: ["serving.kserve.io"], resources: ["inferenceservices"], verbs: ["watch"]}'
            wait_until(lambda: rule in operator.get("/readyz"), 20, "it names the missing rule")
            grant("patch inferenceservices/status")
            operator.wait_ready()
            rule = 'add the RBAC rule {apiGroups: ["serving.kserve.io"], resources: ["inferenceservices/status"], verbs: ["patch"]}'
            wait_until(lambda: any(rule in line["why"] for line in operator.said("status_not_written")), 20, "it names that one too")
            grant()
            wait_for(cluster, namespace, "iris", "True", timeout=30)


def test_an_api_server_that_goes_away_and_comes_back_is_waited_for(own_control_plane: ControlPlane, tmp_path: Path) -> None:
    with Cluster(own_control_plane.kubeconfig) as cluster, RawServer(READY) as server:
        cluster.apply_crds()
        namespace = cluster.create_namespace()
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        with OperatorProcess(own_control_plane.kubeconfig, tmp_path, *QUICK) as operator:
            operator.wait_ready()
            wait_for(cluster, namespace, "iris", "True")
            own_control_plane.kill()
            server.answer = answer(503, b'{"error":"not ready"}')
            wait_until(lambda: bool(operator.said("status_not_written", result="unavailable")), 20, "it says that it can't write")
            assert operator.running
            own_control_plane.restart()
            wait_for(cluster, namespace, "iris", "False", timeout=30)
            wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 30, "the Event")


def test_an_unreachable_api_server_at_start_is_waited_for(own_control_plane: ControlPlane, tmp_path: Path) -> None:
    own_control_plane.kill()
    with OperatorProcess(own_control_plane.kubeconfig, tmp_path, *QUICK) as operator:
        wait_until(lambda: "can't be reached" in operator.get("/readyz"), 20, "it says so")
        own_control_plane.restart()
        with Cluster(own_control_plane.kubeconfig) as cluster:
            cluster.apply_crds()
        operator.wait_ready()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no kubeconfig at"),
        ("a: [", "can't be read"),
        ("a: b", "is not a kubeconfig"),
        ("apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\ncurrent-context: x\n", "can't be used"),
    ],
)
def test_a_wrong_kubeconfig_ends_it_with_one_line(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    command = [sys.executable, "-m", "isvcwatch", "run", "--kubeconfig", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
