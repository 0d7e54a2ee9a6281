"""An API server that is dead, frozen, slow, cut short, distrustful or forgetful of its watches: the operator lives on, and catches up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest
import yaml

from rig.account import install_account
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer
from tests.integration.watching.faults.services import RESYNC, create, is_probed, remove
from tests.integration.watching.operating import QUICK, OperatorProcess, event_reasons, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane
    from rig.faultproxy import FaultProxy

pytestmark = pytest.mark.real

RENEWAL = 60.0
"""Seconds until a token file is read again."""
BACK = 40.0
"""Seconds until all has been caught up with: the longest pause between two tries is 15."""


def lasting(short: float, long: float) -> pytest.MarkDecorator:
    """Seconds that a trouble lasts: few in every run, many in a long one."""
    each = [pytest.param(short, id=f"{short:g} s"), pytest.param(long, id=f"{long:g} s", marks=pytest.mark.long)]
    return pytest.mark.parametrize("seconds", each)


@dataclass(eq=False)
class Fleet:
    """A service that stays and falls ill, one that goes, and one that comes with a bad model. Use it in a `with` block."""

    cluster: Cluster
    namespace: str

    def __enter__(self) -> Self:
        self.stays, self.goes, self.comes = (RawServer(how).__enter__() for how in (READY, READY, NOT_READY))
        create(self.cluster, self.namespace, "stays", self.stays)
        create(self.cluster, self.namespace, "goes", self.goes)
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self.stays, self.goes, self.comes):
            server.__exit__()

    def is_well(self) -> None:
        for name in ("stays", "goes"):
            wait_for(self.cluster, self.namespace, name, "True")

    def falls_ill(self) -> None:
        self.stays.answer = NOT_READY

    def changes(self) -> None:
        remove(self.cluster, self.namespace, "goes")
        create(self.cluster, self.namespace, "comes", self.comes)

    def is_probed_for(self, seconds: float) -> None:
        """See that both models go on being probed for so long; at half of the pace at least."""
        before = len(self.stays.requests), len(self.goes.requests)
        time.sleep(seconds)
        assert len(self.stays.requests) - before[0] >= seconds
        assert len(self.goes.requests) - before[1] >= seconds

    def is_caught_up_with(self, operator: OperatorProcess, timeout: float = BACK) -> None:
        """See that the operator has found all that has changed, and told of each turn once."""
        for name in ("stays", "comes"):
            wait_for(self.cluster, self.namespace, name, "False", timeout=timeout)
        wait_until(lambda: is_probed(operator, 2), BACK, "it probes what is there, and no more")
        told = ["ModelUnready", "ModelUnready"]
        wait_until(lambda: event_reasons(self.cluster, self.namespace) == told, BACK, "both Events")
        time.sleep(2)
        assert event_reasons(self.cluster, self.namespace) == told
        assert operator.running
        assert operator.get("/livez") == "200 ok\n"
        assert operator.said("part_ended") == []


@pytest.fixture
def own_fleet(own_cluster: Cluster) -> Iterator[Fleet]:
    namespace = own_cluster.create_namespace()
    with Fleet(own_cluster, namespace) as services:
        yield services
    own_cluster.delete_namespace(namespace)


@pytest.fixture
def operator(own_control_plane: ControlPlane, own_cluster: Cluster, own_fleet: Fleet, tmp_path: Path) -> Iterator[OperatorProcess]:
    account = own_control_plane.kubeconfig_for(install_account(own_cluster))
    flags = ("--namespace", own_fleet.namespace, *QUICK, "--resync", f"{RESYNC:g}")
    with OperatorProcess(account, tmp_path, *flags) as started:
        started.wait_ready()
        own_fleet.is_well()
        yield started


class TestItsProcess:
    """What becomes of the API server's own process."""

    @lasting(5, 60)
    def test_it_is_killed_and_started_again(
        self, own_control_plane: ControlPlane, own_fleet: Fleet, operator: OperatorProcess, seconds: float
    ) -> None:
        own_control_plane.kill()
        own_fleet.falls_ill()
        own_fleet.is_probed_for(seconds)
        own_control_plane.restart()
        own_fleet.changes()
        own_fleet.is_caught_up_with(operator)

    @lasting(5, 20)
    def test_it_is_frozen_with_its_connections_open(
        self, own_control_plane: ControlPlane, own_fleet: Fleet, operator: OperatorProcess, seconds: float
    ) -> None:
        own_control_plane.pause()
        try:
            own_fleet.falls_ill()
            own_fleet.is_probed_for(seconds)
        finally:
            own_control_plane.resume()
        own_fleet.changes()
        own_fleet.is_caught_up_with(operator)


class TestItsAnswers:
    """What becomes of the API server's answers on their way."""

    @pytest.fixture
    def fleet(self, cluster: Cluster, namespace: str) -> Iterator[Fleet]:
        with Fleet(cluster, namespace) as services:
            yield services

    def test_each_takes_two_seconds(self, fleet: Fleet, proxy: FaultProxy, start: Callable[..., OperatorProcess]) -> None:
        operator = start()
        fleet.is_well()
        slow = proxy.rule(lambda _: True, before=lambda _: time.sleep(2))
        proxy.cut_watches()
        fleet.falls_ill()
        fleet.changes()
        fleet.is_caught_up_with(operator)
        assert slow.seen > 0

    @lasting(5, 30)
    def test_each_is_reset_in_its_middle(
        self, fleet: Fleet, proxy: FaultProxy, start: Callable[..., OperatorProcess], seconds: float
    ) -> None:
        operator = start()
        fleet.is_well()
        reset = proxy.rule(lambda request: not request.is_watch, half_answer=True)
        proxy.cut_watches()
        fleet.falls_ill()
        fleet.is_probed_for(seconds)
        fleet.changes()
        time.sleep(seconds)
        assert reset.seen > 2
        proxy.forget(reset)
        fleet.is_caught_up_with(operator)

    @lasting(6, 20)
    def test_its_watches_end_every_two_seconds(
        self, fleet: Fleet, proxy: FaultProxy, start: Callable[..., OperatorProcess], seconds: float
    ) -> None:
        operator = start("--resync", "600")
        fleet.is_well()
        changes = iter((fleet.falls_ill, fleet.changes))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            proxy.cut_watches()
            next(changes, lambda: None)()
            time.sleep(2)
        fleet.is_caught_up_with(operator)


class TestItsTrust:
    @pytest.mark.long
    def test_a_token_is_taken_back_and_another_put_in_its_file(
        self, cluster: Cluster, namespace: str, proxy: FaultProxy, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        first, second = (bound_token(cluster, name) for name in (f"{namespace}-first", f"{namespace}-second"))
        file.write_text(first + "\n")
        config = with_token_file(proxy.kubeconfig(tmp_path / "config"), file)
        flags = ("--namespace", namespace, *QUICK, "--resync", f"{RESYNC:g}")
        with Fleet(cluster, namespace) as fleet, OperatorProcess(config, tmp_path, *flags) as operator:
            operator.wait_ready()
            fleet.is_well()
            take_back(cluster, f"{namespace}-first")
            proxy.cut_watches()
            wait_until(lambda: any("credentials" in line["why"] for line in operator.said("not_listed")), 30, "its token is refused")
            fleet.falls_ill()
            fleet.is_probed_for(3)
            fleet.changes()
            file.write_text(second + "\n")
            fleet.is_caught_up_with(operator, timeout=RENEWAL + BACK)


SECRET = "/api/v1/namespaces/isvcwatch-system/secrets"


def bound_token(cluster: Cluster, secret: str) -> str:
    """A token of the operator's account that is good for as long as a Secret is there."""
    cluster.request("POST", SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}})
    body = {"spec": {"expirationSeconds": 3600, "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": secret}}}
    path = "/api/v1/namespaces/isvcwatch-system/serviceaccounts/isvcwatch/token"
    return str(cluster.request("POST", path, body)["status"]["token"])


def take_back(cluster: Cluster, secret: str) -> None:
    """End the tokens that are bound to the Secret; the API server may trust them for some 10 s more."""
    cluster.request("DELETE", f"{SECRET}/{secret}")


def with_token_file(config: Path, token_file: Path) -> Path:
    """The kubeconfig, its token in a file of its own."""
    content = yaml.safe_load(config.read_text())
    content["users"][0]["user"] = {"tokenFile": str(token_file)}
    config.write_text(yaml.safe_dump(content))
    return config
