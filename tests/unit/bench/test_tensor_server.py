"""The server of the client's figures: what it echoes is what was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bench.fleet.server import END, READY
from bench.fleet.tensor_server import TensorConnection
from isvcwatch.client import InferInput, InferRequest, InferResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

RAW = bytes(range(16))


class Wire(asyncio.Transport):
    """Keeps what the server writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:  # noqa: ANN401 (as in asyncio)
        self.written += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.written += b"".join(list_of_data)

    def is_closing(self) -> bool:
        return False


def connected() -> tuple[TensorConnection, Wire]:
    connection, wire = TensorConnection(delay=0.05), Wire()
    connection.connection_made(wire)
    return connection, wire


def request() -> bytes:
    tensor = InferInput("x", [4], "FP32")
    tensor.set_raw(RAW)
    body, length = InferRequest("model-0", [tensor], parameters={"binary_data_output": True}).to_rest()
    assert isinstance(body, bytes)
    return (
        b"POST /v2/models/model-0/infer HTTP/1.1\r\nContent-Length: %d\r\nInference-Header-Content-Length: %d\r\n\r\n"
        % (
            len(body),
            length or 0,
        )
        + body
    )


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_tensor_comes_back_however_the_request_is_split(size: int) -> None:
    connection, wire = connected()
    sent = request() * 2
    for each in (sent[: len(sent) // 2], sent[len(sent) // 2 :]):
        wire.written = b""
        for first in range(0, len(each), size):
            connection.data_received(each[first : first + size])
        head, _, body = wire.written.partition(END)
        lengths = {name: int(value) for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n")) if b"length" in name}
        answered = InferResponse.from_bytes(body, lengths[b"inference-header-content-length"])
        assert lengths[b"content-length"] == len(body)
        assert (answered.outputs[0].shape, answered.outputs[0].to_wire(binary=True)[1]) == ([4], RAW)


@pytest.mark.looptime
async def test_a_model_is_ready_after_the_delay() -> None:
    connection, wire = connected()
    connection.data_received(b"GET /v2/models/model-0/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.04)
    assert wire.written == b""
    await asyncio.sleep(0.02)
    assert wire.written == READY
