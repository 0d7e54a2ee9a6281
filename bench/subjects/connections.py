"""Kept connections of the fleet's transport, and nothing else: how much memory each takes.

Settings: `{"models": [...], "warm": 100, "certificate": ""}`. So many of the models have a connection at the start, so that what the first
connections bring with them is there already; the others get theirs on the next line, and the answer to each line tells the memory.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from bench.lines import answer, say, settings
from bench.subjects.asking import process_mark
from bench.subjects.transport import open_all, transport_for, urls
from isvcwatch import process


async def main() -> None:
    given = settings()
    transport = transport_for(given["certificate"])
    asked = urls(given["models"])
    await open_all(transport, asked[: given["warm"]])

    def mark() -> dict[str, Any]:
        gc.collect()
        return process_mark() | {"open": transport.open}

    async def opened(_: dict[str, Any]) -> dict[str, Any]:
        await open_all(transport, asked[transport.open :])
        return mark()

    say(mark())
    await answer(opened)
    await transport.aclose()


if __name__ == "__main__":
    process.raise_file_limit()
    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        runner.run(main())
