"""Looks names up in threads, one lookup for each name at a time, and caches the addresses, so that a hung resolver delays no known name."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from isvcwatch.client.transport.errors import NameNotFoundError, Phase, ResolverError, WireError
from isvcwatch.client.transport.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    Lookup = Callable[[str], "Found"]

FRESH: Final = 30.0
"""Seconds that an answer is used before it is renewed, which is CoreDNS's TTL for names of Services."""

STALE: Final = 300.0
"""Seconds that an old answer is used while lookups fail."""

MISSING: Final = 2.0
"""Seconds that a failed lookup is remembered, so that many callers at once cause a single lookup."""

THREADS: Final = 8
"""Lookups of own hosts at once while none hangs."""

EACH: Final = 2
"""Lookups at once of own hosts in one namespace: a Service of type ExternalName leads to a name server that is somebody's and may hang."""

MOST: Final = 64
"""Lookups of own hosts at once, those that hang included: those of forty namespaces that hang, `THREADS` more, and some room."""

THREADS_FOR_OTHERS: Final = 4
"""Lookups at once, while none hangs, of hosts that are not the asker's own, whose name servers may be anybody's."""

EACH_OF_OTHERS: Final = 1
"""Lookups at once of those under one domain."""

MOST_OF_OTHERS: Final = 16
"""Lookups of those at once, the ones that hang included."""

FORGET: Final = 3600.0
"""Seconds after which a name that nobody asked for is dropped."""

NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Found(NamedTuple):
    """What a resolver knows of a name.

    Attributes:
        addresses: its addresses, in the resolver's order.
        canonical: the name that it is an alias of, or the name itself, perhaps with a search domain; empty if that is not known.
    """

    addresses: tuple[str, ...]
    canonical: str = ""


@dataclass(slots=True)
class _Known:
    """The cached state of a name.

    Attributes:
        addresses: the latest addresses; empty if there were none yet.
        canonical: the name that these are the addresses of, as far as the resolver tells.
        error: why the latest lookup failed; None if it succeeded.
        renew: the time of the next lookup.
        known: the time at which the addresses were looked up.
        used: the time at which they were last used.
        waiting: the futures of callers that wait for the lookup under way; None if none is.
    """

    addresses: tuple[str, ...] = ()
    canonical: str = ""
    error: WireError | None = None
    renew: float = 0.0
    known: float = 0.0
    used: float = 0.0
    waiting: list[asyncio.Future[None]] | None = field(default=None)


class Names:
    """Looks names up, for one event loop at a time.

    Own hosts and other hosts have separate threads, and in both groups so have names with addresses and names without. So a known name is
    renewed before its addresses run out, however many new names wait or hang. `Threads` says what parties whose names hang cost the others.

    A failure is remembered for `MISSING` however often it is repeated: a Service that appears must be found within seconds, namespaces take
    turns, and who asks for a name that has long been missing asks less and less often.
    """

    def __init__(self, lookup: Lookup | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup or system_lookup
        self._clock = clock
        self._entries: dict[tuple[str, bool], _Known] = {}
        self._threads = {(own, renewal): _threads(clock, own=own) for own in (True, False) for renewal in (True, False)}
        self._swept = clock()

    def known(self, host: str, *, own: bool = True) -> tuple[str, ...]:
        """The addresses of a host if they are cached, else none. If they are old, a lookup is started in the background."""
        now = self._clock()
        entry = self._entries.get((host, own))
        if entry is None or not entry.addresses or now - entry.known > STALE:
            return ()
        entry.used = now
        if now >= entry.renew:
            self._renew(host, entry, own=own)
        return entry.addresses

    async def addresses(self, host: str, *, own: bool = True) -> tuple[str, ...]:
        """The addresses of a host, in the resolver's order.

        Args:
            host: the host's name.
            own: whether it is the caller's own host; other hosts wait in a separate queue.

        Raises:
            NameNotFoundError: the name does not exist.
            ResolverError: it can't be looked up.
        """
        if found := self.known(host, own=own):
            return found
        now = self._clock()
        self._sweep(now)
        entry = self._entries.setdefault((host, own), _Known())  # keyed by `own` too, so that an own host does not wait in the other queue
        entry.used = now
        if entry.error is None or now >= entry.renew or entry.waiting is not None:
            self._renew(host, entry, own=own)
            arrived = asyncio.get_running_loop().create_future()
            assert entry.waiting is not None  # noqa: S101 -- just asked for
            entry.waiting.append(arrived)
            await arrived
        if entry.error is not None:
            raise type(entry.error)(str(entry.error), Phase.NAME)
        return entry.addresses

    def canonical(self, host: str, *, own: bool = True) -> str:
        """The name that the addresses given last are of; empty if the resolver does not tell."""
        entry = self._entries.get((host, own))
        return entry.canonical if entry is not None else ""

    def moved(self) -> None:
        """Forget the lookups that callers on the previous event loop wait for, since another loop is used from now on."""
        for entry in self._entries.values():
            entry.waiting = None

    def close(self) -> None:
        """End each thread as soon as its lookup ends."""
        for threads in self._threads.values():
            threads.close()

    def _renew(self, host: str, entry: _Known, *, own: bool) -> None:
        if entry.waiting is not None:
            return
        entry.waiting = []
        loop = asyncio.get_running_loop()

        def work() -> None:
            found: Found | WireError
            try:
                found = self._lookup(host)
            except WireError as error:
                found = error
            except Exception as error:  # noqa: BLE001 -- whatever a resolver comes up with
                found = ResolverError(f"the name {host} could not be looked up: {error}", Phase.NAME)
            with contextlib.suppress(RuntimeError):  # raised if the loop is closed, so that nobody waits any more
                loop.call_soon_threadsafe(self._arrived, host, entry, found)

        try:
            self._threads[own, bool(entry.addresses)].do(party_of(host, own=own), work)
        except WireError as error:
            loop.call_soon(self._arrived, host, entry, error)

    def _arrived(self, host: str, entry: _Known, found: Found | WireError) -> None:
        now = self._clock()
        if isinstance(found, Found) and not found.addresses:
            found = NameNotFoundError(f"the name {host} has no address", Phase.NAME)
        if isinstance(found, Found):
            entry.addresses, entry.canonical, entry.error, entry.known = found.addresses, found.canonical, None, now
            entry.renew = now + FRESH * random.uniform(0.8, 1.2)  # noqa: S311 -- jitter
        else:
            entry.error = found
            entry.renew = now + MISSING
            if isinstance(found, NameNotFoundError):
                entry.addresses = ()  # the name no longer exists; a failing resolver would keep the old addresses
        waiting, entry.waiting = entry.waiting or [], None
        for arrived in waiting:
            if not arrived.done():
                arrived.set_result(None)

    def _sweep(self, now: float) -> None:
        if now - self._swept > FORGET:
            self._swept = now
            for key in [key for key, entry in self._entries.items() if now - entry.used > FORGET and entry.waiting is None]:
                del self._entries[key]


def _threads(clock: Callable[[], float], *, own: bool) -> Threads:
    return Threads(THREADS, MOST, EACH, clock) if own else Threads(THREADS_FOR_OTHERS, MOST_OF_OTHERS, EACH_OF_OTHERS, clock)


def party_of(host: str, *, own: bool) -> str:
    """Who may be behind a name's answers: of a Service the namespace, of any other host the domain."""
    labels = host.rstrip(".").split(".")
    return ".".join(labels[1:2] if own else labels[-2:])


def is_address(host: str) -> bool:
    """Whether the host is an IP address, with or without a scope."""
    if not host or not (host[-1].isdigit() or ":" in host):
        return False
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def system_lookup(host: str) -> Found:
    """Look a host up by the system's resolver, with `/etc/hosts` and search domains. Blocks the calling thread.

    Raises:
        NameNotFoundError: the name does not exist.
        ResolverError: it can't be looked up.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except socket.gaierror as error:
        if error.errno in NO_SUCH_NAME:
            raise NameNotFoundError(f"the name {host} does not exist", Phase.NAME) from error
        raise ResolverError(f"the name {host} could not be looked up: {error.strerror}", Phase.NAME) from error
    except (UnicodeError, ValueError) as error:
        raise NameNotFoundError(f"{host} is not a name that can be looked up", Phase.NAME) from error
    addresses = tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    return Found(addresses, next((canonical for *_, canonical, _ in found if canonical), ""))
