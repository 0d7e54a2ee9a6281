"""What all subjects that ask in Python share, but for our engine: the targets, the pace, the counting. Standard library only.

Settings: `{"models": [...], "period": 10, "workers": 0}`. With no workers each target has a task that sleeps until its turn, once a period;
with some, so many tasks ask one target after another, as fast as they can.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import resource
import sys
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.lines import answer, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Model = dict[str, Any]
    Ask = Callable[[Model], Awaitable[bool]]

NEVER = 1e9
"""Seconds; connections so old are never renewed."""


@dataclass(slots=True)
class Tally:
    """What was asked since the start, and how late the starts were since the last mark, in seconds."""

    answered: int = 0
    failed: int = 0
    lateness: array[float] = field(default_factory=lambda: array("d"))

    def lateness_p99(self) -> float | None:
        late, self.lateness = self.lateness, array("d")
        return percentile(late, 0.99)


def percentile(values: array[float], share: float) -> float | None:
    """The least value that no smaller share of all exceeds; None of none."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)] if values else None


def process_mark() -> dict[str, Any]:
    """This process now: CPU of user and system in seconds, memory in KiB, open files."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "time": time.monotonic(),
        "cpu": used.ru_utime + used.ru_stime,
        "rss": pages * resource.getpagesize() // 1024,
        "files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
    }


async def ask_all(ask: Ask, given: dict[str, Any], mark: Callable[[], dict[str, Any]] = process_mark) -> None:
    """Ask as the settings say until stdin ends; on each line there, say what was done so far."""
    models, period, workers = given["models"], given["period"], given["workers"]
    tally = Tally()
    asking = _saturating(models, workers, ask, tally) if workers else _paced(models, period, ask, tally)
    tasks = [asyncio.ensure_future(task) for task in asking]

    async def marked(_: dict[str, Any]) -> dict[str, Any]:
        now = mark()
        return now | {"answered": tally.answered, "failed": tally.failed, "lateness_p99": tally.lateness_p99()}

    say({"asking": len(models)})
    await answer(marked)
    for task in tasks:
        task.cancel()


async def count(ask: Ask, model: Model, tally: Tally) -> None:
    """Ask once, and count what came of it."""
    try:
        ready = await ask(model)
    except Exception as error:  # noqa: BLE001 (whatever a library raises is no answer)
        if not tally.failed:
            print(f"first failure: {error!r}", file=sys.stderr, flush=True)
        ready = False
    if ready:
        tally.answered += 1
    else:
        tally.failed += 1


def _paced(models: list[Model], period: float, ask: Ask, tally: Tally) -> list[Any]:
    loop = asyncio.get_running_loop()
    began = loop.time() + 1

    async def watch(model: Model, due: float) -> None:
        while True:
            await asyncio.sleep(due - loop.time())
            tally.lateness.append(loop.time() - due)
            await count(ask, model, tally)
            due += period * max(1, math.ceil((loop.time() - due) / period))

    return [watch(model, began + i * period / len(models)) for i, model in enumerate(models)]


def _saturating(models: list[Model], workers: int, ask: Ask, tally: Tally) -> list[Any]:
    turns = itertools.cycle(models)

    async def work() -> None:
        for model in turns:
            await count(ask, model, tally)

    return [work() for _ in range(workers)]
