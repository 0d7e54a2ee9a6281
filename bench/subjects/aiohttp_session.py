"""aiohttp, as its documentation says: one session; no limit on connections, since there are thousands of hosts."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from bench.lines import settings
from bench.subjects.asking import ask_all

OK = 200


async def main() -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=2)) as session:

        async def ask(model: dict[str, Any]) -> bool:
            async with session.get(model["base_url"] + f"/v2/models/{model['name']}/ready") as response:
                await response.read()
                return response.status == OK

        await ask_all(ask, settings())


if __name__ == "__main__":
    asyncio.run(main())
