"""KServe's own client, as its documentation says: one InferenceRESTClient in V2."""

from __future__ import annotations

import asyncio

import kserve  # type: ignore[import-not-found]  # in an environment of its own
from kserve import InferenceRESTClient, RESTConfig

from bench.lines import settings
from bench.subjects.calls import call_by


async def main() -> None:
    given = settings()
    await call_by(InferenceRESTClient(RESTConfig(protocol="v2", timeout=given["timeout"])), kserve, given)


if __name__ == "__main__":
    asyncio.run(main())
