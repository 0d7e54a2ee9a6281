"""A model server of the V2 protocol in a process of its own, for the client's figures: it echoes a tensor, and takes its time over health.

Settings: `{"delay": 0.05}`, in seconds, after which it says that its model is ready. It says its base URL and takes no further lines.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import Any, Final, cast

import uvloop

from bench.fleet.server import END, READY
from bench.lines import answer, say, settings

BACKLOG: Final = 1024
"""Connections that may wait: more than are ever opened at once, so that none is put off by the kernel."""

LENGTHS: Final = re.compile(rb"\r\n(inference-header-)?content-length: *(\d+)", re.IGNORECASE)


class TensorConnection(asyncio.Protocol):
    """One client's connection; requests come one after another."""

    __slots__ = ("_came", "_delay", "_needed", "_transport")

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._came = bytearray()
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        if len(self._came) < self._needed:
            return
        head, end, _ = self._came.partition(END)
        if not end:
            return
        lengths = {bool(of_json): int(length) for of_json, length in LENGTHS.findall(head)}
        self._needed = len(head) + len(END) + lengths.get(False, 0)
        if len(self._came) < self._needed:
            return
        body = bytes(self._came[len(head) + len(END) : self._needed])
        self._came.clear()
        self._needed = 0
        if body:
            self._transport.writelines(_echo(body, lengths[True]))
        else:
            asyncio.get_running_loop().call_later(self._delay, self._say_ready)

    def _say_ready(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(READY)


def _echo(body: bytes, json_length: int) -> tuple[bytes, bytes]:
    """The answer to an inference request: its one tensor, as binary data."""
    asked = json.loads(body[:json_length])
    raw = body[json_length:]
    output = asked["inputs"][0] | {"parameters": {"binary_data_size": len(raw)}}
    said = json.dumps({"model_name": "model-0", "id": "1", "outputs": [output]}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ninference-header-content-length: %d\r\ncontent-length: %d\r\n\r\n"
    return head % (len(said), len(said) + len(raw)) + said, raw


async def main(delay: float) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    await asyncio.get_running_loop().create_server(lambda: TensorConnection(delay), sock=listening, backlog=BACKLOG)
    say({"base_url": f"http://127.0.0.1:{listening.getsockname()[1]}"})

    async def nothing(_: dict[str, Any]) -> dict[str, Any]:
        return {}

    await answer(nothing)


if __name__ == "__main__":
    uvloop.run(main(**settings()))
