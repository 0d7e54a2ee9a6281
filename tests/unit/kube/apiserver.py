"""An API server for tests, on loopback: answers from a table, and keeps what it was asked."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "a-made-up-token"
SMALL_CA = Path(__file__).parents[1] / "client" / "tls" / "cert.pem"
"""Not used, for these servers speak no TLS; without one each client would read all of the system's, which takes longer than the test."""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 -- JSON
        return json.loads(self.body)


@dataclass
class ApiServer:
    """Answers each request with the next of `answers`, the last one again and again: (status, body) or (status, body, headers)."""

    answers: list[tuple[Any, ...]] = field(default_factory=lambda: [(200, {})])
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.path, dict(request.query), dict(request.headers), body))
        status, said, *rest = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        return web.Response(status=status, body=content, headers={"Content-Type": "application/json", **(rest[0] if rest else {})})

    def kubeconfig(self, directory: Path) -> str:
        return kubeconfig(directory, self.url)


@asynccontextmanager
async def api_server(*answers: tuple[Any, ...]) -> AsyncIterator[ApiServer]:
    server = ApiServer(list(answers) or [(200, {})])
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


def kubeconfig(directory: Path, url: str) -> str:
    """The path of a kubeconfig that leads to that server."""
    path = directory / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority": str(SMALL_CA)}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "broken", "context": {"cluster": "absent", "user": "u"}},
        ],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)
