"""Exchanges on real sockets: connections kept, renewed and given up; addresses in turn; one deadline; nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from isvcwatch.client.protocols import Answer
from isvcwatch.client.transport import (
    ExhaustedError,
    NameNotFoundError,
    Names,
    Phase,
    RefusedAddressError,
    RefusedError,
    ResolverError,
    TimedOutError,
    Transport,
)
from isvcwatch.client.transport.names import Found
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.version import __version__
from tests.unit.clock import standing_clock, until
from tests.unit.probing.loopback import listening
from tests.unit.threads import no_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Server:
    """Answers each request; counts connections.

    Attributes:
        answers: to a connection before it is closed at its next request; all where None.
        silent: reads, and never answers.
    """

    answers: int | None = None
    silent: bool = False
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ready"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        answered = 0
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                if answered == self.answers:
                    return
                if not self.silent:
                    writer.write(OK)
                answered += 1
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self.open.discard(writer)


@asynccontextmanager
async def serving(server: Server | None = None) -> AsyncIterator[Server]:
    async with listening(server or Server()) as listener:
        yield listener
    await asyncio.sleep(0.01)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing but what takes the place of something that was closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def carrying(transport: Transport | None = None) -> AsyncIterator[Transport]:
    """A transport; at the end nothing of it is open and no task is left."""
    transport = transport or Transport()
    before = asyncio.all_tasks()
    yield transport
    await transport.aclose()
    await asyncio.sleep(0.01)
    assert transport.open == 0
    assert {task for task in asyncio.all_tasks() - before if "serve" not in repr(task)} == set()


class TestKeeping:
    async def test_a_connection_carries_request_after_request(self) -> None:
        async with serving() as server, carrying() as transport:
            for _ in range(3):
                assert (await transport.get(server.url, 1)).body == b"ok"
        assert (server.connections, transport.opened_total, transport.reused_total) == (1, 1, 2)

    async def test_it_is_renewed_when_it_has_come_of_age_so_that_every_replica_is_seen(self) -> None:
        async with serving() as server, carrying(Transport(max_age=0.02)) as transport:
            await transport.get(server.url, 1)
            await asyncio.sleep(0.03)
            await transport.get(server.url, 1)
            assert transport.open == 1
        assert server.connections == 2

    async def test_a_fresh_request_goes_on_a_new_connection_in_place_of_the_kept_one(self) -> None:
        async with serving() as server, carrying() as transport:
            ask = transport.ask(server.url, own_host=True)
            for fresh in (False, True, False):
                came: asyncio.Future[object] = asyncio.get_running_loop().create_future()
                transport.start(ask, 1, came.set_result, fresh=fresh)
                await came
            assert transport.open == 1
        assert (server.connections, transport.opened_total, transport.reused_total) == (2, 2, 2)

    async def test_one_that_the_server_closes_at_the_next_request_is_no_failure(self) -> None:
        async with serving(Server(answers=1)) as server, carrying() as transport:
            for _ in range(3):
                assert (await transport.get(server.url, 1)).status == 200
        assert server.connections == 3

    async def test_one_that_the_server_closes_while_it_is_free_is_gone(self) -> None:
        async with serving() as server, carrying() as transport:
            await transport.get(server.url, 1)
            for writer in list(server.open):
                writer.close()
            await asyncio.sleep(0.02)
            assert transport.open == 0
            assert (await transport.get(server.url, 1)).status == 200

    async def test_no_more_are_kept_than_may_be(self) -> None:
        async with serving() as server, carrying(Transport(most=3)) as transport:
            await asyncio.gather(*(transport.get(server.url, 1) for _ in range(8)))
            await asyncio.sleep(0.02)
            assert transport.open == 3

    async def test_of_more_servers_than_there_is_room_for_most_that_are_kept_stay_useful(self) -> None:
        async with serving() as one, serving() as two, serving() as three, serving() as four, carrying(Transport(most=3)) as transport:
            for server in (one, two, three, four) * 6:
                await transport.get(server.url, 1)
                assert transport.open <= 3
        assert transport.reused_total >= 2 * 5

    async def test_where_descriptors_have_run_out_some_that_are_free_make_room(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with serving() as server, carrying() as transport:
                await asyncio.gather(*(transport.get(server.url, 1) for _ in range(3)))
                with no_descriptor_left(), pytest.raises(TimedOutError):
                    await transport.get(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.2)
                assert transport.opened_total == 4

    async def test_where_descriptors_have_run_out_for_good_that_is_said_to_be_our_own_trouble(self) -> None:
        async with serving() as server, carrying() as transport:
            with no_descriptor_left(), pytest.raises(ExhaustedError, match="out of local resources: Too many open files"):
                await transport.get(server.url, 0.2)

    async def test_many_at_once_have_a_connection_each(self) -> None:
        async with serving() as server, carrying() as transport:
            answers = await asyncio.gather(*(transport.get(server.url, 2) for _ in range(100)))
        assert {answer.body for answer in answers} == {b"ok"}


class TestTheRequest:
    async def test_it_is_plain_and_asks_for_nothing_compressed(self) -> None:
        async with serving() as server, carrying() as transport:
            await transport.get(server.url + "?x=1", 1)
        assert server.requests == [
            b"GET /ready?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: %s\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n"
            % (server.port, f"isvcwatch/{__version__}".encode())
        ]

    async def test_a_host_that_is_not_ascii_can_not_be_looked_up(self) -> None:
        async with carrying() as transport:
            with pytest.raises(NameNotFoundError):
                await transport.get("http://bücher.example/", 1)


class TestTheDeadline:
    async def test_a_silent_server_is_given_up(self) -> None:
        async with serving(Server(silent=True)) as server, carrying() as transport:
            with standing_clock() as clock:
                asked = asyncio.ensure_future(transport.get(server.url, 5.0))
                await until(lambda: bool(server.requests))
                await clock.move(4.9)
                assert not asked.done()
                await clock.move(0.2)
                with pytest.raises(TimedOutError) as caught:
                    await asked
            assert caught.value.phase is Phase.ANSWER
            await asyncio.sleep(0)
            assert transport.open == 0

    async def test_doubt_comes_once_and_before_the_end(self) -> None:
        told: list[str] = []
        async with serving(Server(silent=True)) as server, carrying() as transport:
            with standing_clock() as clock:
                transport.start(
                    transport.ask(server.url, own_host=True),
                    5.0,
                    lambda outcome: told.append(type(outcome).__name__),
                    doubt_after=1.0,
                    doubt=lambda: told.append("doubt"),
                )
                await until(lambda: bool(server.requests))
                await clock.move(0.9)
                assert told == []
                for _ in range(4):
                    await clock.move(1.0)
                    assert told == ["doubt"]
                await clock.move(0.2)
        assert told == ["doubt", "TimedOutError"]

    async def test_an_answer_in_time_leaves_no_doubt(self) -> None:
        told: list[object] = []
        async with serving() as server, carrying() as transport:
            with standing_clock() as clock:
                ask = transport.ask(server.url, own_host=True)
                transport.start(ask, 5.0, told.append, doubt_after=1.0, doubt=lambda: told.append("doubt"))
                await until(lambda: bool(told))
                await clock.move(2.0)
                await clock.move(4.0)
        assert [type(outcome) for outcome in told] == [Answer]

    @pytest.mark.parametrize("asked_first", [False, True])
    async def test_what_is_cancelled_tells_nothing_and_closes(self, asked_first: bool) -> None:
        told: list[object] = []
        async with serving(Server(silent=True)) as server, carrying() as transport:
            with standing_clock() as clock:
                exchange = transport.start(transport.ask(server.url, own_host=True), 5.0, told.append)
                await until(lambda: bool(server.requests) or not asked_first)
                exchange.cancel()
                await clock.move(6.0)
                await until(lambda: not server.open)
            assert transport.open == 0
        assert told == []


class TestAddresses:
    async def test_they_are_tried_in_turn(self) -> None:
        async with (
            serving() as server,
            carrying(
                Transport(
                    names=Names(
                        lambda _: Found(
                            (
                                "127.0.0.9",
                                "127.0.0.1",
                            )
                        )
                    )
                )
            ) as transport,
        ):
            answer = await transport.get(f"http://model.example:{server.port}/", 1)
        assert answer.status == 200
        assert b"Host: model.example:" in server.requests[0]

    async def test_each_is_asked_about_right_before_it_is_connected_to(self) -> None:
        asked: list[tuple[str, bool]] = []

        def guard(address: str, own_host: bool) -> str:
            asked.append((address, own_host))
            return "" if address == "127.0.0.1" else "it may not be"

        names = Names(
            lambda _: Found(
                (
                    "169.254.169.254",
                    "127.0.0.1",
                )
            )
        )
        async with serving() as server, carrying(Transport(guard=guard, names=names)) as transport:
            assert (await transport.get(f"http://model.example:{server.port}/", 1, own_host=False)).status == 200
        assert asked == [("169.254.169.254", False), ("127.0.0.1", False)]

    @pytest.mark.parametrize("routed", [True, False])
    async def test_a_name_that_is_an_alias_of_anothers_is_guarded_as_anothers(self, routed: bool) -> None:
        told: list[tuple[str, str, bool]] = []

        def leads_away(*names_and_routed: Any) -> bool:  # noqa: ANN401 -- two names, and whether it is routed
            told.append(names_and_routed)
            return not routed

        def guard(_: str, own_host: bool) -> str:
            return "" if own_host else "it is another's"

        names = Names(lambda _: Found(("127.0.0.1",), "victim.other.svc.cluster.local"))
        async with serving() as server, carrying(Transport(guard=guard, leads_away=leads_away, names=names)) as transport:
            ask = transport.ask(f"http://alias.models.svc:{server.port}/", own_host=True, routed=routed)
            came: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            transport.start(ask, 1, came.set_result)
            outcome = await came
        assert told == [("alias.models.svc", "victim.other.svc.cluster.local", routed)]
        assert isinstance(outcome, RefusedAddressError) is not routed
        assert server.connections == routed

    async def test_where_none_may_be_connected_to_the_guard_says_why(self) -> None:
        async with serving() as server, carrying(Transport(guard=lambda address, _: f"{address} is loopback")) as transport:
            with pytest.raises(RefusedAddressError, match=r"127\.0\.0\.1 is loopback"):
                await transport.get(server.url, 1)
        assert server.connections == 0

    async def test_one_that_is_given_in_place_of_the_hosts_own_is_guarded_too(self) -> None:
        async with carrying(Transport(guard=AddressPolicy().objection)) as transport:
            ask = transport.ask("http://iris.models.svc/", own_host=True, at=("169.254.169.254", 80))
            came: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            transport.start(ask, 1, came.set_result)
            assert isinstance(await came, RefusedAddressError)

    async def test_where_nothing_listens_that_is_said(self) -> None:
        async with carrying() as transport:
            with pytest.raises(RefusedError):
                await transport.get("http://127.0.0.1:1/", 1)


class TestNames:
    async def test_a_resolver_that_hangs_delays_nobody_whose_address_is_known(self) -> None:
        hung = threading.Event()

        def lookup(host: str) -> Found:
            if host != "known.example":
                hung.wait(5)
            return Found(("127.0.0.1",))

        async with serving() as server, carrying(Transport(names=Names(lookup))) as transport:
            known = f"http://known.example:{server.port}/"
            await transport.get(known, 1)
            others = [transport.get(f"http://other-{n}.example:{server.port}/", 0.2) for n in range(50)]
            waiting = asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.02)
            assert (await transport.get(known, 2)).status == 200  # the lookups of the others hang for five seconds
            assert {type(outcome) for outcome in await waiting} == {ResolverError}
            hung.set()

    async def test_hosts_of_others_hold_up_none_but_one_another(self) -> None:
        hung = threading.Event()

        def lookup(host: str) -> Found:
            if host.endswith(".others.example") and not host.startswith("49."):
                hung.wait(5)
            return Found(("127.0.0.1",))

        async with serving() as server, carrying(Transport(names=Names(lookup))) as transport:
            others = [transport.get(f"http://{n}.others.example:{server.port}/", 0.3, own_host=False) for n in range(50)]
            waiting = asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.02)
            assert (await transport.get(f"http://new.example:{server.port}/", 2)).status == 200
            assert (await transport.get(f"http://49.others.example:{server.port}/", 2)).status == 200
            assert {type(outcome) for outcome in await waiting} == {ResolverError}
            hung.set()

    @pytest.mark.parametrize(
        ("own", "crowd", "single"), [(True, "x{}.full.svc", "iris.models.svc"), (False, "x{}.full.example", "iris.net")]
    )
    async def test_a_namespace_or_a_domain_whose_names_hang_holds_up_no_other(self, own: bool, crowd: str, single: str) -> None:
        hung = threading.Event()

        def lookup(host: str) -> Found:
            if "full" in host:
                hung.wait(5)
            return Found(("127.0.0.1",))

        async with serving() as server, carrying(Transport(names=Names(lookup))) as transport:
            names = [f"http://{crowd.format(n)}:{server.port}/" for n in range(100)]
            waiting = asyncio.gather(*(transport.get(name, 0.3, own_host=own) for name in names), return_exceptions=True)
            await asyncio.sleep(0.02)
            assert (await transport.get(f"http://{single}:{server.port}/", 2, own_host=own)).status == 200
            assert {type(outcome) for outcome in await waiting} == {ResolverError}
            hung.set()

    async def test_a_name_does_not_wait_for_one_that_hangs_while_there_is_room_for_a_thread(self) -> None:
        hung = threading.Event()

        def lookup(host: str) -> Found:
            if host.startswith("hangs"):
                hung.wait(5)
            return Found(("127.0.0.1",))

        names = Names(lookup)
        assert await names.addresses("first.one.svc") == ("127.0.0.1",)  # its thread is idle now, or soon
        await asyncio.sleep(0.05)
        hanging, second = (asyncio.ensure_future(names.addresses(host)) for host in ("hangs.two.svc", "second.one.svc"))
        async with asyncio.timeout(3):
            assert await second == ("127.0.0.1",)
        assert not hanging.done()
        hung.set()
        await hanging
        names.close()

    async def test_where_no_thread_can_be_had_that_is_our_own_trouble_and_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]
        names = Names(lambda _: Found(("127.0.0.1",)), lambda: now[0])
        async with serving() as server, carrying(Transport(names=names)) as transport:
            await transport.get(server.url, 1)
            named = f"http://iris.models.svc:{server.port}/"
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", no_thread)
                with pytest.raises(ExhaustedError, match="out of local resources: can't start new thread"):
                    await transport.get(named, 1)
            assert transport.open == 1  # closing connections gives no thread
            now[0] = 60.0
            assert (await transport.get(named, 1)).status == 200

    async def test_a_slow_lookup_is_the_resolvers_trouble_and_serves_the_next_exchange(self) -> None:
        free = threading.Event()
        asked: list[str] = []

        def lookup(host: str) -> Found:
            asked.append(host)
            free.wait(5)
            return Found(("127.0.0.1",))

        async with serving() as server, carrying(Transport(names=Names(lookup), lookup_share=0.1)) as transport:
            named = f"http://slow.example:{server.port}/"
            with pytest.raises(ResolverError, match=r"the name slow\.example was not looked up in time$"):
                await transport.get(named, 2)
            free.set()
            assert (await transport.get(named, 2)).status == 200
        assert asked == ["slow.example"]

    async def test_a_name_that_need_not_be_looked_up_is_not(self) -> None:
        asked: list[str] = []

        def lookup(host: str) -> Found:
            asked.append(host)
            return Found(("127.0.0.1",))

        def objection(host: str, own_host: bool) -> str:
            return "" if own_host else f"{host} is another's"

        async with carrying(Transport(names=Names(lookup), host_guard=objection)) as transport:
            with pytest.raises(RefusedAddressError, match=r"evil\.example is another's"):
                await transport.get("http://evil.example:1/", 1, own_host=False)
        assert asked == []

    async def test_a_name_is_looked_up_once_however_many_ask(self) -> None:
        asked: list[str] = []

        def lookup(host: str) -> Found:
            asked.append(host)
            return Found(("127.0.0.1",))

        async with serving() as server, carrying(Transport(names=Names(lookup))) as transport:
            await asyncio.gather(*(transport.get(f"http://model.example:{server.port}/", 1) for _ in range(20)))
        assert asked == ["model.example"]

    async def test_old_addresses_are_used_while_new_ones_are_looked_up_or_can_not_be(self) -> None:
        now = [0.0]
        answers: list[Found | Exception] = [Found(("127.0.0.1",)), OSError("down"), Found(("127.0.0.2",))]

        def lookup(_: str) -> Found:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        names = Names(lookup, lambda: now[0])
        assert await names.addresses("model.example") == ("127.0.0.1",)
        now[0] = 60.0
        assert await names.addresses("model.example") == ("127.0.0.1",)
        await asyncio.sleep(0.05)  # the lookup has failed by now
        assert await names.addresses("model.example") == ("127.0.0.1",)
        now[0] = 70.0
        assert names.known("model.example") == ("127.0.0.1",)
        await asyncio.sleep(0.05)
        assert names.known("model.example") == ("127.0.0.2",)
        names.close()

    async def test_a_name_that_is_gone_is_gone(self) -> None:
        async with carrying() as transport:
            with pytest.raises(NameNotFoundError):
                await transport.get("http://no.such.invalid/", 2)


@pytest.mark.parametrize("resets", [False, True])
def test_a_connection_that_is_closed_by_a_reset_leaves_no_socket_that_waits(
    run: Callable[[Coroutine[Any, Any, Any]], Any], resets: bool
) -> None:
    async def waiting() -> bool:
        """Whether the client's socket is in TIME_WAIT once its connection is closed."""
        ended = asyncio.Event()
        peers: list[int] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peers.append(writer.get_extra_info("peername")[1])
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            ended.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            transport = Transport(resets=resets)
            port = server.sockets[0].getsockname()[1]
            await transport.get(f"http://127.0.0.1:{port}/", 2)
            await transport.aclose()
            await asyncio.wait_for(ended.wait(), 2)
            await asyncio.sleep(0.05)
        return any(is_in_time_wait(peer, port) for peer in peers)

    assert run(waiting()) is not resets


def is_in_time_wait(local: int, remote: int) -> bool:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any((row[1][-4:], row[2][-4:], row[3]) == (f"{local:04X}", f"{remote:04X}", "06") for row in rows)
