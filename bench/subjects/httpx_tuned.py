"""httpx with its limits tuned for many hosts: few kept connections, since its pool looks at all of them for each request."""

from __future__ import annotations

import asyncio

import httpx

from bench.subjects.httpx_default import ask_by


async def main() -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    async with httpx.AsyncClient(timeout=2, limits=limits) as client:
        await ask_by(client)


if __name__ == "__main__":
    asyncio.run(main())
