"""Places for rounds: so many over all, so many at one address."""

from __future__ import annotations

import random

import pytest

from isvcwatch.probing.lanes import Berth, Lane


class Guests:
    """Those that have a place, and a lane that they have it in."""

    def __init__(self, bound: int = 3, host_bound: int = 2, *, shared: bool = False) -> None:
        self.lane: Lane[str] = Lane(bound, host_bound, self.start, lambda who: who.rpartition(":")[0], shared=shared)
        self.places: dict[str, Berth[str]] = {}
        self.unwanted: set[str] = set()

    @property
    def inside(self) -> list[str]:
        return list(self.places)

    def start(self, who: str, place: Berth[str]) -> bool:
        if who in self.unwanted:
            return False
        self.places[who] = place
        return True

    def come(self, *names: str) -> None:
        """Each is named by its host and a number, and by its namespace before a colon where that is not all the same."""
        for who in names:
            if (place := self.lane.enter(who, who.rpartition(":")[2][0])) is not None:
                self.places[who] = place

    def go(self, who: str) -> None:
        self.places.pop(who).leave()


def test_so_many_have_a_place_and_the_others_wait_in_order() -> None:
    guests = Guests()
    guests.come("a1", "b1", "c1", "d1", "e1")
    assert (guests.inside, guests.lane.running, guests.lane.waiting) == (["a1", "b1", "c1"], 3, 2)
    guests.go("b1")
    assert guests.inside == ["a1", "c1", "d1"]
    guests.go("a1")
    assert (guests.inside, guests.lane.waiting) == (["c1", "d1", "e1"], 0)


def test_one_address_does_not_take_all_places() -> None:
    guests = Guests()
    guests.come("a1", "a2", "a3", "b1")
    assert guests.inside == ["a1", "a2", "b1"]
    guests.go("a1")
    assert guests.inside == ["a2", "b1", "a3"]


def test_who_waits_for_its_own_address_holds_up_no_other() -> None:
    guests = Guests(bound=10, host_bound=1)
    guests.come("a1", "a2", "a3", "b1")
    assert guests.inside == ["a1", "b1"]
    guests.go("a1")
    guests.go("a2")
    assert guests.inside == ["b1", "a3"]


def test_who_is_no_longer_wanted_leaves_its_place_to_the_next() -> None:
    guests = Guests(bound=10, host_bound=1)
    guests.come("a1", "a2", "a3", "a4")
    guests.unwanted = {"a2", "a3"}
    guests.go("a1")
    assert guests.inside == ["a4"]


def test_a_place_can_be_taken_without_asking() -> None:
    guests = Guests(bound=1)
    places = [guests.lane.take(who, who[0]) for who in ("a1", "b1")]
    guests.come("c1")
    places[0].leave()
    assert guests.inside == []
    places[1].leave()
    assert guests.inside == ["c1"]


def test_namespaces_take_turns_where_places_are_few() -> None:
    guests = Guests(bound=2)
    guests.come("x:a1", "x:b1", "x:c1", "x:d1", "x:e1", "y:f1", "z:g1", "y:h1")
    came = []
    while guests.inside:
        came.append(guests.inside[0])
        guests.go(guests.inside[0])
    assert came == ["x:a1", "x:b1", "x:c1", "y:f1", "z:g1", "x:d1", "y:h1", "x:e1"]


def test_namespaces_take_turns_at_one_address() -> None:
    guests = Guests(bound=10, host_bound=1)
    guests.come("x:a1", "x:a2", "x:a3", "x:a4", "y:a5")
    came = []
    while guests.inside:
        came += guests.inside
        guests.go(guests.inside[0])
    assert came == ["x:a1", "x:a2", "y:a5", "x:a3", "x:a4"]


def test_no_namespace_holds_nearly_all_places_of_a_lane_that_is_shared() -> None:
    guests = Guests(bound=100, host_bound=100, shared=True)
    guests.come(*(f"x:{chr(97 + n % 26)}{n}" for n in range(1000)))
    assert len(guests.inside) == 75
    guests.come(*(f"y:{chr(97 + n % 26)}{n}" for n in range(5)))
    assert len(guests.inside) == 80
    for who in guests.inside[:20]:
        guests.go(who)
    assert sum(who.startswith("x:") for who in guests.inside) == 72  # three for each of the 23 that are left, and the last one
    while guests.inside:
        guests.go(guests.inside[0])
    assert guests.lane.waiting == 0


def test_no_namespace_holds_nearly_all_places_at_one_address() -> None:
    guests = Guests(bound=1000, host_bound=100, shared=True)
    guests.come(*(f"x:a{n}" for n in range(1000)))
    assert len(guests.inside) == 75
    guests.come("y:a1", "x:b1")
    assert guests.inside[75:] == ["y:a1", "x:b1"]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_whoever_comes_and_goes_bounds_hold_and_nobody_is_forgotten(seed: int, shared: bool) -> None:
    chance = random.Random(seed)  # noqa: S311 -- the same each time
    guests = Guests(bound=4, host_bound=2, shared=shared)
    come: list[str] = []
    for number in range(2000):
        if chance.random() < 0.55 or not guests.inside:
            come.append(f"{chance.choice('xyz')}:{chance.choice('abcdef')}{number}")
            if chance.random() < 0.2:
                guests.unwanted.add(come[-1])
            guests.come(come[-1])
        else:
            guests.go(chance.choice(guests.inside))
        assert guests.lane.running == len(guests.inside) <= 4
        assert all(len([who for who in guests.inside if who[2] == host]) <= 2 for host in "abcdef")
    while guests.inside:
        guests.go(guests.inside[0])
    assert (guests.lane.running, guests.lane.waiting) == (0, 0)
    assert (guests.lane._at, guests.lane._parked, bool(guests.lane._queue)) == ({}, {}, False)
    assert (guests.lane._held, guests.lane._held_at) == ({}, {})
