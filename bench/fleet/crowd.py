"""`python -m bench.fleet.crowd PORT HOST…`: good models, which are told to fail and to be well again, and hostile ones, on loopback.

A model is known by the first parts of its path: `/good/7/…` or `/hostile/7/…`, whose way of being hostile its number gives. Which good
ones fail is said by `/control/fail/…`; `/control/arrivals` tells when each was asked, in seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import struct
import sys
import time
from collections import defaultdict
from typing import Final

GOOD: Final = tuple(f"127.1.0.{last}" for last in range(1, 33))
HOSTILE: Final = tuple(f"127.2.0.{last}" for last in range(1, 33))
"""The addresses of each."""

WAYS: Final = ("hanging", "resetting", "rotating", "redirecting", "endless")
"""The ways in which servers are hostile; a name that is dead needs none."""

ROTATION: Final = tuple(
    f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    for status, kind, body in (
        (500, "application/json", '{"error":"out of memory"}'),
        (503, "application/json", '{"error":"Model with name m is not ready."}'),
        (404, "application/json", '{"error":"Model with name m does not exist."}'),
        (401, "text/plain", "who are you?"),
        (200, "text/html", "<html>hello</html>"),
        (429, "text/plain", "too many"),
    )
)
"""What a model says that has another error each time."""


class Crowd:
    """All models."""

    def __init__(self) -> None:
        self._failing: set[int] = set()
        self._arrivals: defaultdict[int, list[float]] = defaultdict(list)
        self._turn = itertools.count()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer on one connection until it is closed."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, kind, which, *rest = head.split(b" ", 2)[1].decode().split("/")
                if kind == "good":
                    writer.write(self._good(int(which), rest))
                elif kind == "hostile":
                    await self._hostile(WAYS[int(which) % len(WAYS)], reader, writer)
                else:
                    writer.write(self._told(which, rest))
                await writer.drain()
        writer.close()

    def _good(self, number: int, rest: list[str]) -> bytes:
        if rest[:2] == ["v2", "models"]:
            self._arrivals[number].append(time.monotonic())
            if number in self._failing:
                return _answer({"error": f"Model with name model-{number} is not ready."}, "503 X")
            return _answer({"name": f"model-{number}", "ready": True})
        return _answer({"live": True, "ready": True})

    async def _hostile(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match way:
            case "hanging":
                await reader.read()  # until the asker gives up
            case "resetting":
                peer: socket.socket = writer.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.close()
                raise ConnectionResetError
            case "rotating":
                writer.write(ROTATION[next(self._turn) % len(ROTATION)])
            case "redirecting":
                writer.write(b"HTTP/1.1 302 X\r\nLocation: http://127.3.0.1/\r\nContent-Length: 0\r\n\r\n")
            case "endless":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.005)

    def _told(self, what: str, rest: list[str]) -> bytes:
        if what == "fail":
            self._failing = {int(number) for number in rest if number}
            return _answer(sorted(self._failing))
        found, self._arrivals = self._arrivals, defaultdict(list)
        return _answer(found)


def _answer(what: object, status: str = "200 OK") -> bytes:
    body = json.dumps(what)
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def _main(port: int, hosts: list[str]) -> None:
    crowd = Crowd()
    for host in hosts:
        await asyncio.start_server(crowd.serve, host, port, backlog=1024)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2:]))
