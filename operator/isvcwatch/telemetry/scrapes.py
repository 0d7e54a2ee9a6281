"""Makes the body of a scrape in portions, between which the event loop has its turns, and once for all who ask meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Scrapes:
    """Makes one body at a time.

    Args:
        portions: makes a body, in portions that each take the event loop only some milliseconds.
    """

    def __init__(self, portions: Callable[[], Iterable[bytes]]) -> None:
        self._portions = portions
        self._under_way: asyncio.Task[bytes] | None = None

    async def body(self) -> bytes:
        """The body that is being made, or else one that is begun now. It is finished also if who has asked first goes away."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._make(), name="scrape")
        return await asyncio.shield(self._under_way)

    async def _make(self) -> bytes:
        made = bytearray()
        for portion in self._portions():
            made += portion
            await asyncio.sleep(0)
        return bytes(made)
