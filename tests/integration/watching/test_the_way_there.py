"""Silence is evidence about a model only where the watcher's way to it is known to work."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from rig import dns
from rig import kserve_status as kserve
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer, dropping
from tests.integration.watching.operating import QUICK, OperatorProcess, event_reasons, verdict, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rig.cluster import Cluster

pytestmark = pytest.mark.real

NAMES = ("iris", "fraud", "churn")
CLOSES = b""
"""The answer of a server, or of what is before it, that takes a request up and closes."""


@pytest.fixture
def other(cluster: Cluster) -> Iterator[str]:
    """Another namespace than the test's own."""
    name = cluster.create_namespace("other")
    yield name
    cluster.delete_namespace(name)


def create(cluster: Cluster, namespace: str, url: str, *names: str) -> None:
    for name in names:
        cluster.create_isvc(kserve.isvc(name, namespace), kserve.ready(name, namespace, url))


def said(cluster: Cluster, namespace: str) -> set[tuple[str, str]]:
    return {verdict(cluster, namespace, name) for name in NAMES}


def test_a_namespace_that_drops_the_watchers_packets_accuses_nobody(
    cluster: Cluster, namespace: str, other: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server, dropping() as port:
        create(cluster, namespace, f"http://127.0.0.1:{port}", *NAMES)
        create(cluster, other, server.base_url, *NAMES)
        operator = start_operator("--namespace", other, "--pod", f"{other}/isvcwatch-7d9/3f7a")
        wait_until(lambda: said(cluster, namespace) == {("Unknown", "NeverReached")}, 30, "it says that it never got there")
        assert said(cluster, other) == {("True", "ModelReady")}
        assert f'isvcwatch_namespace_unreached{{namespace="{namespace}",reason="NeverReached"}} 1.0' in operator.get("/metrics")
        assert event_reasons(cluster, namespace) == []
        wait_until(lambda: event_reasons(cluster, other) == ["NamespaceUnreached"], 5, "its own pod says so, once")
        assert operator.said("transition", after="False") == []


def test_a_namespace_that_falls_silent_as_one_is_unknown_and_comes_back_without_an_event_each(
    cluster: Cluster, namespace: str, other: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as behind_the_mesh, RawServer(READY) as server:
        create(cluster, namespace, behind_the_mesh.base_url, *NAMES)
        create(cluster, other, server.base_url, *NAMES)
        operator = start_operator("--namespace", other)
        wait_until(lambda: said(cluster, namespace) | said(cluster, other) == {("True", "ModelReady")}, 15, "all are ready")
        behind_the_mesh.answer = CLOSES
        wait_until(lambda: said(cluster, namespace) == {("Unknown", "NamespaceSilent")}, 50, "after a while they are unknown")
        assert operator.said("transition", after="False") == []
        behind_the_mesh.answer = READY
        wait_until(lambda: said(cluster, namespace) == {("True", "ModelReady")}, 15, "they are ready again")
        assert event_reasons(cluster, namespace) == []
        assert [line["namespace"] for line in operator.said("namespace_unreached")] == [namespace]
        assert [line["namespace"] for line in operator.said("namespace_reached")] == [namespace]


def test_one_that_crashes_beside_others_that_answer_is_told_as_fast_as_ever(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as crashes, RawServer(READY) as server:
        create(cluster, namespace, crashes.base_url, "iris")
        create(cluster, namespace, server.base_url, "fraud", "churn")
        start_operator(pace=("--period", "10", "--timeout", "0.4"))
        wait_until(lambda: said(cluster, namespace) == {("True", "ModelReady")}, 25, "all are ready")
        crashes.answer = CLOSES
        asked = len(crashes.requests)
        wait_until(lambda: len(crashes.requests) > asked, 12, "it is asked")
        began = time.monotonic()
        wait_for(cluster, namespace, "iris", "False")
        assert time.monotonic() - began < 5


def test_a_namespace_that_is_being_deleted_accuses_nobody(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    with RawServer(READY) as server:
        create(cluster, namespace, server.base_url, *NAMES)
        operator = start_operator()
        wait_until(lambda: said(cluster, namespace) == {("True", "ModelReady")}, 15, "all are ready")
        cluster.request("DELETE", f"/api/v1/namespaces/{namespace}")
        server.answer = NOT_READY
        wait_until(lambda: len(operator.said("left_alone", reason="Deleting")) == len(NAMES), 15, "all are left alone")
        asked = len(server.requests)
        time.sleep(2)
        assert len(server.requests) == asked
        assert said(cluster, namespace) == {("True", "ModelReady")}


@pytest.mark.skipif(not dns.can_be_used(), reason="needs a mount namespace of its own, by util-linux's unshare")
def test_a_dns_that_was_down_before_the_operator_started_accuses_nobody(
    account: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(RawServer(READY))
        resolver = stack.enter_context(dns.NameServer(dns.Mood.EMPTY))
        for name in NAMES:
            url = f"http://{name}-predictor.{namespace}.svc.cluster.local:{server.base_url.rpartition(':')[2]}"
            create(cluster, namespace, url, name)
        in_a_pod = ("env", "KUBERNETES_SERVICE_HOST=10.0.0.1", *resolver.python(tmp_path))
        operator = stack.enter_context(OperatorProcess(account, tmp_path, "--namespace", namespace, *QUICK, python=in_a_pod))
        operator.wait_ready()
        wait_until(lambda: "[!]dns: kubernetes.default.svc can't be looked up" in operator.get("/livez?verbose"), 10, "it says so")
        time.sleep(5)
        assert operator.said("transition", after="False") == []
        resolver.mood = dns.Mood.WELL
        wait_until(lambda: said(cluster, namespace) == {("True", "ModelReady")}, 20, "all are ready")
        assert event_reasons(cluster, namespace) == []
