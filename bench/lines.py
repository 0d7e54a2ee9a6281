"""How the parts of a measurement talk: a JSON line is asked on stdin, a JSON line answers on stdout. Standard library only.

The first line is a part's settings, and what it first says is that it is ready.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Said = dict[str, Any]


def settings() -> Said:
    """The first line; before `answer`."""
    given: Said = json.loads(sys.stdin.buffer.readline())
    return given


def say(said: Said) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


async def answer(do: Callable[[Said], Awaitable[Said]]) -> None:
    """Answer each line, until there are no more."""
    reader = asyncio.StreamReader(limit=2**26)  # a line may name each of many thousands of servers
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        async for line in reader:
            say(await do(json.loads(line)))
    finally:
        transport.close()
