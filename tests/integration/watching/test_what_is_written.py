"""What the operator writes, and above all what it does not: the audit log of a real API server counts every request."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from isvcwatch.version import __version__
from rig import kserve_status as kserve
from rig.account import ACCOUNT
from rig.process import wait_until
from tests.integration.watching.answers import READY, RawServer, answer
from tests.integration.watching.operating import event_reasons, our_conditions, verdict, wait_for
from tests.integration.watching.test_verdicts import create

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane
    from rig.kserve_status import Manifest
    from rig.model_server import ModelServer
    from tests.integration.watching.operating import OperatorProcess

pytestmark = pytest.mark.real

QUIET_SECONDS = float(os.environ.get("ISVCWATCH_QUIET_SECONDS", "15"))
"""How long nothing may be written while nothing changes; 300 before a release."""

NEEDED = {
    ("list", "inferenceservices", ""),
    ("watch", "inferenceservices", ""),
    ("get", "inferenceservices", ""),
    ("patch", "inferenceservices", "status"),
    ("list", "servingruntimes", ""),
    ("watch", "servingruntimes", ""),
    ("list", "clusterservingruntimes", ""),
    ("watch", "clusterservingruntimes", ""),
    ("list", "endpointslices", ""),
    ("watch", "endpointslices", ""),
    ("get", "namespaces", ""),
    ("create", "events", ""),
}
NOT_READY = answer(503, b'{"error":"Model m is not ready."}')


def test_nothing_is_written_while_nothing_changes(
    control_plane: ControlPlane,
    cluster: Cluster,
    namespace: str,
    start_operator: Callable[..., OperatorProcess],
    kserve_server: ModelServer,
) -> None:
    create(cluster, namespace, "well", kserve_server)
    create(cluster, namespace, "ill", kserve_server, "v2")
    cluster.patch_isvc(namespace, "ill", {"spec": {"predictor": {"model": {"args": ["--model_name=never-loaded"]}}}})
    operator = start_operator()
    wait_for(cluster, namespace, "well", "True")
    wait_for(cluster, namespace, "ill", "False")
    wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 5, "the Event")
    settled = datetime.now(UTC)
    time.sleep(QUIET_SECONDS)
    entries = control_plane.audit(since=settled, user=ACCOUNT)
    assert [entry for entry in entries if entry.is_write] == []
    probes = operator.get("/metrics").count("isvcwatch_probe_duration_seconds_bucket")
    assert probes > 0


def test_only_the_shipped_rights_are_used_and_none_is_refused(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    began = datetime.now(UTC)
    with RawServer(READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        start_operator()
        wait_for(cluster, namespace, "iris", "True")
        for expected in ("False", "True", "False"):
            server.answer = READY if expected == "True" else NOT_READY
            wait_for(cluster, namespace, "iris", expected)
        wait_until(lambda: event_reasons(cluster, namespace).count("ModelUnready") == 2, 5, "both Events")
    entries = control_plane.audit(since=began, user=ACCOUNT)
    assert [entry for entry in entries if entry.code == 403] == []
    used = {(entry.verb, entry.resource, entry.subresource) for entry in entries if entry.resource}
    assert used <= NEEDED
    assert used >= NEEDED - {("get", "inferenceservices", "")}  # only after a conflict
    assert {entry.user_agent for entry in entries} == {f"isvcwatch/{__version__}"}


def test_events_stand_in_the_order_of_time_among_those_of_others(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """`kubectl describe` sorts by lastTimestamp alone: kubernetes/kubectl, pkg/describe and pkg/util/event/sorted_event_list.go."""
    with RawServer(NOT_READY) as server:
        isvc = cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        record(cluster, isvc, "Before", datetime.now(UTC) - timedelta(seconds=5))
        start_operator()
        wait_until(lambda: "ModelUnready" in event_reasons(cluster, namespace), 30, "the Event")
        server.answer = READY
        wait_until(lambda: "ModelRecovered" in event_reasons(cluster, namespace), 30, "the Event")
    record(cluster, isvc, "After", datetime.now(UTC) + timedelta(seconds=5))
    events = cluster.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
    events.sort(key=lambda event: str(event.get("lastTimestamp") or ""))
    assert [event["reason"] for event in events] == ["Before", "ModelUnready", "ModelRecovered", "After"]
    assert {event["involvedObject"]["uid"] for event in events} == {isvc["metadata"]["uid"]}


def record(cluster: Cluster, isvc: Manifest, reason: str, moment: datetime) -> None:
    """Record an Event as KServe's controller does."""
    about = {"apiVersion": isvc["apiVersion"], "kind": isvc["kind"], **{key: isvc["metadata"][key] for key in ("namespace", "name", "uid")}}
    when = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    event: Manifest = {
        "metadata": {"name": f"iris.{reason.lower()}", "namespace": about["namespace"]},
        "involvedObject": about,
        "reason": reason,
    }
    event |= {"type": "Normal", "firstTimestamp": when, "lastTimestamp": when, "count": 1, "source": {"component": "v1beta1Controllers"}}
    cluster.request("POST", f"/api/v1/namespaces/{about['namespace']}/events", event)


def test_what_is_written_is_ours_by_the_same_name_in_all_versions(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """The API server makes a field manager's name of what stands before the slash in the User-Agent header."""
    with RawServer(NOT_READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        start_operator()
        wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 30, "the Event")
    written = cluster.get_isvc(namespace, "iris")["metadata"]["managedFields"] + cluster.events(namespace)[0]["metadata"]["managedFields"]
    ours = {entry["manager"] for entry in written if entry["manager"] != "python-httpx"}  # the test's own
    assert ours == {"isvcwatch"}


def test_the_object_gets_no_finalizer_no_annotation_and_no_condition_but_ours(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server:
        before = cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        start_operator()
        wait_for(cluster, namespace, "iris", "True")
    after = cluster.get_isvc(namespace, "iris")
    for field in ("finalizers", "annotations", "labels", "generation"):
        assert after["metadata"].get(field) == before["metadata"].get(field), field
    assert after["spec"] == before["spec"]
    foreign = [c for c in after["status"].pop("conditions") if c["type"] not in our_conditions(cluster, namespace, "iris")]
    assert foreign == before["status"].pop("conditions")
    assert after["status"] == before["status"]


def test_a_restart_flips_no_condition_and_repeats_no_event(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as well, RawServer(NOT_READY) as ill:
        cluster.create_isvc(kserve.isvc("well", namespace), kserve.ready("well", namespace, well.base_url))
        cluster.create_isvc(kserve.isvc("ill", namespace), kserve.ready("ill", namespace, ill.base_url))
        first = start_operator()
        wait_for(cluster, namespace, "well", "True")
        wait_for(cluster, namespace, "ill", "False")
        wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 5, "the Event")
        first.kill()
        before, restarted = cluster.list_isvcs(namespace), datetime.now(UTC)
        second = start_operator()
        asked = len(ill.requests)
        wait_until(lambda: len(ill.requests) > asked + 8, 10, "several rounds")
        assert cluster.list_isvcs(namespace) == before
        assert event_reasons(cluster, namespace) == ["ModelUnready"]
        written = [entry for entry in control_plane.audit(since=restarted, user=ACCOUNT) if entry.is_write]
        # What was told within the hour is told again, and is there already.
        assert [entry for entry in written if (entry.resource, entry.code) != ("events", 409)] == []
        assert second.said("transition") == []


def test_a_writer_that_replaces_the_whole_status_loses_nothing_and_costs_nothing(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """KServe writes its whole status from its own read: beside it, both sides' conditions must come through."""
    stop, written = threading.Event(), [0]

    def controller() -> None:
        while not stop.is_set():
            status = kserve.ready("iris", namespace, server.base_url, observed_generation=written[0])
            cluster.write_status(namespace, "iris", status)
            written[0] += 1
            stop.wait(0.05)

    with RawServer(READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        start_operator()
        kserve_controller = threading.Thread(target=controller)
        kserve_controller.start()
        try:
            for expected in ("True", "False", "True", "False"):
                server.answer = READY if expected == "True" else NOT_READY
                wait_for(cluster, namespace, "iris", expected, timeout=20)
        finally:
            stop.set()
            kserve_controller.join()
    status = cluster.get_isvc(namespace, "iris")["status"]
    assert status["observedGeneration"] == written[0] - 1
    assert {c["type"] for c in status["conditions"]} >= {"Ready", "PredictorReady", "ModelReady", "ServerLive", "ServerReady"}


def test_a_stopped_service_is_left_alone_and_judged_afresh_when_it_is_started_again(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(NOT_READY) as server:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, server.base_url))
        operator = start_operator()
        wait_for(cluster, namespace, "iris", "False")
        cluster.patch_isvc(namespace, "iris", {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})
        cluster.write_status(namespace, "iris", kserve.stopped())
        wait_until(lambda: bool(operator.said("left_alone", reason="Stopped")), 5, "it is left alone")
        time.sleep(1.0)  # a round that was under way has ended
        asked, stopped = len(server.requests), datetime.now(UTC)
        time.sleep(3.0)
        assert len(server.requests) == asked
        assert [entry for entry in control_plane.audit(since=stopped, user=ACCOUNT) if entry.is_write] == []
        assert our_conditions(cluster, namespace, "iris") == {}

        server.answer = READY
        cluster.patch_isvc(namespace, "iris", {"metadata": {"annotations": {"serving.kserve.io/stop": "false"}}})
        cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, server.base_url))
        wait_for(cluster, namespace, "iris", "True")
        assert event_reasons(cluster, namespace) == ["ModelUnready"]  # a first True after a start is no recovery


def test_a_service_that_may_sleep_is_neither_probed_nor_written_to(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    began = datetime.now(UTC)
    with RawServer(READY) as server:
        spec = kserve.with_min_replicas(kserve.model_spec(), 0)
        cluster.create_isvc(kserve.isvc("sleepy", namespace, spec), kserve.knative_ready("sleepy", namespace, server.base_url))
        operator = start_operator()
        wait_until(lambda: bool(operator.said("left_alone", reason="ScalesToZero")), 5, "it is left alone")
        time.sleep(2.0)
        assert server.requests == []
    assert [entry for entry in control_plane.audit(since=began, user=ACCOUNT) if entry.is_write] == []
    assert verdict(cluster, namespace, "sleepy") == ("", "")


def test_a_service_made_deleted_and_changed_while_watching_is_followed(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    operator = start_operator()
    with RawServer(NOT_READY) as old, RawServer(READY) as new:
        cluster.create_isvc(kserve.isvc("iris", namespace), kserve.ready("iris", namespace, old.base_url))
        wait_for(cluster, namespace, "iris", "False")
        cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, new.base_url))
        wait_for(cluster, namespace, "iris", "True")
        cluster.delete_isvc(namespace, "iris")
        wait_until(lambda: 'name="iris"' not in operator.get("/metrics"), 5, "its series are gone")
        asked = len(new.requests)
        time.sleep(1.5)
        assert len(new.requests) - asked <= 1
