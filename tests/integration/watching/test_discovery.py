"""What can only be guessed is found out from real servers, and none that is well is accused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from tests.integration.watching.operating import our_conditions, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.app_server import AppServer
    from rig.cluster import Cluster
    from rig.model_server import ModelServer
    from tests.integration.watching.operating import OperatorProcess

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("fixture", "spec"), [("kserve_server", "v1"), ("kserve_server", "v2"), ("mlserver_server", "v2"), ("triton_server", "v2")]
)
def test_a_model_of_another_name_is_found_by_the_servers_own_list(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    namespace: str,
    start_operator: Callable[..., OperatorProcess],
    fixture: str,
    spec: str,
) -> None:
    server: ModelServer = request.getfixturevalue(fixture)
    request.addfinalizer(server.reset)  # the fixture does not know that this test uses it
    models = kserve.container_spec(env=[{"name": "PROTOCOL", "value": spec}])
    cluster.create_isvc(kserve.isvc("named-otherwise", namespace, models), kserve.ready("named-otherwise", namespace, server.base_url))
    operator = start_operator()
    condition = wait_for(cluster, namespace, "named-otherwise", "True")
    # Its host is on loopback, which only a setting allows: what it lists is used, and quoted nowhere.
    assert f"asked by the server's own list of {len(server.models)}" in condition["message"]
    for model in server.models:
        server.make_unready(model)
    assert wait_for(cluster, namespace, "named-otherwise", "False")["reason"] == "ModelNotReady"
    for model in server.models:
        server.make_ready(model)
    wait_for(cluster, namespace, "named-otherwise", "True")
    assert operator.said("looked_closer")
    said = operator.log.read_text() + str(our_conditions(cluster, namespace, "named-otherwise"))
    assert not any(model in said for model in server.models)


def test_a_protocol_that_the_server_does_not_speak_is_found_out(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], mlserver_server: ModelServer
) -> None:
    spec = kserve.model_spec(protocolVersion="v1", args=[f"--model_name={mlserver_server.model_name}"])
    cluster.create_isvc(kserve.isvc("iris", namespace, spec), kserve.ready("iris", namespace, mlserver_server.base_url))
    start_operator()
    assert "asked as mlserver" in wait_for(cluster, namespace, "iris", "True")["message"]
    assert {c["status"] for c in our_conditions(cluster, namespace, "iris").values()} == {"True"}


def test_a_web_application_is_unknown_and_by_its_own_readiness_route_known(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], flask_server: AppServer
) -> None:
    ports = [{"containerPort": flask_server.port}]
    cluster.create_isvc(
        kserve.isvc("silent", namespace, kserve.container_spec(ports=ports)), kserve.ready("silent", namespace, flask_server.base_url)
    )
    probe = {"httpGet": {"path": "/healthz", "port": flask_server.port}}
    spec = kserve.container_spec(ports=ports, readinessProbe=probe)
    cluster.create_isvc(kserve.isvc("declared", namespace, spec), kserve.ready("declared", namespace, flask_server.base_url))
    start_operator()
    assert "readinessProbe, /healthz" in wait_for(cluster, namespace, "declared", "True")["message"]
    condition = wait_for(cluster, namespace, "silent", "Unknown")
    assert condition["reason"] == "UnknownServer"
    assert "isvcwatch.dev/protocol" in condition["message"]
    flask_server.make_unready()
    try:
        assert wait_for(cluster, namespace, "declared", "False")["reason"] == "ModelNotReady"
    finally:
        flask_server.make_ready()
    wait_for(cluster, namespace, "declared", "True")


def test_bentoml_is_known_by_its_own_words(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], bentoml_server: AppServer
) -> None:
    cluster.create_isvc(kserve.isvc("iris", namespace, kserve.container_spec()), kserve.ready("iris", namespace, bentoml_server.base_url))
    start_operator()
    assert "asked as BentoML" in wait_for(cluster, namespace, "iris", "True")["message"]
    bentoml_server.make_unready()
    assert "readyz answered 503" in wait_for(cluster, namespace, "iris", "False")["message"]


def test_ray_serves_proxy_answers_for_its_replicas_so_that_nothing_is_proved(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], ray_server: AppServer
) -> None:
    cluster.create_isvc(kserve.isvc("iris", namespace, kserve.container_spec()), kserve.ready("iris", namespace, ray_server.base_url))
    start_operator()
    assert wait_for(cluster, namespace, "iris", "Unknown")["reason"] == "NoSuchRoute"
    assert our_conditions(cluster, namespace, "iris")["ServerLive"]["status"] == "True"


def test_a_port_that_is_grpc_by_its_name_is_not_asked(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], flask_server: AppServer
) -> None:
    spec = kserve.container_spec(ports=[{"containerPort": flask_server.port, "name": "h2c"}])
    cluster.create_isvc(kserve.isvc("iris", namespace, spec), kserve.ready("iris", namespace, flask_server.base_url))
    operator = start_operator()
    assert wait_for(cluster, namespace, "iris", "Unknown")["reason"] == "UnsupportedProtocol"
    assert operator.said("looked_closer") == []
    assert "isvcwatch_probes_total{" not in operator.get("/metrics")


@pytest.mark.parametrize(("fixture", "server"), [("kserve_server", "kserve"), ("mlserver_server", "mlserver"), ("triton_server", "triton")])
def test_check_finds_out_what_a_server_is_and_asks_for_its_models(request: pytest.FixtureRequest, fixture: str, server: str) -> None:
    running: ModelServer = request.getfixturevalue(fixture)
    ran = subprocess.run(  # noqa: S603 -- our own command
        [sys.executable, "-m", "isvcwatch", "check", running.base_url, "-o", "json"], capture_output=True, text=True, timeout=30, check=True
    )
    said = json.loads(ran.stdout)
    assert said["server"].startswith(server)
    assert sorted(said["models"]) == sorted(running.models)
    assert [r["status"] for r in said["replies"] if r["question"] == "model_ready"] == ["True", "True"]
    assert said["verdict"] == "True"
