"""When the watcher itself was late."""

from __future__ import annotations

import pytest

from isvcwatch.probing.lateness import Lateness, tolerated

TICK = 0.02


def test_in_time_nothing_is_spoiled() -> None:
    lateness = Lateness(TICK, 0.0)
    for tick in range(1, 500):
        lateness.tick(tick * TICK + 0.005, tick * TICK)
    assert not lateness.spoiled(0.0, 10.0, 0.05)
    assert (lateness.stalls, lateness.stalled) == (0, 0.0)


@pytest.mark.parametrize(
    ("since", "spoiled"),
    [(0.0, True), (1.0, True), (5.9, True), (6.1, False)],
    ids=["before it", "right before it", "in it", "after it"],
)
def test_a_stall_spoils_what_was_under_way(since: float, spoiled: bool) -> None:
    lateness = Lateness(TICK, 1.0)
    lateness.tick(6.0, 1.0 + TICK)
    lateness.tick(6.02, 6.02)
    assert lateness.spoiled(since, 6.03, 0.25) is spoiled
    assert lateness.stalls == 1
    assert lateness.stalled == pytest.approx(5.0 - TICK)


def test_a_stall_counts_before_the_tick_that_would_tell_of_it() -> None:
    lateness = Lateness(TICK, 1.0)
    assert lateness.spoiled(0.9, 6.0, 0.25)
    assert not lateness.spoiled(0.9, 1.2, 0.25)


def test_a_stall_is_told_by_its_own_length() -> None:
    lateness = Lateness(TICK, 0.0)
    lateness.tick(0.2, TICK)
    assert lateness.spoiled(0.0, 0.21, 0.1)
    assert not lateness.spoiled(0.0, 0.21, 0.25)


def test_stalls_are_remembered_to_a_bound() -> None:
    lateness = Lateness(TICK, 0.0)
    for second in range(1, 1000):
        lateness.tick(float(second), second - 1 + TICK)
    assert len(lateness._recent) < 100
    assert lateness.stalls == 999


@pytest.mark.parametrize(("timeout", "bound"), [(0.01, 0.05), (0.4, 0.1), (1.0, 0.25), (60.0, 0.25)])
def test_what_is_tolerated_is_a_quarter_of_the_timeout_and_never_much(timeout: float, bound: float) -> None:
    assert tolerated(timeout) == bound
