"""Which free connection is taken, and which are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from isvcwatch.client.transport.asks import Endpoint
from isvcwatch.client.transport.connection import Connection
from isvcwatch.client.transport.pool import RECENT, SWEEP, Pool
from tests.unit.client.transport.fakes import Owner, Wire

if TYPE_CHECKING:
    import asyncio

NOW = 1000.0


def opened(port: int = 80, expires: float = NOW + 60) -> Connection:
    connection = Connection(Endpoint("server", port, None, own_host=True), Owner())
    connection.connection_made(cast("asyncio.Transport", Wire()))
    connection.ready()
    connection.expires = expires
    return connection


def given(pool: Pool, *connections: Connection, now: float = NOW) -> None:
    for connection in connections:
        pool.give(connection, now)


def test_the_latest_used_is_taken_first_and_none_beyond_its_age() -> None:
    pool = Pool()
    first, second, old = opened(), opened(), opened(expires=NOW + 1)
    given(pool, first, second, old)
    endpoint = first.endpoint
    assert [pool.take(endpoint, NOW + 2) for _ in range(3)] == [second, first, None]
    assert not old.usable
    assert len(pool) == 0


def test_one_that_has_closed_is_not_taken() -> None:
    pool = Pool()
    closed, well = opened(), opened()
    given(pool, well, closed)
    pool.drop(closed)
    closed.abort()
    assert pool.take(well.endpoint, NOW) is well
    pool.drop(well)  # closed while it was in use
    assert pool._free == {}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_of_several_closes(place: int) -> None:
    pool = Pool()
    several = [opened(), opened(), opened()]
    given(pool, *several)
    pool.drop(several.pop(place))
    assert len(pool) == 2
    assert [pool.take(several[0].endpoint, NOW) for _ in range(3)] == [several[1], several[0], None]


def test_what_is_free_from_one_sweep_to_the_next_is_closed() -> None:
    pool = Pool()
    idle, used = opened(1), opened(2)
    given(pool, used, idle)
    for sweep in range(1, 4):
        now = NOW + sweep * (SWEEP + 1)
        used.expires = now + 60
        taken = pool.take(used.endpoint, now)
        assert taken is used
        pool.give(used, now)
        assert idle.usable is (sweep < 2)
    assert used.usable
    assert len(pool) == 1


def test_the_latest_used_makes_room() -> None:
    pool = Pool()
    connections = [opened(port) for port in range(5)]
    given(pool, *connections)
    in_use = pool.take(connections[4].endpoint, NOW)
    assert in_use is not None
    assert pool.shed(2) == 2
    assert [connection.usable for connection in connections] == [True, True, False, False, True]


def test_room_is_made_of_all_that_are_free() -> None:
    pool = Pool()
    connections = [opened(port) for port in range(RECENT + 20)]
    given(pool, *connections)
    assert pool.shed(len(connections) + 5) == len(connections)
    assert not any(connection.usable for connection in connections)
    assert len(pool) == 0
