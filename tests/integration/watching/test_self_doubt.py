"""Where all models fall silent at once the watcher doubts itself, and says so on its own pod."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from rig import dns
from rig import kserve_status as kserve
from rig.process import wait_until
from tests.integration.watching.answers import READY, RawServer
from tests.integration.watching.operating import QUICK, OperatorProcess, event_reasons, verdict, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rig.cluster import Cluster

pytestmark = pytest.mark.real


def test_a_fleet_that_falls_silent_is_not_accused_and_the_watchers_pod_says_why(
    cluster: Cluster, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    names = [f"m-{number}" for number in range(15)]
    with RawServer(READY) as server:
        for name in names:
            cluster.create_isvc(kserve.isvc(name, namespace), kserve.ready(name, namespace, server.base_url))
        operator = start_operator("--pod", f"{namespace}/isvcwatch-7d9/3f7a")
        for name in names:
            wait_for(cluster, namespace, name, "True")
        server.answer = b""
        wait_until(lambda: "isvcwatch_watcher_impaired 1.0" in operator.get("/metrics"), 15, "it doubts itself")
        wait_until(lambda: event_reasons(cluster, namespace) == ["WatcherImpaired"], 5, "its pod says so")
        time.sleep(3)
        assert {verdict(cluster, namespace, name)[0] for name in names} == {"True"}
        assert operator.get("/livez") == "200 ok\n"
        assert "[!]network: " in operator.get("/livez?verbose")
        assert "isvcwatch_operator_health_status 1.0" in operator.get("/metrics")
        server.answer = READY
        wait_until(lambda: event_reasons(cluster, namespace) == ["WatcherImpaired", "WatcherRecovered"], 15, "and that it is over")
        (event, _) = sorted(cluster.events(namespace), key=lambda found: str(found["eventTime"]))
        assert (event["regarding"]["kind"], event["regarding"]["name"]) == ("Pod", "isvcwatch-7d9")
        assert {verdict(cluster, namespace, name)[0] for name in names} == {"True"}


@pytest.mark.skipif(not dns.can_be_used(), reason="needs a mount namespace of its own, by util-linux's unshare")
def test_where_the_dns_no_longer_knows_any_name_no_model_is_accused_of_having_none(
    account: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    names = ["iris", "fraud"]
    with RawServer(READY) as server, dns.NameServer() as resolver:
        port = server.base_url.rpartition(":")[2]
        for name in names:
            url = f"http://{name}-predictor.{namespace}.svc.cluster.local:{port}"
            cluster.create_isvc(kserve.isvc(name, namespace), kserve.ready(name, namespace, url))
        flags = ("--namespace", namespace, "--pod", f"{namespace}/isvcwatch-7d9/3f7a", *QUICK)
        with OperatorProcess(account, tmp_path, *flags, python=resolver.python(tmp_path)) as operator:
            operator.wait_ready()
            for name in names:
                wait_for(cluster, namespace, name, "True")
            resolver.mood = dns.Mood.EMPTY
            wait_until(lambda: operator.said("watcher_impaired") != [], 60, "addresses known before have aged, and it doubts itself")
            time.sleep(5)
            assert {verdict(cluster, namespace, name)[0] for name in names} == {"True"}
            resolver.mood = dns.Mood.WELL
            wait_until(lambda: event_reasons(cluster, namespace) == ["WatcherImpaired", "WatcherRecovered"], 15, "its pod says so")
            time.sleep(3)
            assert operator.said("transition", condition="ModelReady", after="False") == []
            assert {verdict(cluster, namespace, name)[0] for name in names} == {"True"}
