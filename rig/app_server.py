"""Servers that speak no inference protocol: Ray Serve, BentoML, a Flask application. Each is started, told to be unready, and stopped."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import httpx

from rig.process import Child, free_port
from tools import envs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SERVERS = Path(__file__).with_name("servers")
READY_TIMEOUT = 90.0  # seconds; Ray takes some 10 on an idle machine

COMMANDS: Final[dict[str, tuple[Callable[[Path, int], Sequence[str | Path]], str]]] = {
    "ray": (lambda env, port: [env / "bin/python", SERVERS / "ray_app.py", str(port)], "/-/routes"),
    "bentoml": (
        lambda env, port: [env / "bin/bentoml", "serve", "bento_app:Echo", "--host", "127.0.0.1", "--port", str(port)],
        "/readyz",
    ),
    "flask": (lambda env, port: [env / "bin/python", SERVERS / "flask_app.py", str(port)], "/healthz"),
}
"""By the name of the environment: how it is started there, and a route that answers once it is up."""


class AppServer:
    """A server in a process of its own on loopback. Use it in a `with` block.

    Args:
        kind: one of `COMMANDS`.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._directory = Path(tempfile.mkdtemp(prefix="isvcwatch-app-"))
        self._child: Child | None = None
        self.port = free_port()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        command, route = COMMANDS[self._kind]
        environment = {
            "GROUND_STATE": str(self._directory),
            "PYTHONPATH": str(SERVERS),
            "BENTOML_DO_NOT_TRACK": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._child = Child(command(envs.ensure(self._kind), self.port), self._directory / "server.log", environment, cwd=self._directory)
        self._child.wait_ready(lambda: self._answers(route), READY_TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def make_unready(self) -> None:
        """Its own readiness route says no."""
        (self._directory / "unready").touch()

    def make_ready(self) -> None:
        """It says yes again."""
        (self._directory / "unready").unlink()

    def _answers(self, route: str) -> bool:
        try:
            return httpx.get(self.base_url + route, timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False
