"""A process of the fleet. Settings: `{"first": 0, "count": 5000, "lowest_port": 15000, "certificate": ""}`.

On each further line `{"kind": ..., "servers": [...]}` it turns those servers and says when each turned, by the machine's monotonic clock.
"""

from __future__ import annotations

import gc
import ssl
import time
from typing import Any

import uvloop

from bench.fleet.places import place
from bench.fleet.server import Kind, Server
from bench.lines import answer, say, settings


async def main(first: int, count: int, lowest_port: int, certificate: str) -> None:
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    servers = {number: Server(place(number, lowest_port), tls) for number in range(first, first + count)}
    for server in servers.values():
        await server.open()
    gc.collect()
    gc.freeze()
    gc.disable()  # all that comes later is freed by its last reference, and a pause here would look like a late answer

    async def turn(asked: dict[str, Any]) -> dict[str, Any]:
        turned = []
        for number in asked["servers"]:
            turned.append((number, time.monotonic()))
            await servers[number].become(Kind(asked["kind"]))
        return {"turned": turned}

    say({"listening": len(servers)})
    await answer(turn)


if __name__ == "__main__":
    uvloop.run(main(**settings()))
