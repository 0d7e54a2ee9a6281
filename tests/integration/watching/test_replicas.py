"""One replica of five that fails, on real sockets: a Service that picks one at each connection, and each replica at its own address."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from isvcwatch.client.transport.names import Found
from isvcwatch.core.backing import Backing
from isvcwatch.core.edges import Turned
from isvcwatch.core.objects import ComponentSpec, DeploymentMode, InferenceService, Replica
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.step import Seen, Told
from isvcwatch.engine import Engine
from isvcwatch.probing.addresses import AddressPolicy
from rig.process import free_port
from tests.integration.watching.answers import READY, RawServer, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.core.edges import Edge

POLICY = ProbePolicy(period=0.2, timeout=0.5, edge_period=0.1)
SERVICE = "iris-predictor"
HAS_NO_MODEL = answer(404, b'{"error":"Model with name iris does not exist."}')


class Served:
    """A Service with five replicas, and an engine that watches it, its words as the cluster would keep them."""

    def __init__(self, stack: ExitStack) -> None:
        port = free_port()
        self.replicas = [stack.enter_context(RawServer(READY, port, f"127.0.0.{11 + number}")) for number in range(5)]
        turns = itertools.cycle(self.replicas)
        self.service = stack.enter_context(RawServer(lambda request: next(turns).says(request)))
        self.edges: list[Edge] = []
        self.events: list[str] = []
        policy = AddressPolicy([ip_network("127.0.0.0/8")])
        self.engine = Engine(POLICY, policy, self._write, subscribers=(self.edges.append,), survey_period=0.5)
        self.engine._transport._names._lookup = lambda _: Found(("127.0.0.1",))
        where = f"http://{SERVICE}.models.svc.cluster.local:{self.service.base_url.rpartition(':')[2]}"
        self.isvc = InferenceService(
            "uid", "models", "iris", "1", mode=DeploymentMode.STANDARD, address_url=where, predictor=ComponentSpec(model_format="sklearn")
        )
        self.behind = (Backing(SERVICE, tuple(Replica(f"127.0.0.{11 + n}", f"pod-{n}", f"node-{n % 2}") for n in range(5)), (port,)),)
        self.engine.fleet.feed("uid", Seen(self.isvc, None, self.behind))

    def _write(self, uid: str) -> None:
        asyncio.get_running_loop().call_soon(self._written, uid)

    def _written(self, uid: str) -> None:
        planned = self.engine.fleet.plan(uid)
        if planned is None:
            return
        isvc, decision = planned
        if decision.notice:
            self.events.append(decision.notice.reason)
        said = {c.type: c for c in (*(isvc.conditions or ()), *decision.conditions) if c is not None}
        self.engine.fleet.feed(uid, Told(decision))
        self.engine.fleet.feed(uid, Seen(replace(isvc, conditions=tuple(said.values())), None, self.behind))

    @property
    def verdict(self) -> tuple[str, str, str]:
        (state,) = self.engine.fleet
        found = state.model_ready
        return (found.status, found.reason, found.message) if found else ("", "", "")

    @property
    def turns(self) -> list[str]:
        return [edge.after.reason for edge in self.edges if isinstance(edge, Turned) and edge.condition == "ModelReady"]

    async def until(self, fulfilled: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not fulfilled():  # noqa: ASYNC110 -- nothing tells of it
                await asyncio.sleep(0.02)


async def test_one_of_five_without_its_model_is_told_once_named_and_over_once() -> None:
    with ExitStack() as stack:
        served = Served(stack)
        running = asyncio.ensure_future(served.engine.run())
        await served.until(lambda: served.verdict[:2] == ("True", "ModelReady"))
        served.replicas[2].answer = HAS_NO_MODEL
        await served.until(lambda: served.verdict[:2] == ("True", "SomeReplicasFail"))
        assert served.verdict[2].startswith("1 of 5 replicas fail: pod-2 on node-0 (")
        await asyncio.sleep(3)
        assert served.turns == ["ModelReady", "SomeReplicasFail"]
        assert served.events == ["SomeReplicasFail"]
        metrics = served.engine.metrics.exposition().decode()
        failed = next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("isvcwatch_model_rounds_failed_total{"))
        rounds = next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("isvcwatch_model_rounds_total{"))
        assert 0 < failed < rounds / 2
        served.replicas[2].answer = READY
        await served.until(lambda: served.verdict[:2] == ("True", "ModelReady"))
        assert served.events == ["SomeReplicasFail", "AllReplicasServe"]
        for server in served.replicas[:3]:
            server.answer = HAS_NO_MODEL
        await served.until(lambda: served.verdict[0] == "False")
        assert served.events == ["SomeReplicasFail", "AllReplicasServe", "ModelUnready"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await served.engine.aclose()
