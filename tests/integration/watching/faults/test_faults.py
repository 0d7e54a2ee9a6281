"""Bad days of the API server and of the network before it: nothing is deaf, late or lost."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from rig import kserve_status as kserve
from rig.faultproxy import Cut, event_writes, lists, status_writes, watches
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer
from tests.integration.watching.faults.services import RESYNC, create, is_probed, remove, swallow
from tests.integration.watching.operating import QUICK, OperatorProcess, event_reasons, our_conditions, verdict, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rig.cluster import Cluster
    from rig.faultproxy import FaultProxy, Request

pytestmark = pytest.mark.real


class TestLostEvents:
    def test_a_deletion_that_no_watch_tells_of_is_found_within_a_resync(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server:
            create(cluster, namespace, "iris", server)
            operator = start()
            wait_for(cluster, namespace, "iris", "True")
            proxy.rule(watches(), event=swallow("DELETED"))
            remove(cluster, namespace, "iris")
            wait_until(lambda: is_probed(operator, 0), 2 * RESYNC, "it is probed no longer")
            assert 'name="iris"' not in operator.get("/metrics")

    def test_a_creation_and_a_change_that_no_watch_tells_of_are_found(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server, RawServer(READY) as elsewhere:
            operator = start()
            proxy.rule(watches(), event=swallow("ADDED", "MODIFIED", "DELETED"))
            create(cluster, namespace, "iris", server)
            wait_for(cluster, namespace, "iris", "True", timeout=3 * RESYNC)
            cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, elsewhere.base_url))
            wait_until(lambda: bool(elsewhere.requests), 2 * RESYNC, "its new address is asked")
            assert "isvcwatch_missed_changes_total 0.0" not in operator.get("/metrics")

    def test_a_service_that_has_moved_unseen_is_never_accused(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server, RawServer(READY) as elsewhere:
            create(cluster, namespace, "iris", server)
            start("--resync", "600")
            wait_for(cluster, namespace, "iris", "True")
            proxy.rule(watches(), event=swallow("ADDED", "MODIFIED", "DELETED"))
            status = kserve.ready("iris", namespace, elsewhere.base_url)
            status["conditions"] += list(our_conditions(cluster, namespace, "iris").values())
            cluster.write_status(namespace, "iris", status)
            server.answer = NOT_READY
            wait_until(lambda: len(elsewhere.requests) > 3, 15, "its new address is asked")
            assert verdict(cluster, namespace, "iris")[0] == "True"
            assert event_reasons(cluster, namespace) == []


WATCH_ENDS: dict[str, dict[str, Any]] = {
    "an ERROR of 500": {"event": lambda _: {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is unwell"}}},
    "an ERROR of 429": {"event": lambda _: {"type": "ERROR", "object": {"kind": "Status", "code": 429, "message": "too many requests"}}},
    "an ERROR of 504": {"event": lambda _: {"type": "ERROR", "object": {"kind": "Status", "code": 504, "message": "timed out"}}},
    "an ERROR of 410": {"event": lambda _: {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}},
}


class TestWatchesThatEnd:
    @pytest.mark.parametrize("fault", WATCH_ENDS.values(), ids=WATCH_ENDS)
    def test_the_watch_begins_again_within_seconds(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess], fault: dict[str, Any]
    ) -> None:
        with RawServer(READY) as server:
            operator = start("--resync", "600")
            create(cluster, namespace, "first", server)
            wait_for(cluster, namespace, "first", "True")
            rule = proxy.rule(watches(), **fault)
            cluster.patch_isvc(namespace, "first", {"metadata": {"labels": {"x": "y"}}})
            time.sleep(1)
            proxy.forget(rule)
            create(cluster, namespace, "second", server)
            wait_for(cluster, namespace, "second", "True", timeout=10)
            assert operator.running
            assert operator.get("/livez") == "200 ok\n"

    def test_what_was_deleted_while_the_watch_was_away_is_found_in_seconds(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server:
            operator = start("--resync", "600")
            create(cluster, namespace, "iris", server)
            wait_for(cluster, namespace, "iris", "True")
            refused = proxy.rule(watches(), status=410)
            proxy.cut_watches()
            wait_until(lambda: refused.seen > 0, 15, "it has tried")
            remove(cluster, namespace, "iris")
            proxy.forget(refused)
            wait_until(lambda: is_probed(operator, 0), 20, "it is probed no longer")

    def test_half_a_line_and_then_the_end(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        def half(_: object) -> None:
            raise Cut(b'{"type":"MODIFIED","object":{"metad')

        with RawServer(READY) as server:
            operator = start("--resync", "600")
            create(cluster, namespace, "first", server)
            wait_for(cluster, namespace, "first", "True")
            rule = proxy.rule(watches(), event=half)
            cluster.patch_isvc(namespace, "first", {"metadata": {"labels": {"x": "y"}}})
            time.sleep(1)
            proxy.forget(rule)
            create(cluster, namespace, "second", server)
            wait_for(cluster, namespace, "second", "True", timeout=10)
            assert operator.running

    @pytest.mark.parametrize("status", [401, 410, 500])
    def test_a_watch_that_is_refused_when_it_comes_again(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess], status: int
    ) -> None:
        with RawServer(READY) as server:
            operator = start("--resync", "600")
            refused = proxy.rule(watches(), status=status, times=3)
            proxy.cut_watches()
            wait_until(lambda: refused.seen > 0, 15, "it has tried")
            create(cluster, namespace, "iris", server)
            wait_for(cluster, namespace, "iris", "True", timeout=30)
            assert operator.running
            assert operator.get("/livez") == "200 ok\n"

    def test_a_watch_that_is_forbidden_is_said_and_costs_the_others_nothing(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server:
            operator = start("--resync", "600")
            proxy.rule(watches("endpointslices"), status=403)
            proxy.cut_watches()
            said = "[!]watch: no live watch of endpointslices.discovery.k8s.io for"
            wait_until(lambda: said in operator.get("/livez?verbose"), 45, "it says that it has no watch")
            assert "the API server answers 403" in operator.get("/livez?verbose")
            time.sleep(5)
            assert operator.said("watch_restarts") == []
            create(cluster, namespace, "iris", server)
            wait_for(cluster, namespace, "iris", "True", timeout=5)

    def test_a_list_whose_continue_token_has_expired(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server:
            operator = start()
            proxy.rule(lists(), status=410, times=2)
            create(cluster, namespace, "iris", server)
            wait_for(cluster, namespace, "iris", "True")
            wait_until(lambda: "isvcwatch_resyncs_total 0.0" not in operator.get("/metrics"), 20, "it lists again")
            assert operator.running


class TestOrder:
    def test_events_that_are_repeated_and_come_late_change_nothing(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        before: list[dict[str, Any]] = []

        def again(event: dict[str, Any]) -> list[dict[str, Any]]:
            """Each event twice, and after it all those of before, deletions and what they deleted as well."""
            before.append(event)
            return [event, event, *before] if event["type"] != "BOOKMARK" else [event]

        with RawServer(READY) as server, RawServer(READY) as elsewhere:
            proxy.rule(watches(), event=again)
            operator = start("--resync", "600")
            create(cluster, namespace, "iris", server)
            create(cluster, namespace, "fraud", server)
            wait_for(cluster, namespace, "iris", "True")
            cluster.write_status(namespace, "iris", kserve.ready("iris", namespace, elsewhere.base_url))
            remove(cluster, namespace, "fraud")
            wait_until(lambda: bool(elsewhere.requests), 10, "its new address is asked")
            cluster.patch_isvc(namespace, "iris", {"metadata": {"labels": {"x": "y"}}})
            time.sleep(2)
            server.requests.clear()
            time.sleep(2)
            assert server.requests == [], "neither the deleted one nor the old address is asked any more"
            assert is_probed(operator, 1)
            assert event_reasons(cluster, namespace) == []


class TestWrites:
    def test_an_event_that_could_not_be_made_before_the_process_was_killed_is_made_by_the_next_and_once(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server:
            create(cluster, namespace, "iris", server)
            operator = start()
            wait_for(cluster, namespace, "iris", "True")
            refused = proxy.rule(event_writes, status=500)
            server.answer = NOT_READY
            wait_for(cluster, namespace, "iris", "False")
            operator.kill()
            assert event_reasons(cluster, namespace) == []
            proxy.forget(refused)
            start()
            wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 10, "the Event")
            start().kill()
            assert event_reasons(cluster, namespace) == ["ModelUnready"]

    @pytest.mark.parametrize("which", [status_writes, event_writes])
    def test_a_write_whose_answer_is_lost_is_not_done_twice(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess], which: Callable[[Request], bool]
    ) -> None:
        with RawServer(NOT_READY) as server:
            create(cluster, namespace, "iris", server)
            lost = proxy.rule(which, lose_answer=True, times=1)
            start()
            wait_for(cluster, namespace, "iris", "False")
            wait_until(lambda: event_reasons(cluster, namespace) == ["ModelUnready"], 15, "the Event")
            time.sleep(2)
            assert lost.seen == 1
            assert event_reasons(cluster, namespace) == ["ModelUnready"]

    def test_conflicts_without_end_are_put_off_longer_and_longer(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        with RawServer(READY) as server:
            create(cluster, namespace, "iris", server)
            fight = proxy.rule(status_writes, status=409)
            start()
            wait_until(lambda: fight.seen > 0, 15, "it writes")
            time.sleep(10)
            assert fight.seen <= 10
            proxy.forget(fight)
            wait_for(cluster, namespace, "iris", "True", timeout=20)

    def test_what_was_decided_goes_out_before_the_process_ends(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        names = [f"iris-{n}" for n in range(30)]
        with RawServer(READY) as server:
            for name in names:
                create(cluster, namespace, name, server)
            operator = start()
            for name in names:
                wait_for(cluster, namespace, name, "True")
            slow = proxy.rule(status_writes, before=lambda _: time.sleep(0.3))
            server.answer = NOT_READY
            wait_until(lambda: slow.seen > 0, 15, "it writes")
            os.kill(operator._child.pid, signal.SIGTERM)
            wait_until(lambda: not operator.running, 15, "it ends")
            told = sum(verdict(cluster, namespace, name)[0] == "False" for name in names)
            decided = len({(line["name"]) for line in operator.said("transition", condition="ModelReady", after="False")})
            assert told == decided
            assert len(event_reasons(cluster, namespace)) == told
            assert operator.said("ended")

    def test_a_namespace_that_takes_no_events_holds_up_no_other(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        other = cluster.create_namespace()
        try:
            with RawServer(NOT_READY) as server:
                create(cluster, namespace, "iris", server)
                create(cluster, other, "iris", server)
                proxy.rule(lambda request: event_writes(request) and f"/{namespace}/" in request.path, status=429)
                start("--namespace", other)
                wait_until(lambda: event_reasons(cluster, other) == ["ModelUnready"], 15, "the other's Event")
                assert event_reasons(cluster, namespace) == []
        finally:
            cluster.delete_namespace(other)

    def test_objects_that_may_not_be_written_are_each_named_once_and_with_the_servers_own_reason(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess]
    ) -> None:
        why = {
            "kind": "Status",
            "code": 403,
            "message": f"unable to create new content in namespace {namespace} because it is being terminated",
        }
        with RawServer(READY) as server:
            for name in ("a", "b", "c"):
                create(cluster, namespace, name, server)
            refused = proxy.rule(
                lambda request: status_writes(request) and not request.path.endswith("/c/status"), status=403, body=json.dumps(why).encode()
            )
            operator = start()
            wait_for(cluster, namespace, "c", "True")
            wait_until(lambda: refused.seen >= 4, 15, "both are tried again")
            lines = operator.said("status_not_written", namespace=namespace)
            assert sorted(line["name"] for line in lines) == ["a", "b"]
            assert all("being terminated" in line["why"] and "RBAC" not in line["why"] for line in lines)

    def test_two_replicas_that_disagree_give_way_and_say_so(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess], account: Path, tmp_path: Path
    ) -> None:
        with RawServer(READY) as server:
            create(cluster, namespace, "iris", server)
            written = proxy.rule(status_writes)
            one = start()
            wait_for(cluster, namespace, "iris", "True")
            # To this one loopback is refused: it says Unknown where the other says True.
            with OperatorProcess(account, tmp_path, "--namespace", namespace, *QUICK, loopback=False) as other:
                other.wait_ready()
                time.sleep(20)
                assert written.seen <= 15
                said = [line["name"] for replica in (one, other) for line in replica.said("written_by_others_too")]
                assert said.count("iris") in {1, 2}
