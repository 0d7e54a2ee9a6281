"""The arithmetic of a measurement, and its verdict on a long run."""

from __future__ import annotations

from array import array
from ipaddress import ip_address
from typing import Any

import pytest

from bench.fleet.places import place
from bench.soak import TARGETS, judge
from bench.subjects.asking import percentile
from bench.window import between, median


def mark(**said: float) -> dict[str, Any]:
    return {"time": 0.0, "cpu": 0.0, "answered": 0, "failed": 0, "rss": 0} | said


def test_a_window_is_what_was_done_between_its_marks() -> None:
    window = between(mark(time=5, cpu=1.0, answered=100, failed=7), mark(time=15, cpu=1.5, answered=10_100, failed=7, rss=2048))
    assert (window.seconds, window.rate, window.cores, window.cpu_per_probe, window.rss) == (10, 1000, 0.05, 50, 2)


def test_what_is_not_answered_costs_those_that_are() -> None:
    window = between(mark(), mark(time=1, cpu=0.001, answered=10, failed=90))
    assert window.cpu_per_probe == pytest.approx(100)
    assert between(mark(), mark(time=1, cpu=1, failed=9)).cpu_per_probe == float("inf")


def test_the_median_is_not_moved_by_one_window_that_was_disturbed() -> None:
    windows = [between(mark(), mark(time=1, cpu=cpu, answered=1)) for cpu in (1, 9, 2)]
    assert median(windows, lambda window: window.cpu) == 2


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = array("d", [float(n) for n in range(1, 101)])
    assert (percentile(values, 0.99), percentile(values, 0.5), percentile(array("d", [3.0]), 0.99)) == (99, 50, 3)
    assert percentile(array("d"), 0.99) is None


def test_each_server_has_a_place_of_its_own_on_a_loopback_address() -> None:
    places = {place(number, 15_000) for number in range(50_000)}
    assert len(places) == 50_000
    assert all(ip_address(host).is_loopback and 15_000 <= port < 15_016 for host, port in places)


def samples(growth: float = 0.0, files: int = TARGETS, tasks: int = 5) -> list[dict[str, Any]]:
    """An hour's, each ten seconds; `growth` in KiB of RSS each."""
    return [
        {"seconds": n * 10.0, "rss": 80_000 + (n % 3) * 100 + growth * n, "files": files, "tasks": tasks, "answered": n * 9_900}
        | {"failed": n * 100, "cpu": n * 0.5}
        for n in range(360)
    ]


def test_a_soak_with_unrest_alone_is_flat() -> None:
    verdict = judge(samples())
    assert (verdict["flat"], verdict["no_leaks"], verdict["probes_per_second"], verdict["cpu_per_probe_us"]) == (True, True, 1000, 50)


def test_a_soak_that_grows_is_not_flat() -> None:
    assert judge(samples(growth=20))["flat"] is False


def test_a_soak_that_keeps_files_or_tasks_leaks() -> None:
    assert judge(samples(files=TARGETS * 2))["no_leaks"] is False
    assert judge([*samples(), *samples(tasks=9)])["no_leaks"] is False
