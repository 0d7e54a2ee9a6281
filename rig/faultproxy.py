"""Stands between a client and an API server, and does what networks, proxies and API servers do on bad days.

Every fault is a rule: which requests it is for, and what becomes of them. The latest rule that fits is the one that counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import yaml
from aiohttp import web

from rig import kubeconfig
from rig.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") in {"true", "1"}

    @property
    def is_write(self) -> bool:
        return self.method in {"POST", "PUT", "PATCH", "DELETE"}


class Cut(Exception):  # noqa: N818 -- what a rule for events raises
    """The connection ends here, after these bytes."""

    def __init__(self, rest: bytes = b"") -> None:
        super().__init__()
        self.rest = rest


@dataclass(eq=False)
class Rule:
    """What becomes of some requests.

    Attributes:
        fits: which requests.
        status: answer so, without asking the API server.
        body: with this body; else with a Status object.
        lose_answer: the API server does it, and nobody hears of it.
        half_answer: the API server does it, and the connection is reset after half of what it answers.
        event: what becomes of each event of a watch: itself, another, several, or None for none; raises `Cut` to end the connection.
        before: called with each request that fits, before anything is done.
        after: called with each request that the API server has done, once its answer has been passed on, or before it is lost.
        times: for how many requests; None for all.
        seen: how many there were.
    """

    fits: Callable[[Request], bool]
    status: int = 0
    body: bytes = b""
    lose_answer: bool = False
    half_answer: bool = False
    event: Callable[[dict[str, Any]], dict[str, Any] | list[dict[str, Any]] | None] | None = None
    before: Callable[[Request], None] | None = None
    after: Callable[[Request], None] | None = None
    times: int | None = None
    seen: int = 0

    def takes(self, request: Request) -> bool:
        return (self.times is None or self.seen < self.times) and self.fits(request)


@dataclass(eq=False)
class FaultProxy:
    """A plain HTTP server on loopback, in a thread of its own. Use it in a `with` block.

    Attributes:
        upstream: a kubeconfig of the API server.
        requests: all that came.
    """

    upstream: Path
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._access = kubeconfig.read(self.upstream, None)
        self._rules: list[Rule] = []
        self._port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._watching: set[asyncio.Transport] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def rule(self, fits: Callable[[Request], bool], **what: Any) -> Rule:  # noqa: ANN401 -- a rule's own fields
        """From now on."""
        made = Rule(fits, **what)
        self._rules.append(made)
        return made

    def forget(self, *rules: Rule) -> None:
        """No longer; without any, all are forgotten."""
        self._rules = [rule for rule in self._rules if rules and rule not in rules]

    def kubeconfig(self, target: Path) -> Path:
        """A kubeconfig that leads here, with the same credentials."""
        config = yaml.safe_load(self.upstream.read_text())
        config["clusters"] = [{**config["clusters"][0], "cluster": {"server": f"http://127.0.0.1:{self._port}"}}]
        target.write_text(yaml.safe_dump(config))
        return target

    def cut_watches(self) -> None:
        """End every watch that is open, or has been asked for and is not open yet."""

        def cut() -> None:
            for wire in self._watching:
                wire.abort()

        self._loop.call_soon_threadsafe(cut)

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=self._access.tls), auto_decompress=True)
        app = web.Application(client_max_size=2**25)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=1) if others else None
        await self._session.close()
        await self._runner.cleanup()
        await asyncio.sleep(0.1)  # TLS connections close in the loop's next turns

    async def _serve(self, came: web.Request) -> web.StreamResponse:
        request = Request(came.method, came.path, dict(came.query), await came.read())
        self.requests.append(request)
        wire = came.transport
        assert wire is not None
        if request.is_watch:
            self._watching.add(wire)
        try:
            return await self._answer(came, request)
        finally:
            self._watching.discard(wire)

    async def _answer(self, came: web.Request, request: Request) -> web.StreamResponse:
        rule = next((rule for rule in reversed(self._rules) if rule.takes(request)), Rule(lambda _: True))
        rule.seen += 1
        if rule.before:
            await asyncio.to_thread(rule.before, request)
        if rule.status:
            said = rule.body or json.dumps({"kind": "Status", "code": rule.status, "message": "a fault that was made"}).encode()
            return web.Response(status=rule.status, body=said, content_type="application/json")
        headers = {name: value for name, value in came.headers.items() if name.lower() not in HOP_BY_HOP}
        url = self._access.server + came.raw_path
        async with self._session.request(
            came.method, url, headers=headers, data=request.body or None, timeout=aiohttp.ClientTimeout()
        ) as answer:
            passed = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            if request.is_watch and answer.status == 200 and not rule.lose_answer:
                return await self._pass_events(came, answer, passed, rule)
            body = await answer.read()
        response: web.StreamResponse = web.Response(status=answer.status, headers=passed, body=body)
        if rule.half_answer:
            response = web.StreamResponse(status=answer.status, headers={**passed, "Content-Length": str(len(body))})
        with contextlib.suppress(ConnectionError):
            if not rule.lose_answer:
                await response.prepare(came)
                await (response.write(body[: len(body) // 2]) if rule.half_answer else response.write_eof())
        if rule.after:
            await asyncio.to_thread(rule.after, request)
        if (rule.lose_answer or rule.half_answer) and came.transport:
            came.transport.abort()
        return response

    async def _pass_events(
        self, came: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str], rule: Rule
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        try:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await response.prepare(came)
                async for line in answer.content:
                    # The rules of now, so that a watch that is open already is met by those that came later.
                    applies = next((r for r in reversed(self._rules) if r.event and r.fits(_of(came))), rule)
                    event = applies.event(json.loads(line)) if applies.event else json.loads(line)
                    for passed in event if isinstance(event, list) else [] if event is None else [event]:
                        await response.write(json.dumps(passed).encode() + b"\n")
        except Cut as cut:
            with contextlib.suppress(ConnectionError):
                await response.write(cut.rest)
            assert came.transport
            came.transport.abort()
        return response


def _of(came: web.Request) -> Request:
    return Request(came.method, came.path, dict(came.query), b"")


def watches(plural: str = "inferenceservices") -> Callable[[Request], bool]:
    """Watches of a kind."""
    return lambda request: request.is_watch and request.path.rstrip("/").endswith(plural)


def lists(plural: str = "inferenceservices") -> Callable[[Request], bool]:
    """Lists of a kind."""
    return lambda request: request.method == "GET" and not request.is_watch and request.path.rstrip("/").endswith(plural)


def status_writes(request: Request) -> bool:
    """Writes of a status."""
    return request.method == "PATCH" and request.path.endswith("/status")


def event_writes(request: Request) -> bool:
    """Events that are made."""
    return request.method == "POST" and request.path.endswith("/events")
