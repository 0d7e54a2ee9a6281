"""Our client, as its documentation says: the same lines as KServe's."""

from __future__ import annotations

import asyncio

import isvcwatch.client
from bench.lines import settings
from bench.subjects.calls import call_by
from isvcwatch.client import InferenceRESTClient, RESTConfig


async def main() -> None:
    given = settings()
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=given["timeout"])) as client:
        await call_by(client, isvcwatch.client, given)


if __name__ == "__main__":
    asyncio.run(main())
