"""What Kubernetes says about a Service's endpoints is evidence, whatever the way to the model is like."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from rig import dns
from rig import kserve_status as kserve
from rig.account import ACCOUNT
from rig.endpoints import endpoint_slice
from rig.process import wait_until
from tests.integration.watching.answers import READY, RawServer, dropping
from tests.integration.watching.operating import OperatorProcess, event_reasons, our_conditions, verdict, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not dns.can_be_used(), reason="needs a mount namespace of its own, by util-linux's unshare"),
]

SOON = 2.0
"""Seconds within which endpoints that go or come are told, at the default period of ten."""

KEDA = {"serving.kserve.io/autoscalerClass": "keda"}


class Served:
    """A model behind a Service of the cluster's DNS, watched by an operator with the default pace."""

    def __init__(self, cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.operator = operator

    def has(self, *ready: bool, ending: bool = False, name: str = "iris") -> float:
        """Write the endpoints, and say when."""
        self.cluster.apply(endpoint_slice(name, self.namespace, *ready, ending=ending))
        return time.monotonic()

    def create(self, port: int, name: str = "iris", annotations: dict[str, str] | None = None) -> None:
        url = f"http://{name}-predictor.{self.namespace}.svc.cluster.local:{port}"
        isvc = kserve.isvc(name, self.namespace, annotations=annotations or {})
        self.cluster.create_isvc(isvc, kserve.ready(name, self.namespace, url))

    def becomes(self, status: str, reason: str, since: float, within: float = SOON) -> None:
        """Check that the verdict is this within so many seconds of a moment."""
        wait_until(lambda: verdict(self.cluster, self.namespace, "iris") == (status, reason), 15, f"{status}, {reason}")
        assert time.monotonic() - since < within


@pytest.fixture
def served(account: Path, cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        resolver = stack.enter_context(dns.NameServer())
        operator = OperatorProcess(account, tmp_path, "--namespace", namespace, python=resolver.python(tmp_path))
        yield Served(cluster, namespace, stack.enter_context(operator).wait_ready())


def test_a_service_that_loses_its_endpoints_is_told_at_once_and_so_is_its_return(served: Served) -> None:
    served.has(True, True)
    with RawServer(READY) as server:
        port = int(server.base_url.rpartition(":")[2])
        served.create(port)
        wait_for(served.cluster, served.namespace, "iris", "True")
    served.becomes("False", "NoEndpoints", served.has())
    assert "selector finds no pod" in our_conditions(served.cluster, served.namespace, "iris")["ModelReady"]["message"]
    served.has(False)
    wait_until(lambda: verdict(served.cluster, served.namespace, "iris")[1] == "NoneReady", 15, "pods that are not ready")
    with RawServer(READY, port):
        served.becomes("True", "ModelReady", served.has(True))
    wait_until(lambda: event_reasons(served.cluster, served.namespace) == ["ModelRecovered", "ModelUnready"], 5, "one Event a turn")


def test_it_is_told_as_fast_where_the_way_there_is_blocked(served: Served) -> None:
    served.has(True)
    with RawServer(READY) as server:
        served.create(int(server.base_url.rpartition(":")[2]))
        wait_for(served.cluster, served.namespace, "iris", "True")
    with dropping() as port:
        url = f"http://iris-predictor.{served.namespace}.svc.cluster.local:{port}"
        served.cluster.write_status(served.namespace, "iris", kserve.ready("iris", served.namespace, url))
        wait_until(
            lambda: any(str(port) in str(line.get("urls")) for line in served.operator.said("watching")), 5, "it goes by the new address"
        )
        served.becomes("False", "NoneReady", served.has(False))


def test_a_pod_that_ends_serves_until_it_is_gone(served: Served) -> None:
    served.has(True)
    with RawServer(READY) as server:
        served.create(int(server.base_url.rpartition(":")[2]))
        wait_for(served.cluster, served.namespace, "iris", "True")
        served.has(True, ending=True)
        time.sleep(SOON)
        assert verdict(served.cluster, served.namespace, "iris") == ("True", "ModelReady")


def test_a_model_that_answers_on_a_new_connection_is_ready_whatever_its_endpoints_say(served: Served) -> None:
    served.has(True)
    with RawServer(READY) as server:
        served.create(int(server.base_url.rpartition(":")[2]))
        wait_for(served.cluster, served.namespace, "iris", "True")
        before = len(server.requests)
        served.has()
        wait_until(lambda: len(server.requests) > before, SOON, "it is asked at once")
        time.sleep(1)
        assert verdict(served.cluster, served.namespace, "iris") == ("True", "ModelReady")


def test_one_that_its_autoscaler_has_put_to_sleep_is_left_alone_and_judged_again_when_it_wakes(served: Served) -> None:
    served.has(True)
    with RawServer(READY) as server:
        served.create(int(server.base_url.rpartition(":")[2]), annotations=KEDA)
        wait_for(served.cluster, served.namespace, "iris", "True")
        served.has(True, ending=True)
        served.has()
        wait_until(lambda: not our_conditions(served.cluster, served.namespace, "iris"), SOON, "nothing is said of one at zero")
        before = len(server.requests)
        time.sleep(1)
        assert len(server.requests) == before
        served.has(True)
        wait_for(served.cluster, served.namespace, "iris", "True")
    assert event_reasons(served.cluster, served.namespace) == []


def test_one_of_those_whose_pods_crash_is_an_outage(served: Served) -> None:
    served.has(True)
    with RawServer(READY) as server:
        url = f"http://iris-predictor.{served.namespace}.svc.cluster.local:{server.base_url.rpartition(':')[2]}"
        served.create(int(server.base_url.rpartition(":")[2]), annotations=KEDA)
        wait_for(served.cluster, served.namespace, "iris", "True")
    served.cluster.write_status(served.namespace, "iris", kserve.pod_lost("iris", served.namespace, url))
    served.becomes("False", "NoneReady", served.has(False))


@pytest.mark.usefixtures("served")
def test_it_reads_the_slices_of_kserves_services_and_of_the_api_servers_alone(control_plane: ControlPlane) -> None:
    asked = [entry for entry in control_plane.audit(user=ACCOUNT) if entry.resource == "endpointslices"]
    assert {entry.verb for entry in asked} == {"list", "watch"}
    ours = [entry for entry in asked if "timeoutSeconds=1&" not in f"{entry.request_uri}&"]
    assert ours
    of_servers = [entry for entry in ours if "labelSelector=kubernetes.io/service-name=kubernetes" in unquote(entry.request_uri)]
    assert {(entry.verb, entry.namespace) for entry in of_servers} <= {("list", "default")}  # none with the role of one namespace
    others = [unquote(entry.request_uri) for entry in ours if entry not in of_servers]
    assert others
    assert all("labelSelector=serving.kserve.io/inferenceservice" in uri for uri in others)
