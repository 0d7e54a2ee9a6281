"""Our client, as its documentation says: the same two lines as KServe's."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.lines import settings
from bench.subjects.asking import ask_all
from isvcwatch.client import InferenceRESTClient, RESTConfig


async def main() -> None:
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=2)) as client:

        async def ask(model: dict[str, Any]) -> bool:
            return await client.is_model_ready(model["base_url"], model["name"])

        await ask_all(ask, settings())


if __name__ == "__main__":
    asyncio.run(main())
