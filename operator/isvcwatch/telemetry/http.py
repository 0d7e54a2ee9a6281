"""Serves `/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from isvcwatch.telemetry.scrapes import Scrapes
from isvcwatch.telemetry.vitals import listed, not_live, not_ready

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from isvcwatch.telemetry.metrics import Metrics
    from isvcwatch.telemetry.vitals import Sign


PATIENCE: Final = 10.0
"""Seconds in which a client must have read a scrape's answer, as long as Prometheus waits; then its connection is closed."""

AT_ONCE: Final = 8
"""Scrapes that are answered at once. What is said of fifty thousand models is 4 MB, which stay in memory until the client has read them."""


class BindError(Exception):
    """The server can't listen at the address."""


def everywhere(port: int, *, dual: bool) -> socket.socket:
    """A socket that listens on every interface.

    Args:
        port: 0 lets the system choose one.
        dual: whether it listens by IPv6 and IPv4 at once; else by IPv4 alone, for a kernel without IPv6.
    """
    if dual:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


class HttpServer:
    """Answers the kubelet's probes and Prometheus' scrapes.

    Args:
        metrics: the metrics that /metrics shows.
        signs: returns the process's signs of life at this moment.
        patience: seconds in which a client must have read a scrape's answer.
    """

    def __init__(self, metrics: Metrics, signs: Callable[[], Sequence[Sign]], patience: float = PATIENCE) -> None:
        self._scrapes = Scrapes(metrics.portions)
        self._signs = signs
        self._patience = patience
        self._answering = 0
        app = web.Application()
        app.router.add_get("/livez", self._check(not_live))
        app.router.add_get("/readyz", self._check(not_ready))
        app.router.add_get("/metrics", self._exposition)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self, host: str, port: int) -> int:
        """Listen at the address, or on every interface if `host` is empty; return the port, which the system chooses if `port` is 0."""
        await self._runner.setup()
        try:
            if host:
                await web.TCPSite(self._runner, host, port).start()
            else:
                await web.SockSite(self._runner, everywhere(port, dual=socket.has_dualstack_ipv6())).start()
        except OSError as error:
            raise BindError(f"can't listen at {host}:{port}: {error.strerror}; choose another with --http-bind") from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    def _check(self, wrong: Callable[[Sequence[Sign]], str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.Response:
            signs = self._signs()
            words = wrong(signs)
            details = listed(signs) if "verbose" in request.query else ""
            return web.Response(text=f"{details}{words or 'ok'}\n", status=503 if words else 200)

        return answer

    async def _exposition(self, request: web.Request) -> web.Response:
        """Answer a scrape, if not too many are read slowly: each holds a body of its own in memory."""
        if self._answering >= AT_ONCE:
            return web.Response(text=f"{AT_ONCE} scrapes are under way\n", status=503)
        self._answering += 1
        try:
            return await self._answer_scrape(request)
        finally:
            self._answering -= 1

    async def _answer_scrape(self, request: web.Request) -> web.Response:
        answer = web.Response(body=await self._scrapes.body(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
        try:
            async with asyncio.timeout(self._patience):
                await answer.prepare(request)
                await answer.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return answer
