"""Which free connection is taken, and which are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from isvcwatch.client.transport.asks import Endpoint, Endpoints
from isvcwatch.client.transport.connection import Connection
from isvcwatch.client.transport.pool import RECENT, SWEEP, Pool
from tests.unit.client.transport.fakes import Owner, Wire

if TYPE_CHECKING:
    import asyncio

NOW = 1000.0


def opened(pool: Pool, endpoint: Endpoint | None = None, expires: float = NOW + 60) -> Connection:
    connection = Connection(endpoint or Endpoint("server", 80, None, own_host=True), Owner())
    pool.open.add(connection)
    connection.connection_made(cast("asyncio.Transport", Wire()))
    connection.ready()
    connection.expires = expires
    return connection


def given(pool: Pool, *connections: Connection, now: float = NOW) -> None:
    for connection in connections:
        pool.give(connection, now)


def test_the_latest_used_is_taken_first_and_none_beyond_its_age() -> None:
    pool = Pool()
    first = opened(pool)
    endpoint = first.endpoint
    second, old = opened(pool, endpoint), opened(pool, endpoint, NOW + 1)
    given(pool, first, second, old)
    assert [pool.take(endpoint, NOW + 2) for _ in range(3)] == [second, first, None]
    assert not old.usable
    assert pool.free == 0


def test_one_that_has_closed_is_not_taken() -> None:
    pool = Pool()
    closed = opened(pool)
    well = opened(pool, closed.endpoint)
    given(pool, well, closed)
    pool.drop(closed)
    closed.abort()
    assert pool.take(well.endpoint, NOW) is well
    pool.drop(well)  # closed while it was in use
    assert well.endpoint.free == []
    assert pool.open == set()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_of_several_closes(place: int) -> None:
    pool = Pool()
    endpoint = Endpoint("server", 80, None, own_host=True)
    several = [opened(pool, endpoint) for _ in range(3)]
    given(pool, *several)
    pool.drop(several.pop(place))
    assert pool.free == 2
    assert [pool.take(several[0].endpoint, NOW) for _ in range(3)] == [several[1], several[0], None]


def test_what_is_free_from_one_sweep_to_the_next_is_closed() -> None:
    pool = Pool()
    idle, used = opened(pool), opened(pool)
    given(pool, used, idle)
    for sweep in range(1, 4):
        now = NOW + sweep * (SWEEP + 1)
        used.expires = now + 60
        taken = pool.take(used.endpoint, now)
        assert taken is used
        pool.give(used, now)
        assert idle.usable is (sweep < 2)
    assert used.usable
    assert pool.free == 1


def test_the_latest_used_makes_room() -> None:
    pool = Pool()
    connections = [opened(pool) for _ in range(5)]
    given(pool, *connections)
    in_use = pool.take(connections[4].endpoint, NOW)
    assert in_use is not None
    assert pool.shed(2) == 2
    assert [connection.usable for connection in connections] == [True, True, False, False, True]


def test_room_is_made_of_all_that_are_free() -> None:
    pool = Pool()
    connections = [opened(pool) for _ in range(RECENT + 20)]
    given(pool, *connections)
    assert pool.shed(len(connections) + 5) == len(connections)
    assert not any(connection.usable for connection in connections)
    assert pool.free == 0


def test_an_endpoint_is_the_same_object_as_long_as_it_is_needed() -> None:
    endpoints = Endpoints()
    one = endpoints.get("server", 80, None, own_host=True)
    assert endpoints.get("server", 80, None, own_host=True) is one
    others = [endpoints.get("server", 81, None, own_host=True), endpoints.get("server", 80, None, own_host=False)]
    assert one not in others
    del one, others
    assert len(endpoints._known) == 0
