"""Checks the watcher's own network: whether the API server can be reached, which is always there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMEOUT: Final = 2.0
"""Seconds for a TCP connection: as long as a model is given by default, so that the check ends before its model is accused."""

APART: Final = 1.0
"""Seconds between two checks."""

LOST: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.ETIMEDOUT})
"""Errors of a connection that the network itself brings about. A refusal or a reset was sent by somebody, so the network is well."""


class Vigil:
    """Connects to the API server when asked to, and again and again while it can't be reached.

    It says nothing before it has reached the API server once: where that is reached through a proxy alone, its silence proves nothing.

    Args:
        host: the API server's.
        port: its port.
        checked: takes whether it was reached.
        connect: makes a TCP connection and closes it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        checked: Callable[[bool], None],
        connect: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._checked = checked
        self._connect = connect or _connect
        self._asked = asyncio.Event()
        self._asked.set()
        self._armed = False

    def look(self) -> None:
        """Check soon."""
        self._asked.set()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            began = time.monotonic()
            reached = await self._is_reached()
            self._armed = self._armed or reached
            if self._armed:
                self._checked(reached)
                if not reached:
                    self._asked.set()
            await asyncio.sleep(max(APART - (time.monotonic() - began), 0.0))

    async def _is_reached(self) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._connect(self._host, self._port)
        except (TimeoutError, socket.gaierror):
            return False
        except OSError as error:
            return error.errno not in LOST
        return True


async def _connect(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
