"""Sends requests: one httpx client for all base URLs, with timeouts, retries, bounds and log lines."""

from __future__ import annotations

import asyncio
import functools
import math
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final

import httpx
import structlog
from httpx._client import UseClientDefault

from isvcwatch.client.config import as_timeout
from isvcwatch.client.failures import explain
from isvcwatch.client.headers import handed_on
from isvcwatch.client.protocols import Answer
from isvcwatch.client.protocols.urls import join_url, parse_base_url, take_userinfo, without_secrets
from isvcwatch.client.proxies import Proxies
from isvcwatch.client.tls import lazy_context
from isvcwatch.client.transport.inflating import inflate
from isvcwatch.client.transport.riding import BODY_LIMIT, Limits, prepare, travel
from isvcwatch.client.ways import Ways

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from isvcwatch.client.config import CallTimeout, RESTConfig
    from isvcwatch.client.retries import Answered, RetryPolicy
    from isvcwatch.client.transport import Transport
    from isvcwatch.client.transport.riding import Came, Journey

    HeaderTypes = Mapping[str, str] | None

ANSWER_LIMIT: Final = 1 << 20
"""The most bytes of a health check's answer that are read, which is enough to judge it; the rest is not read."""

_HEADERS_OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that describe a body as it was sent, and so don't apply to one that was decoded and cut."""

REMEMBERED: Final = 1024
"""The number of health checks whose prepared requests are kept."""

_OVERTIME: Final = 1.05
_GRACE: Final = 0.05
"""Seconds by which a whole call may exceed its timeout, so that the timeout of the stalled phase is raised first (ConnectTimeout, …)."""

log = structlog.get_logger("isvcwatch.client")


@dataclass(frozen=True, slots=True, eq=False)
class Destination:
    """The destination of a request. Destinations are compared by identity, since comparing URLs is slow.

    Attributes:
        url: the URL without user info, parsed once for all calls.
        auth: the URL's user info, which is kept out of the URL, since httpx logs that.
    """

    url: httpx.URL
    auth: tuple[str, str] | None = field(default=None, repr=False)


def below(base_url: str | httpx.URL, route: str) -> Destination:
    """The destination of a route below a base URL.

    Raises:
        httpx.InvalidURL: the base URL can't be used; the message says what to write instead.
    """
    return _below(str(base_url), route)


@functools.lru_cache(maxsize=1024)
def _below(base_url: str, route: str) -> Destination:
    try:
        base = parse_base_url(base_url)
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from None
    return _target(join_url(base, route), base.userinfo)


def as_it_is(url: str | httpx.URL) -> Destination:
    """The destination of a URL that is used unchanged, as an inference graph's is.

    Raises:
        httpx.InvalidURL: as `below`.
    """
    try:
        return _target(*take_userinfo(str(url)))
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from None


def _target(url: str, userinfo: tuple[str, str] | None) -> Destination:
    return Destination(
        httpx.URL(url), userinfo
    )  # raises InvalidURL; the only secret left in the URL may be its query, which httpx does not repeat


def no_cookies() -> CookieJar:
    """A jar that takes no cookie, since a cookie that a server sets for one caller must not be sent with another caller's request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


class Reply:
    """A health check's answer.

    Attributes:
        answer: the answer that a protocol reads.
        response: makes the httpx response, for errors to refer to.
    """

    __slots__ = ("answer", "response")

    def __init__(self, answer: Answer, response: Callable[[], httpx.Response]) -> None:
        self.answer = answer
        self.response = response

    @property
    def status_code(self) -> int:
        """The HTTP status code."""
        return self.answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by name in lower case."""
        return self.answer.headers


class Sender:
    """An `httpx.AsyncClient` with a configuration's settings. It follows no redirects, since they could take headers to another host."""

    def __init__(self, config: RESTConfig, policy: RetryPolicy) -> None:
        """Opens the client; nothing is connected yet."""
        self._config = config
        self._policy = policy
        self._journeys: dict[Destination, Journey] = {}
        self._ways = (
            None if config.transport is not None else Ways(lazy_context(config), config.http2, Proxies.from_environment(os.environ))
        )
        self._client = httpx.AsyncClient(transport=config.transport or self._ways, auth=config.auth, cookies=no_cookies())

    async def aclose(self) -> None:
        """Closes the client and its transport."""
        await self._client.aclose()

    async def ask(self, target: Destination, headers: HeaderTypes, limit: CallTimeout) -> Reply:
        """Send a GET, with the retries of a health check, and read the body up to `ANSWER_LIMIT`."""
        ways = self._ways if self._ways is not None and self._is_plain(target) and self._ways.by_own(target.url) else None

        async def attempt(limits: Limits) -> Reply:
            if ways is None:
                return _reply(await self._sent("GET", target, _asking(headers), None, limits))
            journey = self._journey(ways.own, target, headers)
            turns = await ways.turn(journey.request, limits.pool)
            try:
                return _heard(await travel(ways.own, journey, limits, ANSWER_LIMIT), journey.request)
            finally:
                turns.release()

        return await self._run("GET", target, limit, attempt)

    async def post(self, target: Destination, headers: httpx.Headers, body: bytes, limit: CallTimeout) -> httpx.Response:
        """Send a POST, again only if it can't have arrived, and read the whole body."""

        async def attempt(limits: Limits) -> httpx.Response:
            return await self._sent("POST", target, headers, body, limits)

        return await self._run("POST", target, limit, attempt)

    def _is_plain(self, target: Destination) -> bool:
        """Whether a health check can be sent without httpx's client, which takes as much time as all the rest."""
        return not (target.auth or self._config.auth is not None or self._client.is_closed)

    def _journey(self, own: Transport, target: Destination, headers: HeaderTypes) -> Journey:
        if not headers and (known := self._journeys.get(target)):
            return known
        journey = prepare(own, self._client.build_request("GET", target.url, headers=_asking(headers)))
        if not headers:  # others are not kept, since their headers may contain credentials
            if len(self._journeys) >= REMEMBERED:
                self._journeys.clear()
            self._journeys[target] = journey
        return journey

    async def _sent(self, method: str, target: Destination, headers: httpx.Headers, body: bytes | None, limits: Limits) -> httpx.Response:
        """Send a request by httpx's client, and read its answer, a health check's (which has no body) up to `ANSWER_LIMIT`."""
        phases = limits.phases()
        extensions = {BODY_LIMIT: ANSWER_LIMIT} if body is None else None
        request = self._client.build_request(method, target.url, headers=headers, content=body, timeout=phases, extensions=extensions)
        auth = target.auth if self._config.auth is None and target.auth else httpx.USE_CLIENT_DEFAULT
        async with _over_by(limits.ends):
            response = await self._client.send(request, auth=auth, stream=body is None)
            return await _bounded(response) if body is None else response

    async def _run(
        self, method: str, target: Destination, asked: CallTimeout, attempt: Callable[[Limits], Coroutine[None, None, Answered]]
    ) -> Answered:
        limit = as_timeout(self._config.timeout if isinstance(asked, UseClientDefault) else asked)
        started = self._policy.clock()
        deadline, limits = None, Limits()
        if isinstance(limit, httpx.Timeout):
            limits = Limits.of(limit.as_dict())
        elif limit is not None:
            deadline = started + limit
            limits = Limits(ends=asyncio.get_running_loop().time() + limit * _OVERTIME + _GRACE)

        def attempted() -> Coroutine[None, None, Answered]:
            left = limits if deadline is None else limits.each(max(deadline - self._policy.clock(), 0.001))
            return self._logged(method, target, attempt(left)) if self._config.verbose else attempt(left)

        try:
            return await self._policy.run(attempted, repeatable=method == "GET", deadline=deadline)
        except httpx.RequestError as error:
            explain(error, method, target.url, limit, self._policy.clock() - started)
            raise

    async def _logged(self, method: str, target: Destination, sending: Coroutine[None, None, Answered]) -> Answered:
        started = time.perf_counter()
        line = functools.partial(log.info, "request", method=method, url=without_secrets(str(target.url)))
        try:
            answered = await sending
        except BaseException as error:
            line(error=type(error).__name__, duration_ms=_ms_since(started))
            raise
        line(status=answered.status_code, duration_ms=_ms_since(started))
        return answered


def _asking(headers: HeaderTypes) -> httpx.Headers:
    """The headers of a health check, made from the caller's: it accepts what is inflated here, and not all that httpx can inflate."""
    kept = handed_on(headers)
    kept.setdefault("accept-encoding", "gzip, deflate")
    return kept


def _reply(response: httpx.Response) -> Reply:
    return Reply(Answer(response.status_code, response.content, dict(response.headers)), lambda: response)


def _heard(came: Came, request: httpx.Request) -> Reply:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in came.headers}
    if "content-encoding" not in headers:
        return Reply(
            Answer(came.status, came.body, headers),
            lambda: httpx.Response(came.status, headers=came.headers, content=came.body, request=request),
        )
    return _reply(_inflated(came.status, httpx.Headers(came.headers), came.body, request))


async def _bounded(response: httpx.Response) -> httpx.Response:
    """Read a response's body, up to the limit."""
    if response.is_stream_consumed:  # a transport of the caller's own has read and inflated it already
        return response
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) >= ANSWER_LIMIT:
                break
    finally:
        await response.aclose()
    return _inflated(response.status_code, response.headers, bytes(body[:ANSWER_LIMIT]), response.request)


def _inflated(status: int, headers: httpx.Headers, body: bytes, request: httpx.Request) -> httpx.Response:
    """A response with the content of its body, up to the limit. httpx would inflate all of it, and a server can make gigabytes of it.

    Raises:
        httpx.DecodingError: the body is not what its coding says.
    """
    try:
        content = inflate(body, headers.get("content-encoding", ""), ANSWER_LIMIT)
    except ValueError as error:
        raise httpx.DecodingError(str(error), request=request) from error
    kept = [(name, value) for name, value in headers.multi_items() if name not in _HEADERS_OF_THE_WIRE]
    return httpx.Response(status, headers=kept, content=content[:ANSWER_LIMIT], request=request)


@asynccontextmanager
async def _over_by(ends: float) -> AsyncIterator[None]:
    """Limits a whole exchange to a time on the loop's clock, whatever transport carries it."""
    watch = asyncio.timeout_at(None if ends == math.inf else ends)
    try:
        async with watch:
            yield
    except TimeoutError as error:
        if not watch.expired():
            raise
        raise httpx.ReadTimeout("") from error  # the text is added by a caller that knows the URL


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
