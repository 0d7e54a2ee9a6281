"""/livez, /readyz and /metrics, asked by a real client."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from isvcwatch.telemetry.http import BindError, HttpServer
from isvcwatch.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Process:
    """What is wrong with it, if anything."""

    live = ""
    ready = ""


@asynccontextmanager
async def serving(process: Process) -> AsyncIterator[str]:
    server = HttpServer(Metrics(list, dict), lambda: process.live, lambda: process.ready)
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


async def asked(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text(), answer.headers["Content-Type"]


@pytest.mark.parametrize(("path", "attribute"), [("/livez", "live"), ("/readyz", "ready")])
async def test_a_check_is_ok_or_says_what_is_wrong(path: str, attribute: str) -> None:
    process = Process()
    async with serving(process) as url:
        assert (await asked(url + path))[:2] == (200, "ok\n")
        setattr(process, attribute, "the scheduler has not ticked for 20 s")
        assert (await asked(url + path))[:2] == (503, "the scheduler has not ticked for 20 s\n")
        setattr(process, attribute, "")
        assert (await asked(url + path))[0] == 200


async def test_metrics_are_in_prometheus_text_format() -> None:
    async with serving(Process()) as url:
        status, text, kind = await asked(url + "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    assert "# TYPE isvcwatch_targets gauge" in text


async def test_nothing_else_is_served() -> None:
    async with serving(Process()) as url:
        assert (await asked(url + "/"))[0] == 404


async def test_a_port_that_is_taken_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = HttpServer(Metrics(list, dict), str, str)
        try:
            with pytest.raises(BindError, match="choose another with --http-bind"):
                await server.start("127.0.0.1", taken.getsockname()[1])
        finally:
            await server.stop()
