"""While a service is rolled out, its old pods serve: neither a failed roll-out nor a restart of the operator turns its verdict."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.process import wait_until
from tests.integration.watching.answers import READY, RawServer, answer
from tests.integration.watching.operating import OperatorProcess, event_reasons, verdict, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.cluster import Cluster
    from rig.kserve_status import Manifest

pytestmark = pytest.mark.real


def knows(*names: str) -> Callable[[bytes], bytes]:
    """KServe's ModelServer with these models."""

    def says(request: bytes) -> bytes:
        known = any(f"/models/{name}/".encode() in request or f"/models/{name} ".encode() in request for name in names)
        return READY(request) if known else answer(404, b'{"error":"Model with name new does not exist."}')

    return says


def rolling(name: str, namespace: str, url: str) -> Manifest:
    """A roll-out is under way, and the pods of before it are available."""
    status = kserve.ready(name, namespace, url)
    for condition in status["conditions"]:
        if condition["type"] == "PredictorReady":
            condition["reason"] = "MinimumReplicasAvailable"
    return status


def test_a_failed_roll_out_is_the_reason_of_a_true_and_no_event(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        start_operator()
        since = wait_for(cluster, namespace, "iris", "True")["lastTransitionTime"]
        cluster.write_status(namespace, "iris", kserve.failed_rollout("iris", namespace, server.base_url))
        wait_until(lambda: verdict(cluster, namespace, "iris") == ("True", "RolloutFailed"), 10, "it says that the roll-out has failed")
        assert wait_for(cluster, namespace, "iris", "True")["lastTransitionTime"] == since
        cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, server.base_url))
        wait_until(lambda: verdict(cluster, namespace, "iris") == ("True", "ModelReady"), 10, "it is as before")
        assert event_reasons(cluster, namespace) == []


def test_a_restart_in_the_midst_of_a_roll_out_turns_nothing(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(knows("old")) as server:
        spec = kserve.model_spec(args=["--model_name=old"])
        cluster.create_isvc(kserve.isvc("iris", namespace, spec), kserve.ready("iris", namespace, server.base_url))
        first = start_operator()
        wait_for(cluster, namespace, "iris", "True")
        first.stop()
        cluster.patch_isvc(namespace, "iris", {"spec": kserve.model_spec(args=["--model_name=new"])})
        cluster.write_status(namespace, "iris", rolling("iris", namespace, server.base_url))
        second = start_operator()
        wait_until(lambda: any(b"/models/new" in asked for asked in server.requests), 15, "it asks by the new name")
        time.sleep(4)
        assert verdict(cluster, namespace, "iris")[0] == "True"
        server.answer = knows("new")
        cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, server.base_url))
        time.sleep(2)
        server.answer = knows()
        wait_for(cluster, namespace, "iris", "False")
        assert len(second.said("transition", condition="ModelReady", after="False")) == 1
        assert event_reasons(cluster, namespace) == ["ModelUnready"]
