"""Sends requests by our own transport, or by httpx's if they need HTTP/2 or a proxy, which ours can't do."""

from __future__ import annotations

import asyncio
import math
import ssl
from typing import TYPE_CHECKING, Final

import httpx

from isvcwatch.client.transport import Transport
from isvcwatch.client.transport.asks import DEFAULT_PORTS
from isvcwatch.client.transport.riding import Limits
from isvcwatch.client.transport.transport import IN_USE

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.client.proxies import Proxies, Proxy

AT_ONCE: Final = 100
"""The most requests under way on our own transport, as many as httpx's has connections; further ones wait in order."""

_SECURE: Final = "https"


class Ways(httpx.AsyncBaseTransport):
    """Sends each request by the transport that its URL needs.

    Attributes:
        own: our own transport.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext], http2: bool, proxies: Proxies) -> None:
        """Stores the settings; opens no connection yet.

        Args:
            tls: makes the TLS context for https servers when the first one is asked.
            http2: speak HTTP/2 where the server does.
            proxies: the environment's proxies.
        """
        self.own = Transport(tls=tls)
        self._tls = tls
        self._http2 = http2
        self._proxies = proxies if proxies.http or proxies.https else None
        self._others: dict[tuple[Proxy | None, bool], httpx.AsyncHTTPTransport] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._loop: asyncio.AbstractEventLoop | None = None
        if http2:
            self._made(None, secure=False)  # raises an error at once if h2 is not installed

    def by_own(self, url: httpx.URL) -> bool:
        """Whether our own transport can carry a request to the URL."""
        return not self._http2 and self._proxy(url) is None

    async def turn(self, request: httpx.Request, patience: float) -> asyncio.Semaphore:
        """Waits until our own transport may carry one more request. The caller releases the returned semaphore after the request.

        Raises:
            httpx.PoolTimeout: `patience` seconds have passed.
        """
        self._look_where()
        turns = self._turns
        if not turns.locked():
            await turns.acquire()  # doesn't wait
            return turns
        try:
            async with asyncio.timeout(None if patience == math.inf else patience):
                await turns.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout(f"{AT_ONCE} requests are under way already", request=request) from error
        return turns

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request.

        Raises:
            ValueError: the certificates to check the server by can't be loaded.
            RuntimeError: the transport is in use on another event loop.
            httpx.ProxyError: the environment names a proxy that can't be used.
            httpx.TransportError: there is no answer.
        """
        proxy = self._proxy(request.url)
        if proxy is None and not self._http2:
            turns = await self.turn(request, Limits.of(request.extensions.get("timeout") or {}).pool)
            try:
                return await self.own.handle_async_request(request)
            finally:
                turns.release()
        self._look_where()
        secure = request.url.scheme == _SECURE
        transport = self._others.get((proxy, secure)) or self._made(proxy, secure, request)
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self.own.aclose()
        self._look_where()
        for transport in self._others.values():
            await transport.aclose()

    def _look_where(self) -> None:
        """Drops httpx's transports if they were made on another event loop, which their connections and locks belong to."""
        running = asyncio.get_running_loop()
        if running is self._loop:
            return
        if self._loop is not None:
            if self._loop.is_running():
                raise RuntimeError(IN_USE)
            self._others.clear()
            self._turns = asyncio.Semaphore(AT_ONCE)
        self._loop = running

    def _proxy(self, url: httpx.URL) -> Proxy | None:
        if self._proxies is None:
            return None
        return self._proxies.of(url.scheme, url.host, url.port or DEFAULT_PORTS.get(url.scheme, 0))

    def _made(self, proxy: Proxy | None, secure: bool, request: httpx.Request | None = None) -> httpx.AsyncHTTPTransport:
        # A context must be given; one that no https URL will use is made without authorities, which is quick.
        tls = self._tls() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            through = None if proxy is None else httpx.Proxy(proxy.url, ssl_context=self._tls_of(proxy))
            transport = httpx.AsyncHTTPTransport(verify=tls, http2=self._http2, proxy=through)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            if proxy is None:
                raise
            raise httpx.ProxyError(f"{proxy.variable} names a proxy that can't be used: {_why(proxy, error)}", request=request) from None
        self._others[proxy, secure] = transport
        return transport

    def _tls_of(self, proxy: Proxy) -> ssl.SSLContext | None:
        return self._tls() if proxy.url.lower().startswith("https:") else None


def _why(proxy: Proxy, error: Exception) -> str:
    """The reason in our own words, since httpx's may contain the proxy's credentials."""
    scheme = proxy.url.partition("://")[0].lower()
    if isinstance(error, ImportError):
        return f"{scheme}:// needs httpx[socks]"
    if scheme not in ("http", "https", "socks5", "socks5h"):
        return f"{scheme}:// is not supported; write http://, https://, socks5:// or socks5h://"
    return "it is not a URL"
