"""/livez, /readyz and /metrics, asked by a real client."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from isvcwatch.telemetry.http import AT_ONCE, BindError, HttpServer, everywhere
from isvcwatch.telemetry.metrics import Metrics
from isvcwatch.telemetry.vitals import Level, Sign, level
from tests.unit.clock import SOON, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


WELL = Sign("scheduler", "the scheduler has not ticked for 0 s")
DEAD = Sign("scheduler", "the scheduler has not ticked for 20 s", Level.CRITICAL)
WAITING = Sign("cluster", "waiting: the first list of InferenceServices", Level.WARNING, ready=False)
DOUBTFUL = Sign("network", "most models have fallen silent at once", Level.WARNING)


@asynccontextmanager
async def serving(*signs: Sign, host: str = "127.0.0.1") -> AsyncIterator[str]:
    metrics = Metrics(list, dict)
    metrics.watch_health(lambda: level(signs))
    server = HttpServer(metrics, lambda: signs)
    port = await server.start(host, 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


async def asked(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text(), answer.headers["Content-Type"]


@pytest.mark.parametrize(
    ("signs", "live", "ready", "health"),
    [
        ((WELL,), "", "", 0),
        ((WELL, DOUBTFUL), "", "", 1),
        ((WELL, WAITING), "", WAITING.words, 1),
        ((DEAD, DOUBTFUL), DEAD.words, DEAD.words, 2),
        ((DEAD, WAITING), DEAD.words, f"{DEAD.words}; {WAITING.words}", 2),
    ],
)
async def test_what_is_wrong_is_said_in_words_and_in_a_gauge(signs: tuple[Sign, ...], live: str, ready: str, health: int) -> None:
    async with serving(*signs) as url:
        assert (await asked(f"{url}/livez"))[:2] == (503 if live else 200, f"{live or 'ok'}\n")
        assert (await asked(f"{url}/readyz"))[:2] == (503 if ready else 200, f"{ready or 'ok'}\n")
        assert f"isvcwatch_operator_health_status {health}.0" in (await asked(f"{url}/metrics"))[1]


async def test_all_signs_are_listed_where_that_is_asked_for() -> None:
    async with serving(WELL, DOUBTFUL, DEAD) as url:
        status, text, _ = await asked(f"{url}/livez?verbose")
    assert status == 503
    assert text == f"[+]scheduler: {WELL.words}\n[!]network: {DOUBTFUL.words}\n[-]scheduler: {DEAD.words}\n{DEAD.words}\n"


async def test_metrics_are_in_prometheus_text_format() -> None:
    async with serving() as url:
        status, text, kind = await asked(url + "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    assert "# TYPE isvcwatch_targets gauge" in text


class Large(Metrics):
    """Metrics that no socket's buffers hold."""

    def portions(self) -> Iterator[bytes]:
        yield from [bytes(1 << 20)] * 32


async def test_one_that_does_not_read_its_scrape_is_cut_off() -> None:
    server = HttpServer(Large(list, dict), list, patience=0.1)
    port = await server.start("127.0.0.1", 0)
    try:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: server._answering == 1)
            await until(lambda: server._answering == 0)
            client.settimeout(SOON)
            read = sum(map(len, iter(lambda: client.recv(1 << 20), b"")))
        assert 0 < read < 32 << 20
    finally:
        await server.stop()


async def test_more_scrapes_than_are_answered_at_once_are_turned_away() -> None:
    server = HttpServer(Metrics(list, dict), list)
    port = await server.start("127.0.0.1", 0)
    server._answering = AT_ONCE
    try:
        assert (await asked(f"http://127.0.0.1:{port}/metrics"))[0] == 503
        server._answering = AT_ONCE - 1
        assert (await asked(f"http://127.0.0.1:{port}/metrics"))[0] == 200
    finally:
        await server.stop()


async def test_nothing_else_is_served() -> None:
    async with serving() as url:
        assert (await asked(url + "/"))[0] == 404


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_every_interface_is_that_of_ipv6_and_of_ipv4() -> None:
    """A kubelet asks by the pod's address, which is of one family or the other."""
    async with serving(host="") as url:
        port = urlsplit(url).port
        for address in ("127.0.0.1", "[::1]"):
            assert (await asked(f"http://{address}:{port}/livez"))[0] == 200


def test_every_interface_is_that_of_ipv4_where_there_is_no_ipv6() -> None:
    with everywhere(0, dual=False) as listening:
        assert listening.family == socket.AF_INET
        with socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=5):
            pass


async def test_a_port_that_is_taken_on_every_interface_says_what_to_do() -> None:
    with everywhere(0, dual=socket.has_dualstack_ipv6()) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=f"can't listen at :{port}: .*--http-bind"):
            await HttpServer(Metrics(list, dict), lambda: ()).start("", port)


async def test_a_port_that_is_taken_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = HttpServer(Metrics(list, dict), list)
        try:
            with pytest.raises(BindError, match="choose another with --http-bind"):
                await server.start("127.0.0.1", taken.getsockname()[1])
        finally:
            await server.stop()
