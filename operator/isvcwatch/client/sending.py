"""Sends requests: one httpx client for all base URLs, with timeouts, retries, bounds and log lines."""

from __future__ import annotations

import asyncio
import functools
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx
import structlog
from httpx._client import UseClientDefault

from isvcwatch.client.config import as_timeout
from isvcwatch.client.protocols.urls import join_url, parse_base_url, take_userinfo, without_secrets
from isvcwatch.client.tls import ssl_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from isvcwatch.client.config import CallTimeout, RESTConfig
    from isvcwatch.client.retries import RetryPolicy

ANSWER_LIMIT: Final = 1 << 20
"""Bytes of a health check's answer that are read; the rest is left on the wire. What was read is enough to say what it is."""

_HEADERS_OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""They tell how a body was sent, and no longer hold for one that was decoded and cut."""

_OVERTIME: Final = 1.05
_GRACE: Final = 0.05
"""A call's whole time is watched a little past its timeout, so that the phase which stalled names itself (ConnectTimeout, …)."""

log = structlog.get_logger("isvcwatch.client")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    Attributes:
        url: without user info.
        auth: the URL's user info; httpx would use it as well, but keep it in the URL that it logs.
    """

    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)


def below(base_url: str | httpx.URL, route: str) -> Target:
    """The target of a route below a base URL.

    Raises:
        httpx.InvalidURL: the base URL can't be used, with what to write instead.
    """
    try:
        base = parse_base_url(str(base_url))
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from None
    return _target(join_url(base, route), base.userinfo)


def as_it_is(url: str | httpx.URL) -> Target:
    """The target of a URL that is used unchanged, as an inference graph's is.

    Raises:
        httpx.InvalidURL: as `below`.
    """
    try:
        return _target(*take_userinfo(str(url)))
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from None


def _target(url: str, userinfo: tuple[str, str] | None) -> Target:
    httpx.URL(url)  # raises InvalidURL; nothing secret is left in the URL but its query, which httpx does not repeat
    return Target(url, userinfo)


class Sender:
    """An `httpx.AsyncClient` as a configuration wants it. Redirects are not followed: headers could go to another host."""

    def __init__(self, config: RESTConfig, policy: RetryPolicy) -> None:
        """Opens the client; nothing is connected yet."""
        self._config = config
        self._policy = policy
        if config.transport is None:
            # The context goes by `verify`, and proxies of the environment are honoured as KServe's SDK does.
            self._client = httpx.AsyncClient(http2=config.http2, verify=ssl_context(config), auth=config.auth)
        else:
            self._client = httpx.AsyncClient(transport=config.transport, auth=config.auth)

    async def aclose(self) -> None:
        """Closes the client and its transport."""
        await self._client.aclose()

    async def ask(self, target: Target, headers: httpx.Headers, limit: CallTimeout) -> httpx.Response:
        """GET, retried as a question may be; the body is read to `ANSWER_LIMIT`."""
        return await self._run("GET", target, headers, None, limit)

    async def post(self, target: Target, headers: httpx.Headers, body: bytes, limit: CallTimeout) -> httpx.Response:
        """POST, sent again only if it can't have arrived; the body is read whole."""
        return await self._run("POST", target, headers, body, limit)

    async def _run(self, method: str, target: Target, headers: httpx.Headers, body: bytes | None, asked: CallTimeout) -> httpx.Response:
        limit = as_timeout(self._config.timeout if isinstance(asked, UseClientDefault) else asked)
        total = limit if isinstance(limit, int | float) else None
        deadline = None if total is None else self._policy.clock() + total

        async def attempt() -> httpx.Response:
            phases = httpx.Timeout(limit) if deadline is None else httpx.Timeout(max(deadline - self._policy.clock(), 0.001))
            request = self._client.build_request(method, target.url, headers=headers, content=body, timeout=phases)
            return await self._logged(request, target)

        async with _at_most(total):
            return await self._policy.run(attempt, repeatable=body is None, deadline=deadline)

    async def _logged(self, request: httpx.Request, target: Target) -> httpx.Response:
        if not self._config.verbose:
            return await self._once(request, target)
        started = time.perf_counter()
        line = functools.partial(log.info, "request", method=request.method, url=without_secrets(target.url))
        try:
            response = await self._once(request, target)
        except BaseException as error:
            line(error=type(error).__name__, duration_ms=_ms_since(started))
            raise
        line(status=response.status_code, duration_ms=_ms_since(started))
        return response

    async def _once(self, request: httpx.Request, target: Target) -> httpx.Response:
        auth = target.auth if self._config.auth is None and target.auth else httpx.USE_CLIENT_DEFAULT
        whole = request.method == "POST"
        response = await self._client.send(request, auth=auth, stream=not whole)
        return response if whole else await _bounded(response)


async def _bounded(response: httpx.Response) -> httpx.Response:
    """The same response with its body read, or the body's beginning."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) >= ANSWER_LIMIT:
                break
    finally:
        await response.aclose()
    headers = [(key, value) for key, value in response.headers.multi_items() if key not in _HEADERS_OF_THE_WIRE]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=bytes(body[:ANSWER_LIMIT]),
        request=response.request,
        extensions=response.extensions,
    )


@asynccontextmanager
async def _at_most(total: float | None) -> AsyncIterator[None]:
    """Bounds a whole call: a server that sends a byte a second keeps within every phase's timeout, and never ends."""
    watch = asyncio.timeout(None if total is None else total * _OVERTIME + _GRACE)
    try:
        async with watch:
            yield
    except TimeoutError as error:
        if not watch.expired():
            raise
        raise httpx.ReadTimeout(f"no complete answer within {total:g} s") from error


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
