"""KServe's own client, as its documentation says: one InferenceRESTClient, `is_model_ready` in V2."""

from __future__ import annotations

import asyncio
from typing import Any

from kserve import InferenceRESTClient, RESTConfig  # type: ignore[import-not-found]  # in an environment of its own

from bench.lines import settings
from bench.subjects.asking import ask_all


async def main() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=2))

    async def ask(model: dict[str, Any]) -> bool:
        return bool(await client.is_model_ready(model["base_url"], model["name"]))

    await ask_all(ask, settings())


if __name__ == "__main__":
    asyncio.run(main())
