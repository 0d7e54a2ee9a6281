"""The watcher's own network is doubted before a whole fleet is accused; a few that fall together are not a fleet."""

from __future__ import annotations

import random

import pytest

from isvcwatch.core.gate import LEAST, LONGEST, WINDOW, Gate, is_silence
from tests.unit.builders import DENIED, NOT_READY, READY, REFUSED


class Fleet:
    """Rounds in the order in which they end."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.wells = 0
        self.now = 0.0

    def well(self, count: int = 1) -> None:
        self.wells += count

    def silent(self, count: int = 1, seconds: float = 0.1) -> None:
        for _ in range(count):
            self.now += seconds
            self.gate.fell_silent(self.now, self.wells)

    @property
    def holds(self) -> bool:
        return self.gate.holds(self.now, self.wells)


def test_a_single_failure_is_told() -> None:
    fleet = Fleet()
    fleet.well(1000)
    fleet.silent()
    assert not fleet.holds


def test_where_all_that_are_asked_fall_silent_nobody_is_accused() -> None:
    fleet = Fleet()
    fleet.well(1000)
    fleet.silent(LEAST - 1)
    assert not fleet.holds
    fleet.silent()
    assert fleet.holds


def test_more_than_half_are_enough_and_half_are_not() -> None:
    fleet = Fleet()
    for _ in range(50):
        fleet.silent()
        fleet.well()
    assert not fleet.holds
    other = Fleet()
    for number in range(150):
        other.well() if number % 3 == 0 else other.silent()
    assert other.holds


@pytest.mark.parametrize("part", [0.1, 0.3])
@pytest.mark.parametrize("seed", range(20))
def test_a_node_or_a_gateway_of_a_part_of_the_fleet_does_not_trip_it(seed: int, part: float) -> None:
    chance, fleet = random.Random(seed), Fleet()  # noqa: S311 -- chance, not secrecy
    for _ in range(500):
        fleet.silent() if chance.random() < part else fleet.well()
        assert not fleet.holds


def test_those_that_fell_long_ago_say_nothing_any_more() -> None:
    fleet = Fleet()
    fleet.silent(LEAST - 1)
    fleet.now += WINDOW + 1
    fleet.silent()
    assert not fleet.holds


def test_it_opens_when_rounds_are_well_again() -> None:
    fleet = Fleet()
    fleet.silent(20)
    assert fleet.holds
    fleet.now += WINDOW * 2
    assert fleet.holds
    fleet.well(LEAST - 1)
    assert fleet.holds
    fleet.well()
    assert not fleet.holds
    assert fleet.gate.closed_since is None


def test_a_true_outage_of_the_whole_fleet_is_told_after_a_while_and_for_as_long_as_it_lasts() -> None:
    fleet = Fleet()
    fleet.silent(20)
    assert fleet.holds
    fleet.now += LONGEST - 1
    assert fleet.holds
    fleet.now += 1
    assert not fleet.holds
    fleet.silent(20)
    assert not fleet.holds
    fleet.well(LEAST)
    assert not fleet.holds
    fleet.silent(20)
    assert fleet.holds


def test_what_a_server_answers_proves_that_the_network_is_well() -> None:
    assert is_silence(REFUSED)
    assert not any(map(is_silence, (READY, NOT_READY, DENIED)))


def test_while_only_what_is_checked_is_away_and_models_answer_it_closes_once_and_not_again() -> None:
    fleet = Fleet()
    fleet.gate.checked(0.0, fleet.wells, reached=False)
    assert fleet.holds
    fleet.well(LEAST)
    assert not fleet.holds
    for _ in range(5):
        fleet.gate.checked(0.0, fleet.wells, reached=False)
        assert not fleet.holds
    fleet.gate.checked(0.0, fleet.wells, reached=True)
    fleet.gate.checked(0.0, fleet.wells, reached=False)
    assert fleet.holds
