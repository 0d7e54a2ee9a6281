"""Fifty thousand targets in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.contestants import engine
from bench.report import Figure
from bench.run import say
from bench.window import PATIENCE, Window, measure, median, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.run import Run

NAME: Final = "fleet_50k_cores"
TARGETS: Final = 50_000
PERIOD: Final = 30.0


def large(run: Run) -> None:
    """`fleet_50k_cores`, with memory and lateness."""
    windows: list[Window] = []
    models = run.fleet.models(TARGETS)
    servers = len({model.server for model in models})
    say(f"{TARGETS:,} targets on {servers:,} servers")
    with engine(run.fleet, models, period=PERIOD) as part:
        settle(part, PERIOD if run.pace.quick else PERIOD + PATIENCE)
        windows = [measure(part, run.pace.seconds) for _ in range(run.pace.rounds)]

    def of(value: Callable[[Window], float]) -> float:
        return median(windows, value)

    how = (
        f"{of(lambda w: w.rate):,.0f} answers/s, {sum(w.failed for w in windows)} failed, {of(lambda w: w.cpu_per_probe):.0f} µs a probe, "
        f"{of(lambda w: w.rss):.0f} MiB, start lateness p99 {of(lambda w: w.p99('lateness')):.0f} ms, "
        f"{windows[-1].end['files']:,} open files; {servers:,} servers"
    )
    run.add(Figure(NAME, "engine, 50,000 targets, 30 s period", of(lambda w: w.cores), "cores", note=how))
