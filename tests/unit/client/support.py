"""Builders and servers for the client's tests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from isvcwatch.client import InferenceRESTClient, RESTConfig, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

BASE = "http://model.example:8080"


@dataclass
class Recorder:
    """A transport's handler: answers from a list, the last one again and again, and keeps the requests."""

    answers: Sequence[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        # A response can be read once: give a new one each time.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def targets(self) -> list[str]:
        """Paths and queries as they go onto the wire."""
        return [request.url.raw_path.decode() for request in self.requests]


@dataclass
class Pauses:
    """A clock that moves only when someone sleeps by it."""

    now: float = 1000.0
    taken: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.now += seconds

    def policy(self, retries: int = 3, **changed: Any) -> RetryPolicy:  # noqa: ANN401 - of any type
        return RetryPolicy(retries=retries, sleep=self.sleep, chance=lambda: 1.0, clock=lambda: self.now, **changed)


def answering(*answers: httpx.Response | Exception, pauses: Pauses | None = None, **config: Any) -> tuple[InferenceRESTClient, Recorder]:  # noqa: ANN401 - of any type
    """A client whose server gives these answers, and what the server saw."""
    recorder = Recorder(answers)
    settings = RESTConfig(transport=httpx.MockTransport(recorder), **config)
    policy = (pauses or Pauses()).policy(settings.retries)
    return InferenceRESTClient(settings, retry_policy=policy), recorder


def saying(status: int = 200, content: bytes | str = b"", **headers: str) -> httpx.Response:
    """A response; header names with underscores for dashes."""
    return httpx.Response(status, content=content, headers={name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Wire:
    """A real server on a loopback socket: sends what it is told to, keeps what came."""

    port: int
    seen: list[bytes]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def request_lines(self) -> list[str]:
        return [head.split(b"\r\n", 1)[0].decode() for head in self.seen]


@asynccontextmanager
async def raw_server(*replies: bytes | None, host: str = "127.0.0.1") -> AsyncIterator[Wire]:
    """Answers each request with the next reply's bytes, the last one again and again, then closes; None answers nothing and stays open."""
    seen: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        seen.append(head + await reader.readexactly(length))
        reply = replies[min(len(seen), len(replies)) - 1]
        if reply is not None:
            writer.write(reply)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield Wire(server.sockets[0].getsockname()[1], seen)
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


def http(status: str = "200 OK", body: bytes = b"", *headers: str) -> bytes:
    """An HTTP/1.1 response's bytes."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
