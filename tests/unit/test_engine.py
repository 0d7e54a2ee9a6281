"""The probing side as one, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from isvcwatch.core.conditions import Status
from isvcwatch.core.step import Gone, Seen
from isvcwatch.engine import Engine
from isvcwatch.probing.addresses import AddressPolicy
from tests.unit.builders import ALL_WELL, DEFAULTS, isvc, saying
from tests.unit.probing.loopback import answering, unused_port
from tests.unit.probing.steady import steady_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

QUICK = replace(DEFAULTS, period=0.2, timeout=0.3, edge_period=0.1)
READY = answering(b'{"name":"iris","ready":true}')
UNREADY = answering(b'{"error":"not yet"}', "503 Service Unavailable")


class Stage:
    """An engine that has been told of services."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.engine = Engine(QUICK, AddressPolicy([ip_network("127.0.0.0/8")]), self.requests.append)

    def hear(self, uid: str, url: str) -> None:
        self.engine.fleet.feed(uid, Seen(isvc(uid=uid, name=uid, address_url=url)))

    def status(self, uid: str) -> Status | None:
        planned = self.engine.fleet.plan(uid)
        return next((Status(c.status) for c in planned[1].conditions if c.type == "ModelReady"), None) if planned else None

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not happened():  # noqa: ASYNC110 -- all that can be seen from outside
                await asyncio.sleep(0.01)

    def samples(self) -> dict[tuple[str, str], float]:
        """Every series by its name and the first of its labels' values."""
        families = text_string_to_metric_families(self.engine.metrics.exposition().decode())
        return {(s.name, next(iter(s.labels.values()), "")): s.value for family in families for s in family.samples}


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    task = asyncio.create_task(made.engine.run())
    try:
        yield made
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.engine.aclose()


async def test_a_healthy_model_is_asked_on_one_connection_and_told_once() -> None:
    async with steady_server(READY) as server, stage() as on:
        on.hear("iris", server.url)
        await on.until(lambda: len(server.requests) >= 5)
        assert on.status("iris") is Status.TRUE
        assert on.requests == ["iris"]
        assert server.connections == 1
        samples = on.samples()
        assert samples["isvcwatch_connections_opened_total", ""] == samples["isvcwatch_connections_open", ""] == 1
        assert samples["isvcwatch_connections_reused_total", ""] >= 4
        assert samples["isvcwatch_probes_total", "ModelReady"] >= 5
        assert samples["isvcwatch_probe_start_lateness_seconds_count", ""] >= 5
        assert samples["isvcwatch_rounds_in_flight", ""] <= 1


async def test_a_model_that_falls_ill_and_recovers_is_told_each_time() -> None:
    async with steady_server(READY) as server, stage() as on:
        on.hear("iris", server.url)
        await on.until(lambda: on.status("iris") is Status.TRUE)
        server.answer = UNREADY
        await on.until(lambda: on.status("iris") is Status.FALSE)
        server.answer = READY
        await on.until(lambda: on.status("iris") is Status.TRUE)
    assert on.requests == ["iris"] * 3


async def test_where_nothing_listens_that_is_told() -> None:
    async with stage() as on:
        on.hear("iris", f"http://127.0.0.1:{unused_port()}")
        await on.until(lambda: on.status("iris") is Status.FALSE)
        assert on.samples()["isvcwatch_probes_total", "ConnectionRefused"] >= 3


async def test_a_service_that_is_gone_is_asked_no_more_and_leaves_no_series() -> None:
    async with steady_server(READY) as server, stage() as on:
        on.hear("iris", server.url)
        await on.until(lambda: on.status("iris") is Status.TRUE)
        assert on.samples()["isvcwatch_targets", "probed"] == 1
        on.engine.fleet.feed("iris", Gone())
        asked = len(server.requests)
        await asyncio.sleep(0.5)
        assert len(server.requests) == asked
        assert on.samples()["isvcwatch_targets", "probed"] == 0


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_server_that_hangs_disturbs_no_other(hangs: bool) -> None:
    async with (
        steady_server(answering(b'{"name":"well","ready":true}')) as well,
        steady_server(b"" if hangs else UNREADY) as ill,
        stage() as on,
    ):
        on.hear("well", well.url)
        on.hear("ill", ill.url)
        await on.until(lambda: on.status("ill") is Status.FALSE)
        assert on.status("well") is Status.TRUE
        planned = on.engine.fleet.plan("ill")
        assert planned is not None
        reasons = {c.reason for c in planned[1].conditions}
        assert reasons == {"TimedOut"} if hangs else "ModelNotReady" in reasons


async def test_a_fleet_that_falls_silent_at_once_is_not_accused_and_the_watcher_says_so() -> None:
    async with stage() as on:
        port = unused_port()
        for number in range(12):
            said = isvc(uid=str(number), name=str(number), address_url=f"http://127.0.0.1:{port}", conditions=saying(ALL_WELL))
            on.engine.fleet.feed(said.uid, Seen(said))
        await on.until(lambda: on.samples()["isvcwatch_watcher_impaired", ""] == 1)
        await asyncio.sleep(0.5)
        assert on.requests == []
