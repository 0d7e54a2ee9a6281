"""How much memory a kept connection takes."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from bench.contestants import plain
from bench.fleet.fleet import Fleet
from bench.part import module
from bench.report import goal
from bench.run import say

if TYPE_CHECKING:
    from bench.run import Run

WARM: Final = 100
"""Connections that are there before: what the first ones bring with them is not theirs."""

PLAIN, SECURE = 5_000, 2_000
QUICK_SECURE: Final = 1_000
PATIENCE: Final = 120.0  # seconds


def connections(run: Run) -> None:
    """`connection_kib` and `tls_connection_kib`: the growth of a process that holds so many more connections, by their number."""
    _measured(run, run.fleet, "connection_kib", PLAIN, 5.0)
    secured = QUICK_SECURE if run.pace.quick else SECURE
    with Fleet(secured + WARM, tls=True) as secure:
        _measured(run, secure, "tls_connection_kib", secured, 70.0)


def _measured(run: Run, fleet: Fleet, bench: str, count: int, most: float) -> None:
    models = plain(fleet.models(min(count + WARM, fleet.size)))
    each = []
    held = 0
    for number in range(run.pace.rounds):
        say(f"{bench}, round {number + 1} of {run.pace.rounds}")
        with module("bench.subjects.connections", {"models": models, "warm": WARM, "certificate": fleet.certificate}) as part:
            before = part.hear(PATIENCE)
            after = part.ask(PATIENCE, do="open")
        held = after["open"] - before["open"]
        each.append((after["rss"] - before["rss"]) / held)
    how = f"{held:,} kept connections, garbage collected before each look"
    run.add(goal(bench, "transport", statistics.median(each), "KiB", most, how))
