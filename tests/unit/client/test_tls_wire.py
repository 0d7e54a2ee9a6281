"""TLS over a real socket: who is trusted, and whose certificate is shown."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from tests.unit.client.support import http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Made for these tests and worth nothing elsewhere: one self-signed certificate of `localhost` is server, client and authority at once.
CERT, KEY, ENCRYPTED_KEY = (Path(__file__).with_name("tls") / name for name in ("cert.pem", "key.pem", "key-encrypted.pem"))
PASSWORD = "made-up"


@asynccontextmanager
async def tls_server(*, asks_for_certificate: bool = True) -> AsyncIterator[tuple[str, list[str | None]]]:
    """Says that it is alive, by TLS; gives its URL, and the common names that clients showed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CERT)
    context.load_cert_chain(CERT, KEY)
    context.verify_mode = ssl.CERT_REQUIRED if asks_for_certificate else ssl.CERT_NONE
    shown: list[str | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject: Any = (writer.get_extra_info("peercert") or {}).get("subject", ((("commonName", None),),))
        shown.append(subject[0][0][1])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http("200 OK", b'{"status":"alive"}'))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", shown
    finally:
        server.close()


@pytest.mark.parametrize("cert", [(CERT, KEY), (str(CERT), str(ENCRYPTED_KEY), PASSWORD)])
async def test_the_clients_certificate_is_shown(cert: Any) -> None:  # noqa: ANN401 - of any type
    async with tls_server() as (url, shown), InferenceRESTClient(RESTConfig(verify=CERT, cert=cert, retries=0)) as client:
        assert await client.is_server_live(url) is True
    assert shown == ["localhost"]


@pytest.mark.parametrize("verify", [str(CERT), False, ssl.create_default_context(cafile=CERT)])
async def test_a_server_is_trusted_as_configured(verify: Any) -> None:  # noqa: ANN401 - of any type
    async with tls_server(asks_for_certificate=False) as (url, shown), InferenceRESTClient(RESTConfig(verify=verify)) as client:
        assert await client.is_server_live(url) is True
    assert shown == [None]


async def test_an_unknown_authority_is_refused_at_the_first_attempt() -> None:
    async with tls_server(asks_for_certificate=False) as (url, shown), InferenceRESTClient(RESTConfig(retries=3)) as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.is_server_live(url)
    assert shown == []


def test_a_key_without_its_password_is_refused_instead_of_asked_for_on_the_terminal() -> None:
    with pytest.raises(ValueError, match=r"^cert: .*key-encrypted"):
        InferenceRESTClient(RESTConfig(cert=(CERT, ENCRYPTED_KEY)))
