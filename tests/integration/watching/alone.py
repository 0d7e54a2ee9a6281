"""The engine without a cluster, in a process of its own that can be stopped: says what it holds to be so when asked by a line.

Arguments: whether to run on uvloop ("yes" or "no"), whether its own lateness is looked at ("no" shows what it is for), and models' URLs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from ipaddress import ip_network
from typing import TYPE_CHECKING

import structlog

from isvcwatch import process
from isvcwatch.core.objects import DeploymentMode, InferenceService
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.step import Seen
from isvcwatch.engine import Engine
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.lateness import Lateness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import EventDict

POLICY = ProbePolicy(period=0.2, timeout=0.5, edge_period=0.1, failure_threshold=1)

NAMED = {"isvcwatch.dev/model-name": "iris"}


async def main(urls: Sequence[str], turns: list[str]) -> None:
    engine = Engine(POLICY, AddressPolicy([ip_network("127.0.0.0/8")]), lambda _: None)
    running = asyncio.ensure_future(engine.run())
    for number, url in enumerate(urls):
        isvc = InferenceService(
            f"uid-{number}", f"models-{number}", f"iris-{number}", "1", mode=DeploymentMode.STANDARD, address_url=url, annotations=NAMED
        )
        engine.fleet.feed(isvc.uid, Seen(isvc))
    asked = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while await asked.readline():
        late = next(line for line in engine.metrics.exposition().decode().splitlines() if 'cause="late"' in line)
        sys.stdout.write(json.dumps({"turns": turns, "late": float(late.split()[1])}) + "\n")
        sys.stdout.flush()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await engine.aclose()


def run(uvloop: str, lateness: str, *urls: str) -> None:
    turns: list[str] = []

    def note(_logger: object, _method: str, event: EventDict) -> EventDict:
        if event["event"] == "transition" and event["condition"] == "ModelReady":
            turns.append(str(event["after"]))
        raise structlog.DropEvent

    structlog.configure(processors=[note])
    if lateness == "no":
        Lateness.spoiled = lambda *_: False  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=process.loop_factory() if uvloop == "yes" else None) as runner:
        runner.run(main(urls, turns))


if __name__ == "__main__":
    run(*sys.argv[1:])
