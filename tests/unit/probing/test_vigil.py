"""The watcher's own network is checked by what is always there: the API server, and a name."""

from __future__ import annotations

import asyncio
import errno
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from isvcwatch.client.transport import NameNotFoundError, ResolverError
from isvcwatch.client.transport.names import Found
from isvcwatch.probing.vigil import APART, TIMEOUT, Lookups, Reach, Vigil
from tests.unit.threads import no_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.looptime

REFUSED = OSError(errno.ECONNREFUSED, "refused")
NO_WAY = OSError(errno.EHOSTUNREACH, "no route to host")


class Stage:
    """A vigil over a network that does as it is told.

    Attributes:
        trouble: raised by each connection; None where it is made.
        takes: seconds that a connection takes.
        found: what was found so far.
        tries: connections so far.
    """

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.takes = 0.0
        self.found: list[bool] = []
        self.tries = 0
        self.vigil = Vigil(Reach("10.0.0.1", 443, self._connect), self.found.append)

    async def _connect(self, host: str, port: int) -> None:
        assert (host, port) == ("10.0.0.1", 443)
        self.tries += 1
        await asyncio.sleep(self.takes)
        if self.trouble:
            raise self.trouble


@asynccontextmanager
async def keeping(*, at_first: Exception | None = None) -> AsyncIterator[Stage]:
    stage = Stage()
    stage.trouble = at_first
    task = asyncio.create_task(stage.vigil.run())
    await asyncio.sleep(0.1)
    yield stage
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_looks_once_at_first_and_then_only_when_asked_to() -> None:
    async with keeping() as stage:
        await asyncio.sleep(100)
        assert stage.found == [True]
        for _ in range(10):
            stage.vigil.look()
        await asyncio.sleep(10)
        assert stage.found == [True, True]


@pytest.mark.parametrize("how", [NO_WAY, "silence"])
async def test_while_nothing_is_reached_it_looks_again_and_again(how: Exception | str) -> None:
    async with keeping() as stage:
        if isinstance(how, Exception):
            stage.trouble = how
        else:
            stage.takes = 60.0
        await asyncio.sleep(APART)
        stage.vigil.look()
        await asyncio.sleep(3 * max(APART, TIMEOUT) + 0.5)
        assert stage.found[:3] == [True, False, False]
        stage.trouble, stage.takes = None, 0.0
        await asyncio.sleep(APART + TIMEOUT)
        assert stage.found[-1] is True
        tries = stage.tries
        await asyncio.sleep(60)
        assert stage.tries == tries


async def test_a_refusal_was_sent_by_somebody() -> None:
    async with keeping() as stage:
        stage.trouble = REFUSED
        stage.vigil.look()
        await asyncio.sleep(5)
        assert stage.found == [True, True]


async def test_what_was_never_reached_proves_nothing() -> None:
    async with keeping(at_first=NO_WAY) as stage:
        for _ in range(5):
            stage.vigil.look()
            await asyncio.sleep(2)
        assert stage.found == []


@pytest.mark.parametrize("before", [None, NO_WAY])
async def test_a_check_that_crashes_says_nothing_and_ends_nothing(before: Exception | None) -> None:
    with capture_logs() as lines:
        async with keeping() as stage:
            stage.trouble = before
            stage.vigil.look()
            await asyncio.sleep(APART + 0.5)
            said = stage.found.copy()
            stage.trouble = RuntimeError("a bug")
            stage.vigil.look()
            await asyncio.sleep(2 * APART)
            assert stage.found[len(said) :] in ([], [False])  # one that was under way
            stage.trouble = None
            if before is None:
                stage.vigil.look()
            await asyncio.sleep(2 * APART)
            assert stage.found[-1] is True
    assert {line["event"] for line in lines} == {"check_crashed"}


async def test_a_real_connection_is_made_and_closed() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        closed.set()

    found: list[bool] = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        vigil = Vigil(Reach("127.0.0.1", server.sockets[0].getsockname()[1]), found.append)
        task = asyncio.create_task(vigil.run())
        await asyncio.wait_for(closed.wait(), 5)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert found == [True]


class Resolver:
    """Looks names up as it is told to: finds one, finds none, fails, or hangs until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.found: Found | Exception = Found(("10.96.0.1",))
        self.free = threading.Event()
        self.free.set()

    def __call__(self, name: str) -> Found:
        self.asked.append(name)
        self.free.wait(10)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.mark.looptime(False)
class TestLookups:
    async def test_a_name_is_looked_up_each_time(self) -> None:
        resolver = Resolver()
        lookups = Lookups(look_up=resolver)
        assert await lookups() is True
        for resolver.found in (NameNotFoundError("no such name"), ResolverError("SERVFAIL"), Found(())):
            assert await lookups() is False
        resolver.found = Found(("10.96.0.1",))
        assert await lookups() is True
        assert resolver.asked == ["kubernetes.default.svc"] * 5

    async def test_of_lookups_that_hang_there_is_one_at_a_time(self) -> None:
        resolver = Resolver()
        resolver.free.clear()
        lookups = Lookups(look_up=resolver)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lookups(), 0.02)
        assert len(resolver.asked) == 1
        waiting = asyncio.ensure_future(lookups())
        await asyncio.sleep(0)
        resolver.free.set()
        assert await waiting is True
        assert len(resolver.asked) == 1

    async def test_a_lookup_that_crashes_or_has_no_thread_does_not_hold_up_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolver = Resolver()
        lookups = Lookups(look_up=resolver)
        async with asyncio.timeout(5):
            resolver.found = RuntimeError("a bug")
            with pytest.raises(RuntimeError, match="a bug"):
                await lookups()
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", no_thread)
                with pytest.raises(RuntimeError, match="can't start new thread"):
                    await lookups()
            resolver.found = Found(("10.96.0.1",))
            assert await lookups() is True
