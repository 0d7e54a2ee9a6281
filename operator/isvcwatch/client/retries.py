"""Decides when a request is sent again, and how long to wait before it.

An inference is sent again only if it can't have reached the server, since it may cost money and may not be idempotent. A health
check changes nothing, so it is sent again also after a dropped connection, 429, 502 and 504. No request is sent again after a 503,
which on a readiness route is the answer.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors after which the request can't have reached the server, since there was no connection."""

DROPPED: Final = (httpx.NetworkError, httpx.RemoteProtocolError)
"""Errors of a broken connection, after which the request may have arrived."""

REFUSED_STREAM: Final = 7
"""The error code of an HTTP/2 stream that the server has not processed (RFC 9113 §7)."""

TRY_AGAIN: Final = frozenset({429, 502, 504})
"""Statuses after which a health check is sent again: too many requests, and a gateway's two for a server that did not answer."""


class HasAnswer(Protocol):
    """The answer to an attempt, such as an `httpx.Response`."""

    @property
    def status_code(self) -> int:
        """The HTTP status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, whose names are looked up in lower case."""


Answered = TypeVar("Answered", bound=HasAnswer)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a request is sent again.

    Attributes:
        retries: the most times that a request is sent again.
        base: seconds before the first retry; doubled for each further one.
        cap: the most seconds of such a wait.
        retry_after_cap: the most seconds that a server's Retry-After is honoured; a longer one is cut to this.
        sleep: waits for so many seconds; tests replace it.
        chance: returns a random number from 0 to 1, to spread the retries of clients that failed together.
        clock: a monotonic time in seconds.
        wall: the time in seconds since the epoch, for a Retry-After that is a date.
    """

    retries: int = 3
    base: float = 0.1
    cap: float = 2.0
    retry_after_cap: float = 5.0
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    async def run(self, attempt: Callable[[], Awaitable[Answered]], *, repeatable: bool, deadline: float | None) -> Answered:
        """Makes attempts for as long as another one is allowed and may help.

        Args:
            attempt: sends the request once.
            repeatable: whether the request may reach the server twice.
            deadline: the clock's time after which no attempt starts; None for none.

        Raises:
            httpx.TransportError: the last attempt failed.
        """
        for number in range(self.retries):
            try:
                response = await attempt()
            except httpx.TransportError as error:
                if not _may_repeat(error, repeatable):
                    raise
                wait = self._backoff(number)
                if not self._fits(wait, deadline):
                    raise
            else:
                if not repeatable or response.status_code not in TRY_AGAIN:
                    return response
                wait = max(self._backoff(number), self._retry_after(response))
                if not self._fits(wait, deadline):
                    return response
            await self.sleep(wait)
        return await attempt()

    def _backoff(self, number: int) -> float:
        """Seconds before the next attempt: a random part of the doubled base, at least half, so that clients do not retry together."""
        full: float = min(self.cap, self.base * 2.0 ** min(number, 32))
        return full * (0.5 + 0.5 * self.chance())

    def _retry_after(self, response: HasAnswer) -> float:
        """Seconds that the server asks to wait (RFC 9110 §10.2.3), up to the cap; 0 if it asks for none or they can't be parsed."""
        value = response.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value[:9]), self.retry_after_cap)
        try:
            date = parsedate_to_datetime(value)
            seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - self.wall()
        except (TypeError, ValueError, OverflowError):
            return 0.0
        return min(max(seconds, 0.0), self.retry_after_cap)

    def _fits(self, wait: float, deadline: float | None) -> bool:
        return deadline is None or self.clock() + wait < deadline


def _may_repeat(error: httpx.TransportError, repeatable: bool) -> bool:
    if isinstance(error, NEVER_SENT):
        return not _is_lasting(error)
    if _is_unprocessed(error):
        return True
    return repeatable and isinstance(error, DROPPED)


def _is_unprocessed(error: httpx.TransportError) -> bool:
    """Whether an HTTP/2 server says that it has not processed the request (RFC 9113 §8.7): httpcore's error carries its event.

    httpcore itself sends a request again that came after the last one which a GOAWAY names, but not where the GOAWAY names none.
    """
    for event in error.__cause__.args if error.__cause__ is not None else ():
        if hasattr(event, "last_stream_id"):
            return bool(event.last_stream_id == 0)
        if hasattr(event, "stream_id"):
            return getattr(event, "error_code", None) == REFUSED_STREAM
    return False


def _is_lasting(error: BaseException) -> bool:
    """Whether an error will not go away by another attempt, as with a certificate that is not trusted."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
