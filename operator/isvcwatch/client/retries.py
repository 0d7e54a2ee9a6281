"""When a request is sent again, and how long to wait before.

An inference is sent again only when it can't have reached the server: it may cost money, and it may not be idempotent. A health
check asks, so it is sent again after a dropped connection, 429, 502 and 504 too. 503 is never sent again: on a readiness route it is
the answer.
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
"""No connection was there to send by."""

DROPPED: Final = (httpx.NetworkError, httpx.RemoteProtocolError)
"""The connection broke; the request may have arrived."""

TRY_AGAIN: Final = frozenset({429, 502, 504})
"""Too many requests; and two of gateways that got no answer from the server."""


class HasAnswer(Protocol):
    """What an attempt comes back with, such as an `httpx.Response`."""

    @property
    def status_code(self) -> int:
        """The HTTP status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers; names are looked up in lower case."""


Answered = TypeVar("Answered", bound=HasAnswer)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when.

    Attributes:
        retries: the most times that a request is sent again.
        base: seconds before the first retry; doubled for each further one.
        cap: the most seconds of such a wait.
        retry_after_cap: the most seconds that a server's Retry-After is honoured; a longer one is cut to this.
        sleep: waits; asyncio's unless a test counts.
        chance: a number from 0 to 1, to spread clients that failed together.
        clock: seconds, monotonic.
        wall: seconds since the epoch, for a Retry-After that is a date.
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
        """Attempts, and attempts again while that is allowed and may help.

        Args:
            attempt: sends the request once.
            repeatable: whether the request may arrive twice.
            deadline: the clock's time after which no attempt starts; None for none.

        Raises:
            httpx.TransportError: the last attempt's.
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
        """Half to all of the doubled base: apart from each other, and never at once."""
        full: float = min(self.cap, self.base * 2.0 ** min(number, 32))
        return full * (0.5 + 0.5 * self.chance())

    def _retry_after(self, response: HasAnswer) -> float:
        """Seconds that the server asks for (RFC 9110 §10.2.3), from 0 to the cap; 0 where it asks for none that can be read."""
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
    return repeatable and isinstance(error, DROPPED)


def _is_lasting(error: BaseException) -> bool:
    """A certificate that is not trusted will not be trusted a second later."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
