"""What KServe's controller does that could be read wrongly, with statuses as it writes them."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from rig import dns
from rig import kserve_status as kserve
from rig.faultproxy import FaultProxy, status_writes
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer, answer
from tests.integration.watching.operating import QUICK, OperatorProcess, event_reasons, our_conditions, verdict, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rig.cluster import Cluster

pytestmark = pytest.mark.real

UNKNOWN = answer(404, b'{"error":"Model with name iris does not exist."}')
STANDARD = {kserve.MODE: "Standard"}


def only(model: str) -> Callable[[bytes], bytes]:
    """A server of KServe's that has one model."""
    return lambda request: READY(request) if f"/models/{model}".encode() in request.split(b"\r\n")[0] else UNKNOWN


def named(model: str) -> kserve.Manifest:
    return kserve.model_spec(args=[f"--model_name={model}"])


def test_what_was_said_of_a_service_that_comes_to_have_no_pods_is_taken_back_once(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        operator = start_operator()
        wait_for(cluster, namespace, "iris", "True")
        annotations = {"serving.kserve.io/autoscalerClass": "none"}
        cluster.patch_isvc(namespace, "iris", {"metadata": {"annotations": annotations}, "spec": {"predictor": {"minReplicas": 0}}})
        wait_until(lambda: our_conditions(cluster, namespace, "iris") == {}, 10, "our conditions are gone")
        version = cluster.get_isvc(namespace, "iris")["metadata"]["resourceVersion"]
        time.sleep(3)
        assert cluster.get_isvc(namespace, "iris")["metadata"]["resourceVersion"] == version
        assert "Ready" in cluster.conditions(namespace, "iris")
        assert event_reasons(cluster, namespace) == []
        assert 'isvcwatch_model_ready{name="iris"' not in operator.get("/metrics")


def test_a_stop_that_kserve_was_told_to_ignore_is_none(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        start_operator()
        wait_for(cluster, namespace, "iris", "True")
        annotations = {kserve.STOP: "true", "serving.kserve.io/disable-auto-update": "true"}
        cluster.patch_isvc(namespace, "iris", {"metadata": {"annotations": annotations}})
        time.sleep(1)
        server.answer = NOT_READY
        wait_for(cluster, namespace, "iris", "False")


def test_a_canary_that_gets_traffic_is_a_hop_of_its_own_and_named(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server:
        manifest = kserve.isvc("can", namespace)
        model = {**kserve.model_spec()["predictor"]["model"], "name": ""}  # as KServe's webhook leaves it
        manifest["spec"]["canary"] = [{"trafficPercent": 50, "predictor": {"model": model, "name": "v2"}}]
        status = kserve.ready("can", namespace, server.base_url)
        status["canaryStatuses"] = [{"modelStatus": {"transitionStatus": ""}, "name": "v2", "ready": True, "trafficPercent": 50}]
        status["conditions"].append(kserve.condition("CanaryPredictorReady", "True", "AllCanariesReady", severity="Info"))
        cluster.create_isvc(manifest, status)
        start_operator()
        wait_until(lambda: verdict(cluster, namespace, "can")[0] in {"False", "Unknown"}, 20, "a verdict that is not True")
        message = our_conditions(cluster, namespace, "can")["ModelReady"]["message"]
        assert "canary v2" in message
        assert f"can-v2-predictor.{namespace}.svc" in message


class TestRollOut:
    """The model's name changes with the spec, while the pod of before serves under the old one."""

    @pytest.fixture
    def roll(self, cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]) -> Any:  # noqa: ANN401 -- a function
        """Has `old` served, then changes the name to `new`, as KServe does while the new pod starts."""

        def begin(server: RawServer) -> OperatorProcess:
            cluster.create_isvc(kserve.isvc("iris", namespace, named("old")), kserve.ready("iris", namespace, server.base_url))
            operator = start_operator()
            wait_for(cluster, namespace, "iris", "True")
            status = kserve.ready("iris", namespace, server.base_url, observed_generation=2)
            rolling = ("MinimumReplicasAvailable", "Deployment has minimum availability.")
            status["conditions"] = [
                kserve.condition("PredictorReady", "True", *rolling) if c["type"] == "PredictorReady" else c for c in status["conditions"]
            ]
            cluster.patch_isvc(namespace, "iris", {"spec": named("new")})
            cluster.write_status(namespace, "iris", status)
            wait_until(lambda: any(b"/models/new" in asked for asked in server.requests), 10, "the new name is asked")
            return operator

        return begin

    def test_no_model_is_accused_until_the_new_pod_serves(
        self, cluster: Cluster, namespace: str, roll: Callable[[RawServer], OperatorProcess]
    ) -> None:
        with RawServer(only("old")) as server:
            operator = roll(server)
            time.sleep(5)
            assert verdict(cluster, namespace, "iris")[0] == "True"
            server.answer = only("new")
            cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, server.base_url, observed_generation=2))
            time.sleep(3)
            server.requests.clear()
            time.sleep(2)
            assert not any(b"/models/old" in asked for asked in server.requests)
            assert verdict(cluster, namespace, "iris")[0] == "True"
            assert operator.said("transition", condition="ModelReady", after="False") == []
            assert event_reasons(cluster, namespace) == []

    def test_where_neither_name_answers_the_new_one_is_told_of(
        self, cluster: Cluster, namespace: str, roll: Callable[[RawServer], OperatorProcess]
    ) -> None:
        with RawServer(only("old")) as server:
            roll(server)
            server.answer = NOT_READY
            wait_for(cluster, namespace, "iris", "False")
            wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 5, "the Event")


def test_a_service_that_takes_long_to_start_is_not_accused_and_has_nothing_to_recover_from(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(NOT_READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.unavailable("iris", namespace, server.base_url))
        start_operator()
        wait_for(cluster, namespace, "iris", "Unknown")
        said = our_conditions(cluster, namespace, "iris")
        assert said["ModelReady"]["reason"] == "Starting"
        wait_until(lambda: len(server.requests) > 12, 20, "it has been asked more often than the threshold")
        assert our_conditions(cluster, namespace, "iris")["ModelReady"] == said["ModelReady"]
        server.answer = READY
        cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, server.base_url))
        wait_for(cluster, namespace, "iris", "True")
        time.sleep(1)
        assert event_reasons(cluster, namespace) == []


def test_a_fleet_that_turns_at_once_is_written_within_a_budget(account: Path, cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    names = [f"m-{number}" for number in range(200)]
    flags = ("--namespace", namespace, "--period", "1", "--timeout", "1", "--failure-threshold", "2", "--write-burst", "20")
    with FaultProxy(account) as proxy, RawServer(READY) as server:
        for name in names:
            cluster.create_isvc(kserve.isvc(name, namespace), kserve.ready(name, namespace, server.base_url))
        with OperatorProcess(proxy.kubeconfig(tmp_path / "config"), tmp_path, *flags) as operator:
            operator.wait_ready()
            for name in names:
                wait_for(cluster, namespace, name, "True", timeout=60)
            written = proxy.rule(status_writes)
            server.answer = NOT_READY
            wait_until(lambda: written.seen > 0, 15, "it writes")
            time.sleep(3)
            assert written.seen <= 20 + 3 * 20 + 20
            for name in names:
                wait_for(cluster, namespace, name, "False", timeout=60)


@pytest.mark.skipif(not dns.can_be_used(), reason="needs a mount namespace of its own, by util-linux's unshare")
def test_where_the_clusters_dns_is_silent_no_model_is_accused(account: Path, cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    for name in ("iris", "fraud"):
        cluster.create_isvc(kserve.isvc(name, namespace), kserve.ready(name, namespace))
    with (
        dns.NameServer(dns.Mood.SILENT) as silent,
        OperatorProcess(account, tmp_path, "--namespace", namespace, *QUICK, python=silent.python(tmp_path)) as operator,
    ):
        operator.wait_ready()
        for name in ("iris", "fraud"):
            assert wait_for(cluster, namespace, name, "Unknown", timeout=30)["reason"] == "ResolverFailed"
        assert operator.said("transition", after="False") == []


def test_explain_says_by_the_operators_own_account_what_the_operator_does(account: Path, cluster: Cluster, namespace: str) -> None:
    cluster.apply(kserve.serving_runtime("own", namespace, "--model_name=another"))
    status = kserve.ready("iris", namespace, "http://127.0.0.1:1") | {"servingRuntimeName": "own", "clusterServingRuntimeName": ""}
    cluster.create_isvc(kserve.isvc("iris", namespace, kserve.model_spec(runtime="own")), status)
    command = [sys.executable, "-m", "isvcwatch", "explain", f"{namespace}/iris", "--kubeconfig", str(account)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stderr
    rows = {
        row[0]: row[1] for line in done.stdout.splitlines() if len(row := [cell.strip() for cell in line.split("  ") if cell.strip()]) > 1
    }
    assert rows["predictor protocol"] == "v2"
    assert rows["predictor model name"] == "another"
