"""A connection over TLS, made for many short exchanges.

The event loops' own TLS asks OpenSSL for 256 KiB at a time, and goes on until OpenSSL raises an error. Here an answer of one record is
read by one call, and a connection takes less memory: a quarter less than on uvloop, and far less than on asyncio's loop, which keeps a
buffer of 256 KiB for each.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import partial
from typing import TYPE_CHECKING, Final

from isvcwatch.client.transport.connection import Connection
from isvcwatch.client.transport.errors import from_handshake

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.client.transport.asks import Endpoint
    from isvcwatch.client.transport.connection import Owner

RECORD: Final = 16 * 1024
"""The most bytes of content in a TLS record."""

LITTLE: Final = 1024
"""Bytes that hold nearly every answer about health. Room for a whole record is far dearer to get."""


class Pipes:
    """The two ways of encrypted bytes between connections and OpenSSL, which all connections of an owner share.

    Each is empty whenever the event loop is given control, so that no connection finds another one's bytes in it: what goes out is sent at
    once, and OpenSSL takes all that has come in, the beginnings of records as well.
    """

    __slots__ = ("incoming", "outgoing")

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()


class SecureConnection(Connection):
    """One connection to an endpoint, over TLS."""

    __slots__ = ("_error", "_incoming", "_outgoing", "_shaken", "_tls", "_unwritten")

    def __init__(self, endpoint: Endpoint, owner: Owner, context: ssl.SSLContext) -> None:
        super().__init__(endpoint, owner)
        self._incoming, self._outgoing = owner.pipes.incoming, owner.pipes.outgoing
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=endpoint.host)
        self._shaken: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self._error: Exception | None = None
        self._unwritten: bytes | memoryview = b""

    async def secured(self) -> None:
        """Wait until the TLS handshake has ended.

        Raises:
            TLSError, ssl.SSLError, OSError, EOFError: it failed, or the connection ended before.
        """
        if self._shaken is not None:
            await self._shaken
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Close at once, without telling the exchange."""
        self._shake_ended()
        super().abort()

    def _send(self, payload: bytes) -> None:
        self._write(memoryview(payload) if len(payload) > RECORD else payload)

    def _write(self, content: bytes | memoryview) -> None:
        """Encrypt and send. What TLS can't take yet, since the server began to negotiate anew, waits for the next bytes from the server."""
        try:
            while len(content) > RECORD:
                content = content[self._tls.write(content[:RECORD]) :]
                self._flush()
            self._tls.write(content)
            content = b""
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
        self._flush()
        self._unwritten = content

    def _flush(self) -> None:
        if self._outgoing.pending:
            encrypted = self._outgoing.read()
            if self._wire is not None and not self._wire.is_closing():
                self._wire.write(encrypted)

    def _go_on(self) -> None:
        """Send what had to wait for bytes from the server."""
        if self._unwritten and self.usable:
            self._write(self._unwritten)

    def _fail(self, error: Exception) -> None:
        """Close since TLS has failed; `connection_lost` then tells the exchange."""
        self._error = error
        self._flush()  # an alert tells the server why, if the event loop sends it at once
        self._hang_up()

    def _shake(self) -> None:
        """Go on with the handshake."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._incoming.read()
            self._fail(from_handshake(error, agreed=self._tls.cipher() is not None))
            self._shake_ended()
        else:
            self._shake_ended()
        self._flush()

    def _shake_ended(self) -> None:
        shaken, self._shaken = self._shaken, None
        if shaken is not None and not shaken.done():
            shaken.set_result(None)

    # Methods that the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, now that the TCP connection is made."""
        super().connection_made(transport)
        self._shake()

    def data_received(self, data: bytes) -> None:
        """Take encrypted bytes."""
        self._incoming.write(data)
        if self._shaken is not None:
            self._shake()
            if self._shaken is not None or self._error is not None:
                return
        size = LITTLE if len(data) <= LITTLE else RECORD
        parts: list[bytes] = []
        then: Callable[[], None] | None = None
        try:
            while part := self._tls.read(size):
                parts.append(part)
                if len(part) < size and not self._incoming.pending:
                    break
            else:  # the server says that no more comes
                self._incoming.read()
                then = self._hang_up
        except ssl.SSLWantReadError:  # part of a record has come, or what is TLS's own
            then = self._go_on
        except ssl.SSLError as error:
            self._incoming.read()
            then = partial(self._fail, error)
        self._flush()
        if parts:  # in one piece: what comes with an answer and is not part of it must not be taken for the next one
            super().data_received(b"".join(parts))
        if then is not None:
            then()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those who wait that the connection has ended."""
        if self._shaken is not None:
            self._error = exc or EOFError()
            self._shake_ended()
        elif isinstance(exc, OSError) and self._carried is not None:
            self._take_alert()
        super().connection_lost(self._error or exc)

    def _take_alert(self) -> None:
        """Take an alert that came before a reset: the event loop reads nothing more once it has failed to write.

        A server with TLS 1.3 that wants a client certificate may have reset the connection when the request is sent.
        """
        assert self._wire is not None  # noqa: S101 -- the connection was made
        try:
            self._incoming.write(os.read(self._wire.get_extra_info("socket").fileno(), RECORD))
            self._tls.read(LITTLE)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._error = error
        except OSError:
            pass
        self._incoming.read()
        self._outgoing.read()
