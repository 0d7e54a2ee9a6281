"""Checks the watcher's own network by what is always there: the API server, and a name that the cluster's DNS has."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from isvcwatch.client.transport import WireError
from isvcwatch.client.transport.names import Found, system_lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Check = Callable[[], Awaitable[bool]]
    """Returns whether what it checks is well."""

log = structlog.get_logger(__name__)

TIMEOUT: Final = 2.0
"""Seconds for a check: as long as a model is given by default, so that the check ends before its model is accused."""

APART: Final = 1.0
"""Seconds between two checks."""

LOST: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.ETIMEDOUT})
"""Errors of a connection that the network itself brings about. A refusal or a reset was sent by somebody, so the network is well."""

ALWAYS_THERE: Final = "kubernetes.default.svc"
"""The API server's name in every cluster."""


class Vigil:
    """Checks when asked to, and again and again while the check fails.

    Unless it must succeed, it says nothing before the check has succeeded once: an API server that is reached through a proxy alone, or a
    name that is looked up outside any cluster, proves nothing.

    Args:
        check: what to check.
        checked: takes whether the check has succeeded.
        must_succeed: whether a failure counts although the check has never succeeded yet.
    """

    def __init__(self, check: Check, checked: Callable[[bool], None], *, must_succeed: bool = False) -> None:
        self._check = check
        self._checked = checked
        self._asked = asyncio.Event()
        self._asked.set()
        self._armed = must_succeed
        self._failing = False

    def look(self) -> None:
        """Check soon."""
        self._asked.set()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            began = time.monotonic()
            well = await self._is_well()
            self._armed = self._armed or well is True
            if self._armed and well is not None:
                self._failing = not well
                self._checked(well)
            if self._failing:
                self._asked.set()
            await asyncio.sleep(max(APART - (time.monotonic() - began), 0.0))

    async def _is_well(self) -> bool | None:
        """Whether the check has succeeded; None if it could not be made, by a bug or for want of a thread, which says nothing."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._check()
        except TimeoutError:
            return False
        except Exception:  # must not end the watcher
            log.exception("check_crashed")
            return None


class Reach:
    """Checks whether a TCP connection can be made.

    Args:
        host: whom to connect to.
        port: its port.
        connect: makes a connection and closes it.
    """

    def __init__(self, host: str, port: int, connect: Callable[[str, int], Awaitable[None]] | None = None) -> None:
        self._host = host
        self._port = port
        self._connect = connect or _connect

    async def __call__(self) -> bool:
        """Whether somebody is there."""
        try:
            await self._connect(self._host, self._port)
        except socket.gaierror:
            return False
        except OSError as error:
            return error.errno not in LOST
        return True


class Lookups:
    """Checks whether a name can be looked up, past any cache.

    Only one lookup is under way at a time, in a thread that does not hold up the process's end, since it may hang for long.

    Args:
        name: a name that always exists.
        look_up: looks it up, and blocks meanwhile.
    """

    def __init__(self, name: str = ALWAYS_THERE, look_up: Callable[[str], Found] = system_lookup) -> None:
        self._name = name
        self._look_up = look_up
        self._found: asyncio.Future[bool] | None = None

    async def __call__(self) -> bool:
        """Whether it has an address. Waits for the lookup before, where that still hangs."""
        if self._found is None or self._found.done():
            loop = asyncio.get_running_loop()
            found: asyncio.Future[bool] = loop.create_future()
            threading.Thread(target=self._work, args=(loop, found), name="vigil", daemon=True).start()
            self._found = found
        return await asyncio.shield(self._found)

    def _work(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[bool]) -> None:
        try:
            end = partial(found.set_result, bool(self._look_up(self._name).addresses))
        except WireError:
            end = partial(found.set_result, False)
        except Exception as error:  # noqa: BLE001 -- passed on
            end = partial(found.set_exception, error)
        with contextlib.suppress(RuntimeError):  # raised if the loop is closed, so that nobody waits any more
            loop.call_soon_threadsafe(lambda: None if found.done() else end())


async def _connect(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
