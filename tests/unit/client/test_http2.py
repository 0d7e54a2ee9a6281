"""Over HTTP/2 a server says which requests it has not processed: those are sent again, whatever they are, and no others."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import StreamEnded

from isvcwatch.client import InferenceRESTClient, RESTConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TLS = Path(__file__).parent / "tls"
ANSWER = b'{"predictions":[1]}'


def answers(connection: H2Connection, stream: int) -> None:
    connection.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
    connection.send_data(stream, ANSWER, end_stream=True)


def goes_away(last: int) -> Callable[[H2Connection, int], None]:
    """Ends the connection, and says up to which stream it has processed any."""
    return lambda connection, _: connection.close_connection(ErrorCodes.NO_ERROR, last_stream_id=last)


def refuses(connection: H2Connection, stream: int) -> None:
    connection.reset_stream(stream, ErrorCodes.REFUSED_STREAM)


def fails(connection: H2Connection, stream: int) -> None:
    connection.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)


@dataclass
class Server:
    """Does with each request in turn as it is told, and answers once nothing is told any more.

    Attributes:
        ways: what is done with the requests, in order.
        requests: how many came.
    """

    ways: list[Callable[[H2Connection, int], None]]
    requests: int = 0
    url: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, StreamEnded):
                    self.requests += 1
                    way = self.ways.pop(0) if self.ways else answers
                    assert event.stream_id is not None
                    way(connection, event.stream_id)
            writer.write(connection.data_to_send())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(*ways: Callable[[H2Connection, int], None]) -> AsyncIterator[Server]:
    server = Server(list(ways))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    tls.set_alpn_protocols(["h2"])
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await asyncio.sleep(0.05)


def client_of() -> InferenceRESTClient:
    return InferenceRESTClient(RESTConfig(http2=True, verify=str(TLS / "cert.pem"), timeout=5))


@pytest.mark.parametrize("way", [goes_away(0), refuses], ids=["GOAWAY before it", "REFUSED_STREAM"])
async def test_an_inference_that_the_server_says_it_has_not_processed_is_sent_again(way: Callable[[H2Connection, int], None]) -> None:
    async with serving(way) as server, client_of() as client:
        assert await client.infer(server.url, {"instances": [1]}, "m") == {"predictions": [1]}
        assert server.requests == 2


@pytest.mark.parametrize("way", [goes_away(1), fails], ids=["GOAWAY after it", "INTERNAL_ERROR"])
async def test_an_inference_that_the_server_may_have_processed_is_not(way: Callable[[H2Connection, int], None]) -> None:
    async with serving(way) as server, client_of() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.infer(server.url, {"instances": [1]}, "m")
        assert server.requests == 1
