"""httpx, as its documentation says: one AsyncClient, nothing tuned but the timeout."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from bench.lines import settings
from bench.subjects.asking import ask_all


async def ask_by(client: httpx.AsyncClient) -> None:
    async def ask(model: dict[str, Any]) -> bool:
        response = await client.get(model["base_url"] + f"/v2/models/{model['name']}/ready")
        return response.is_success

    await ask_all(ask, settings())


async def main() -> None:
    async with httpx.AsyncClient(timeout=2) as client:
        await ask_by(client)


if __name__ == "__main__":
    asyncio.run(main())
