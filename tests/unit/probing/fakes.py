"""A transport without a wire: answers by path or by whole URL, after as long as told."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from isvcwatch.client.protocols import Answer
from isvcwatch.client.transport import Phase, TimedOutError, TLSError, WireError, asks

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.client.transport import Ask

OK = Answer(200)
NO_TLS = TLSError("what answers there does not speak TLS", Phase.TLS)
UNREADY = Answer(503, b'{"error":"Model with name iris is not ready."}')


@dataclass(eq=False)
class FakeExchange:
    """A request under way."""

    transport: FakeTransport
    ask: Ask
    handles: list[asyncio.TimerHandle] = field(default_factory=list)

    def cancel(self) -> None:
        for handle in self.handles:
            handle.cancel()
        if self in self.transport.open:
            self.transport.open.remove(self)
            self.transport.cancelled += 1


@dataclass
class FakeTransport:
    """Answers at once, or after `takes` seconds; what takes longer than its timeout is timed out.

    Attributes:
        answers: by URL, by path, or "*"; at an https URL that is not among them, no TLS is spoken.
        takes: seconds, likewise.
        never: whether no timeout ends what takes longer, which would be a bug.
    """

    answers: dict[str, Answer | WireError] = field(default_factory=lambda: {"*": OK})
    takes: dict[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    own_hosts: set[bool] = field(default_factory=set)
    fresh: list[bool] = field(default_factory=list)
    open: list[FakeExchange] = field(default_factory=list)
    cancelled: int = 0
    unverified: int = 0
    never: bool = False
    most_open: int = 0
    endpoints: asks.Endpoints = field(default_factory=asks.Endpoints)

    def ask(
        self,
        url: str,
        *,
        own_host: bool,
        method: str = "GET",
        body: bytes = b"",
        verified: bool = True,
        at: tuple[str, int] | None = None,
        routed: bool = False,
    ) -> Ask:
        self.unverified += not verified
        return asks.get(url, None, self.endpoints, own_host=own_host, method=method, body=body, at=at, routed=routed)

    def start(
        self,
        ask: Ask,
        timeout: float,
        done: Callable[[Answer | WireError], None],
        *,
        doubt_after: float = math.inf,
        doubt: Callable[[], None] | None = None,
        fresh: bool = False,
    ) -> FakeExchange:
        loop = asyncio.get_running_loop()
        self.fresh.append(fresh)
        self.asked.append(ask.url)
        self.times.append(loop.time())
        self.own_hosts.add(ask.endpoint.own_host)
        exchange = FakeExchange(self, ask)
        self.open.append(exchange)
        self.most_open = max(self.most_open, len(self.open))
        takes = self._of(self.takes, ask.url, 0.0)
        came = self._of(self.answers, ask.url, NO_TLS if ask.url.startswith("https:") else OK)
        if takes >= timeout and not self.never:
            takes, came = timeout, TimedOutError("no complete answer within the timeout", Phase.ANSWER)

        def end() -> None:
            for handle in exchange.handles:
                handle.cancel()
            self.open.remove(exchange)
            done(came)

        exchange.handles.append(loop.call_later(takes, end))
        if doubt and doubt_after < takes:
            exchange.handles.append(loop.call_later(doubt_after, doubt))
        return exchange

    @staticmethod
    def _of(table: dict[str, Any], url: str, otherwise: Any) -> Any:  # noqa: ANN401
        if url.startswith("https:") and url not in table:
            return otherwise
        path = "/" + url.split("/", 3)[3]
        return next((table[key] for key in (url, path, "*") if key in table), otherwise)


class FakeMetrics:
    """Counts."""

    def __init__(self) -> None:
        self.probes: Counter[str] = Counter()
        self.discards: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.lateness: list[float] = []
        self.looks: Counter[str] = Counter()
        self.inquiries = 0

    def probe(self, outcome: str, seconds: float) -> None:
        self.probes[outcome] += 1
        self.seconds.append(seconds)

    def inquired(self) -> None:
        self.inquiries += 1

    def looked(self, result: str) -> None:
        self.looks[result] += 1

    def started(self, lateness: float) -> None:
        self.lateness.append(lateness)

    def discarded(self, cause: str) -> None:
        self.discards[cause] += 1
