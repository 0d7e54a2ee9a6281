"""The fleet's transport by itself: request and answer on kept connections, started as the engine's tick starts them. Nothing is judged.

Settings: `{"models": [...], "period": 1, "certificate": ""}`.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from typing import TYPE_CHECKING, Any, Final

from bench.lines import answer, say, settings
from bench.subjects.asking import NEVER, Tally, process_mark
from isvcwatch import process
from isvcwatch.client.transport import Transport
from isvcwatch.probing.scheduler import TICK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.client.protocols import Answer
    from isvcwatch.client.transport import Ask, WireError

TIMEOUT: Final = 2.0
STARTING: Final = 30.0  # seconds
AT_ONCE: Final = 50
"""Connections opened at once: fewer than a server of the fleet lets wait."""

OK: Final = 200


def transport_for(certificate: str) -> Transport:
    """A transport that trusts the fleet, whose one certificate holds for one address alone, and that keeps connections for good."""
    if not certificate:
        return Transport(max_age=NEVER)
    trust = ssl.create_default_context(cafile=certificate)
    trust.check_hostname = False
    return Transport(tls=trust, max_age=NEVER)


def urls(models: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{model['base_url']}/v2/models/{model['name']}/ready" for model in models]


async def open_all(transport: Transport, asked: Sequence[str]) -> None:
    """Ask each URL once, so that a connection to each server is kept."""
    for first in range(0, len(asked), AT_ONCE):
        await asyncio.gather(*(transport.get(url, STARTING) for url in asked[first : first + AT_ONCE]))


class Pacing:
    """Starts each question once a period, all that have come due by one tick together."""

    def __init__(self, transport: Transport, questions: Sequence[Ask], period: float) -> None:
        self._transport = transport
        self._questions = questions
        self._rate = len(questions) / period
        self._began = transport.loop.time()
        self._started = 0
        self.tally = Tally()

    def tick(self) -> None:
        loop = self._transport.loop
        due = int((loop.time() - self._began) * self._rate)
        for number in range(self._started, due):
            self._transport.start(self._questions[number % len(self._questions)], TIMEOUT, self._ended)
        self._started = due
        loop.call_later(TICK, self.tick)

    def _ended(self, outcome: Answer | WireError) -> None:
        if not isinstance(outcome, Exception) and outcome.status == OK:
            self.tally.answered += 1
        else:
            self.tally.failed += 1


async def main() -> None:
    given = settings()
    transport = transport_for(given["certificate"])
    asked = urls(given["models"])
    await open_all(transport, asked)
    pacing = Pacing(transport, [transport.ask(url, own_host=True) for url in asked], given["period"])
    # As the engine does: what is there now stays, and what comes later is freed by its last reference.
    gc.collect()
    gc.freeze()
    gc.disable()
    pacing.tick()

    async def marked(_: dict[str, Any]) -> dict[str, Any]:
        return process_mark() | {"answered": pacing.tally.answered, "failed": pacing.tally.failed}

    say({"asking": len(asked)})
    await answer(marked)
    await transport.aclose()


if __name__ == "__main__":
    process.raise_file_limit()
    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        runner.run(main())
