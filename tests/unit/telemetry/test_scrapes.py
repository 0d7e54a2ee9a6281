"""A scrape is made in portions, and once for all who ask meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from isvcwatch.telemetry.scrapes import Scrapes

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTIONS = 5


class Portions:
    """Counts the bodies that are begun and the turns of the loop between their portions."""

    def __init__(self) -> None:
        self.begun = 0
        self.turns = 0
        self.seen: list[int] = []

    def make(self) -> Iterator[bytes]:
        self.begun += 1
        for number in range(PORTIONS):
            self.seen.append(self.turns)
            yield f"{number}".encode()

    async def count(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


async def test_the_loop_has_a_turn_between_two_portions() -> None:
    portions = Portions()
    counting = asyncio.create_task(portions.count())
    assert await Scrapes(portions.make).body() == b"01234"
    counting.cancel()
    assert len(set(portions.seen)) == PORTIONS


async def test_those_who_ask_while_one_is_made_share_it() -> None:
    portions = Portions()
    scrapes = Scrapes(portions.make)
    bodies = await asyncio.gather(*(scrapes.body() for _ in range(10)))
    assert (set(bodies), portions.begun) == ({b"01234"}, 1)
    await scrapes.body()
    assert portions.begun == 2


async def test_one_who_goes_away_takes_nothing_from_the_others() -> None:
    portions = Portions()
    scrapes = Scrapes(portions.make)
    first, second = asyncio.create_task(scrapes.body()), asyncio.create_task(scrapes.body())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"01234"
    assert portions.begun == 1
