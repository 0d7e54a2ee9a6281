"""Who is trusted by the environment, and that nobody needs to be for plain HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from isvcwatch.client import InferenceRESTClient, RESTConfig
from tests.unit.client.support import http, raw_server
from tests.unit.client.test_tls_wire import CERT, tls_server

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(("variable", "other"), [("SSL_CERT_FILE", "SSL_CERT_DIR"), ("SSL_CERT_DIR", "SSL_CERT_FILE")])
async def test_authorities_that_are_not_there_are_named_where_https_needs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, other: str, http2: bool
) -> None:
    monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "not-there.pem"))
    async with raw_server(http("200 OK", b'{"status":"alive"}')) as wire, InferenceRESTClient(RESTConfig(http2=http2)) as client:
        assert await client.is_server_live(wire.base_url) is True
        for _ in range(2):
            with pytest.raises(ValueError, match=rf"^{variable}: .*not-there\.pem"):
                await client.is_server_live("https://127.0.0.1:1")


@pytest.mark.parametrize("http2", [False, True])
async def test_authorities_of_the_environment_are_trusted(monkeypatch: pytest.MonkeyPatch, http2: bool) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERT))
    async with tls_server(asks_for_certificate=False) as (url, _), InferenceRESTClient(RESTConfig(http2=http2)) as client:
        monkeypatch.delenv("SSL_CERT_FILE")  # read when the client was made
        assert await client.is_server_live(url) is True
