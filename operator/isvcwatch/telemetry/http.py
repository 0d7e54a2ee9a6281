"""Serves `/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from isvcwatch.telemetry.vitals import listed, not_live, not_ready

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from isvcwatch.telemetry.metrics import Metrics
    from isvcwatch.telemetry.vitals import Sign


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
    """

    def __init__(self, metrics: Metrics, signs: Callable[[], Sequence[Sign]]) -> None:
        self._metrics = metrics
        self._signs = signs
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

    async def _exposition(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
