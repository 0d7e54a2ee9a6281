"""A model made unready on a real server shows on its object, with an Event; and back again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from rig import kserve_status as kserve
from rig.process import wait_until
from tests.integration.watching.operating import event_reasons, our_conditions, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.cluster import Cluster
    from rig.model_server import ModelServer
    from tests.integration.watching.operating import OperatorProcess

pytestmark = pytest.mark.real

PACE = ("--period", "1", "--timeout", "0.8", "--failure-threshold", "3")
DETECTION = 3 * 1.0 + 1.0  # threshold x period + 1 s

SERVERS = [
    pytest.param("kserve_server", "v1", "ModelNotReady", id="kserve-v1"),
    pytest.param("kserve_server", "v2", "ModelNotReady", id="kserve-v2"),
    pytest.param("mlserver_server", "v2", "ModelNotReady", id="mlserver-v2"),
    pytest.param("triton_server", "v2", "ModelNotReady", id="triton-v2"),
]


def spec_for(server: ModelServer, protocol: str = "v1") -> dict[str, Any]:
    return kserve.model_spec(protocolVersion=protocol, args=[f"--model_name={server.model_name}"])


def create(cluster: Cluster, namespace: str, name: str, server: ModelServer, protocol: str = "v1") -> None:
    cluster.create_isvc(kserve.isvc(name, namespace, spec_for(server, protocol)), kserve.ready(name, namespace, server.base_url))


@pytest.mark.parametrize(("fixture", "protocol", "reason"), SERVERS)
def test_a_model_made_unready_is_told_in_time_and_so_is_its_recovery(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    namespace: str,
    start_operator: Callable[..., OperatorProcess],
    fixture: str,
    protocol: str,
    reason: str,
) -> None:
    server: ModelServer = request.getfixturevalue(fixture)
    request.addfinalizer(server.reset)  # the fixture does not know that this test uses it
    create(cluster, namespace, "iris", server, protocol)
    start_operator(pace=PACE)
    assert wait_for(cluster, namespace, "iris", "True")["severity"] == "Info"

    server.make_unready()
    began = time.monotonic()
    condition = wait_for(cluster, namespace, "iris", "False", timeout=DETECTION)
    detected = time.monotonic() - began
    assert condition["reason"] == reason
    wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 2, "the Event")

    server.make_ready()
    wait_for(cluster, namespace, "iris", "True", timeout=DETECTION)
    wait_until(lambda: event_reasons(cluster, namespace) == ["ModelRecovered", "ModelUnready"], 2, "the second Event")
    print(f"\n{fixture} {protocol}: unready shown after {detected:.2f} s of at most {DETECTION:.1f} s")  # noqa: T201 -- a figure


def test_a_crashed_and_a_hanging_server_are_told_apart(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], kserve_server: ModelServer
) -> None:
    create(cluster, namespace, "iris", kserve_server)
    start_operator(pace=PACE)
    wait_for(cluster, namespace, "iris", "True")

    kserve_server.hang()
    assert wait_for(cluster, namespace, "iris", "False", timeout=DETECTION + 4)["reason"] == "TimedOut"
    assert our_conditions(cluster, namespace, "iris")["ServerLive"]["status"] == "False"
    kserve_server.resume()
    wait_for(cluster, namespace, "iris", "True")

    kserve_server.crash()
    condition = wait_for(cluster, namespace, "iris", "False", timeout=DETECTION)
    assert condition["reason"] == "ConnectionRefused"
    assert {c["status"] for c in our_conditions(cluster, namespace, "iris").values()} == {"False"}


def test_one_unready_model_leaves_its_server_ready(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], kserve_server: ModelServer
) -> None:
    create(cluster, namespace, "iris", kserve_server, "v2")
    kserve_server.make_unready()
    start_operator()
    wait_for(cluster, namespace, "iris", "False")
    conditions = our_conditions(cluster, namespace, "iris")
    assert (conditions["ServerLive"]["status"], conditions["ServerReady"]["status"]) == ("True", "True")


def test_an_unknown_model_is_told_apart_from_an_unready_one(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess], kserve_server: ModelServer
) -> None:
    spec = kserve.model_spec(args=["--model_name=never-loaded"])
    cluster.create_isvc(kserve.isvc("iris", namespace, spec), kserve.ready("iris", namespace, kserve_server.base_url))
    start_operator()
    assert wait_for(cluster, namespace, "iris", "False")["reason"] == "ModelNotFound"


def test_a_transformer_that_answers_does_not_hide_its_predictor(
    cluster: Cluster,
    namespace: str,
    start_operator: Callable[..., OperatorProcess],
    kserve_server: ModelServer,
    mlserver_server: ModelServer,
) -> None:
    spec = kserve.transformer_spec(spec_for(mlserver_server, "v2"), args=[f"--model_name={kserve_server.model_name}"])
    status = kserve.with_transformer("iris", namespace, kserve_server.base_url)
    status["components"]["predictor"]["address"] = {"url": mlserver_server.base_url}
    cluster.create_isvc(kserve.isvc("iris", namespace, spec), status)
    start_operator()
    wait_for(cluster, namespace, "iris", "True")
    mlserver_server.make_unready()
    condition = wait_for(cluster, namespace, "iris", "False")
    assert condition["message"].startswith("predictor: ")
