"""Who waits for whom when names are looked up: nobody for a namespace that hangs, and no known name for new ones."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from isvcwatch.client.transport import NameNotFoundError, Names, Phase, ResolverError
from isvcwatch.client.transport.names import Found
from isvcwatch.client.transport.threads import WAITING
from tests.unit.clock import until

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND = ("10.0.0.1",)
EVIL = [f"evil-{n}" for n in range(8)]


@dataclass
class Resolver:
    """Finds each name, but hangs for those whose namespace is `evil` and a number, until it is freed.

    Attributes:
        now: the time on its clock.
        all_hang: whether each lookup that begins hangs.
        asked: the names whose lookups have begun.
        hung: how many lookups hang now.
        free: set once what hangs is answered.
        waiting: the lookups that the test asked for.
    """

    now: float = 0.0
    all_hang: bool = False
    asked: list[str] = field(default_factory=list)
    hung: int = 0
    free: threading.Event = field(default_factory=threading.Event)
    waiting: list[asyncio.Future[tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = Names(self._lookup, lambda: self.now)
        self._lock = threading.Lock()

    def _lookup(self, host: str) -> Found:
        free = self.free
        with self._lock:
            hangs = self.all_hang or ".evil" in host
            self.hung += hangs
            self.asked.append(host)
        if hangs:
            free.wait(20)
            with self._lock:
                self.hung -= 1
        if host.startswith("dead"):
            raise NameNotFoundError(host, Phase.NAME)
        return Found(tuple(FOUND))

    def ask(self, *hosts: str, own: bool = True) -> None:
        """Ask for names, and wait for none."""
        self.waiting += [asyncio.ensure_future(self.names.addresses(host, own=own)) for host in hosts]

    def ask_hanging(self, namespaces: int, each: int = 3) -> None:
        """Ask for names that hang, of each namespace in turn."""
        self.ask(*(f"{n}.evil-{namespace}.svc" for n in range(each) for namespace in range(namespaces)))

    async def answers(self, host: str, *, own: bool = True) -> bool:
        """Whether a name is found while nothing that hangs is freed and no time passes."""
        try:
            async with asyncio.timeout(2):
                return await self.names.addresses(host, own=own) == FOUND
        except TimeoutError:
            return False

    async def was_slow(self, *namespaces: str) -> None:
        """Have a lookup of each namespace take a second."""
        self.all_hang = True
        self.ask(*(f"at-{self.now:.0f}.{namespace}.svc" for namespace in namespaces))
        await until(lambda: self.hung == len(namespaces))
        self.now += 1.0
        self.all_hang = False
        self.release()
        await until(lambda: all(asked.done() for asked in self.waiting))

    def release(self) -> None:
        """Answer what hangs now."""
        self.free.set()
        self.free = threading.Event()


@contextmanager
def resolving() -> Iterator[Resolver]:
    resolver = Resolver()
    try:
        yield resolver
    finally:
        resolver.all_hang = False
        resolver.free.set()
        resolver.names.close()
        for asked in resolver.waiting:
            asked.cancel()


def lookup_threads() -> int:
    return sum(thread.name.startswith("names-") for thread in threading.enumerate())


@pytest.mark.parametrize("own", [True, False])
async def test_a_known_name_is_renewed_at_once_while_new_names_hang(own: bool) -> None:
    with resolving() as resolver:
        assert await resolver.answers("iris.good.svc", own=own)
        resolver.now = 60.0
        resolver.ask(*(f"{n}.evil-{n}" for n in range(1000)), own=own)
        await until(lambda: resolver.hung >= (8 if own else 4))
        assert resolver.names.known("iris.good.svc", own=own) == FOUND
        await until(lambda: resolver.asked.count("iris.good.svc") == 2)


async def test_four_namespaces_that_hang_delay_a_new_name_by_no_more_than_our_patience() -> None:
    with resolving() as resolver:
        resolver.ask_hanging(4)
        await until(lambda: resolver.hung == 8)
        resolver.now = 0.5
        assert await resolver.answers("iris.good.svc")


async def test_forty_namespaces_that_hang_delay_a_new_name_by_a_turn_of_each() -> None:
    with resolving() as resolver:
        resolver.ask_hanging(40)
        resolver.ask("iris.good.svc")
        for turn in range(1, 6):
            await until(lambda turn=turn: resolver.hung == 8 * turn)  # type: ignore[misc]
            assert "iris.good.svc" not in resolver.asked
            resolver.now += 0.5
            resolver.ask(f"{turn}.good.svc")  # a thread looks at the time
        await until(resolver.waiting[120].done)
        assert resolver.waiting[120].result() == FOUND


async def test_namespaces_that_hung_before_delay_nobody_when_they_hang_again() -> None:
    with resolving() as resolver:
        resolver.ask_hanging(40, each=1)
        for turn in range(1, 6):
            await until(lambda turn=turn: resolver.hung == 8 * turn)  # type: ignore[misc]
            resolver.now += 0.5
            resolver.ask(f"{turn}.good.svc")
        resolver.release()
        await until(lambda: resolver.hung == 0)
        resolver.ask_hanging(40, each=2)
        resolver.ask(*(f"again-{n}.evil-{n}.svc" for n in range(40)))
        await until(lambda: resolver.hung == 8)
        assert await resolver.answers("iris.good.svc")


async def test_a_namespace_that_answers_in_time_again_no_longer_waits_with_the_slow_ones() -> None:
    with resolving() as resolver:
        await resolver.was_slow("good")
        await resolver.was_slow(*EVIL)
        resolver.now += 40.0
        assert await resolver.answers("b.good.svc")
        resolver.ask(*(f"{n}.{namespace}.svc" for n in range(2) for namespace in EVIL))
        await until(lambda: resolver.hung == 8)  # nothing more of the slow may begin
        assert await resolver.answers("c.good.svc")


async def test_a_namespace_that_hung_once_goes_before_those_that_always_hang() -> None:
    with resolving() as resolver:
        for hanging in (EVIL, EVIL, ["good"]):
            await resolver.was_slow(*hanging)
        resolver.ask(*(f"third-{n}.evil-{n}.svc" for n in range(8)))
        await until(lambda: resolver.hung == 8)
        resolver.ask(*(f"fourth-{n}.evil-{n}.svc" for n in range(8)), "iris.good.svc")
        await asyncio.sleep(0)
        resolver.release()
        await until(resolver.waiting[-1].done)
        assert resolver.waiting[-1].result() == FOUND


async def test_a_resolver_that_hangs_for_all_holds_a_bounded_number_of_threads_and_answers_all_afterwards() -> None:
    with resolving() as resolver:
        resolver.all_hang = True
        resolver.ask(*(f"iris.ns-{n}.svc" for n in range(200)))
        for turn in range(1, 9):
            await until(lambda turn=turn: resolver.hung == 8 * turn)  # type: ignore[misc]
            resolver.now += 0.5
            resolver.ask(f"{turn}.ns-0.svc")
        assert lookup_threads() <= 65
        assert resolver.hung == 64
        resolver.all_hang = False
        resolver.release()
        await until(lambda: all(asked.done() for asked in resolver.waiting))
        await until(lambda: lookup_threads() <= 9)


async def test_a_namespace_of_dead_names_takes_its_turns_only() -> None:
    with resolving() as resolver:
        resolver.ask("0.evil-0.svc", *(f"{n}.evil-{n}.svc" for n in range(1, 8)))
        await until(lambda: resolver.hung == 8)
        resolver.ask(*(f"dead-{n}.dead.svc" for n in range(1000)), "iris.good.svc")
        await asyncio.sleep(0)
        resolver.release()
        await until(resolver.waiting[-1].done)
        assert resolver.asked.index("iris.good.svc") < 20


async def test_a_namespace_that_fills_the_queue_leaves_room_for_the_others() -> None:
    with resolving() as resolver:
        resolver.ask(*(f"{n}.evil-{n}.svc" for n in range(8)))
        await until(lambda: resolver.hung == 8)
        resolver.ask(*(f"{n}.evil-0.svc" for n in range(1, WAITING + 10)))
        await until(resolver.waiting[-1].done)
        with pytest.raises(ResolverError, match="too many names wait"):
            resolver.waiting[-1].result()
        resolver.now = 0.5
        assert await resolver.answers("iris.good.svc")
