"""Whether more targets make each probe dearer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bench.contestants import engine
from bench.fleet.fleet import open_files
from bench.processors import apart
from bench.report import Figure
from bench.run import RATE, settled
from bench.subjects.asking import NEVER
from bench.window import PATIENCE, median

if TYPE_CHECKING:
    from bench.run import Run

MOST: Final = 1.25
FOR_CONNECTIONS: Final = 0.5
"""Of the open files: with more servers than that, models share them, so that each finds its connection kept."""


def growth(run: Run) -> None:
    """`growth_cpu_per_probe`: the same rate over more and more targets, against the fewest.

    Connections are kept for good here: with the usual age of a minute a target that is asked each 50 s would nearly always be asked on a
    new one, and a fleet asked each 0.1 s never, which says something about connections and nothing about fleets.
    """
    servers = int(open_files() * FOR_CONNECTIONS)
    parts = {}
    for size in run.pace.sizes:
        period = size / RATE
        name = f"engine, {size:,} targets"
        models = run.fleet.models(size, servers=min(size, servers))
        parts[name] = (partial(engine, run.fleet, models, period=period, max_age=NEVER), settled(period + PATIENCE))
    with apart(run.fleet):
        windows = run.interleaved(parts)
    costs = {name: median(measured, lambda window: window.cpu_per_probe) for name, measured in windows.items()}
    fewest, *more = costs
    for name in more:
        size = run.pace.sizes[list(costs).index(name)]
        shared = f", on {servers:,} servers" if size > servers else ""
        how = f"{RATE:,}/s, connections kept for good, servers on a processor of their own{shared}"
        run.add(Figure("growth_cpu_per_probe", name, costs[name], "µs", fewest, costs[fewest], MOST, how))
