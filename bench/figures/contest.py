"""What a probe costs: our engine, and all the others, asking the same targets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bench.contestants import AIOHTTP, BLACKBOX, GO, OTHERS, engine
from bench.programs import MissingProgramError
from bench.report import Figure, goal
from bench.run import RATE, say, settled, wait
from bench.window import PATIENCE, SETTLING, Window, median

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.part import Part
    from bench.run import Run

    Parts = dict[str, tuple[Callable[[], Part], Callable[[Part], None]]]

OURS: Final = "engine"
FLEET: Final = 10_000
PERIOD: Final = 10.0
SIXTH: Final = round(1 / 6, 3)

PACED: Final = 0.98
"""Of the rate; who answers fewer has not kept the pace."""


def contest(run: Run) -> None:
    """`engine_cpu_per_probe` against each; at full size, the figures of the whole process from the same windows."""
    models = run.fleet.models(run.pace.contest)
    period = len(models) / RATE
    whole = run.fleet.models(FLEET)
    parts: Parts = {OURS: (partial(engine, run.fleet, whole, period=PERIOD), settled(PERIOD + PATIENCE))}
    for other in OTHERS:
        try:
            other.start(models[:1], period).end()
        except MissingProgramError as error:
            say(f"left out: {other.name}: {error}")
            continue
        warming = period + SETTLING if other in {GO, AIOHTTP} else SETTLING
        parts[other.name] = (partial(other.start, models, period), wait(warming))
    windows = run.interleaved(parts)
    ours = windows.pop(OURS)
    cost = median(ours, lambda window: window.cpu_per_probe)
    run.add(goal("engine_cpu_per_probe", OURS, cost, "µs", 100.0, _how(ours, FLEET)))
    for name, theirs in windows.items():
        most = {BLACKBOX.name: SIXTH, GO.name: 1.0}.get(name)
        value = median(theirs, lambda window: window.cpu_per_probe)
        run.add(Figure("engine_cpu_per_probe", OURS, cost, "µs", name, value, most, f"{name}: {_how(theirs, len(models))}"))
    whole_fleet(run, windows if len(models) == FLEET else {}, ours)


def whole_fleet(run: Run, others: dict[str, list[Window]], ours: list[Window]) -> None:
    """`fleet_10k_*` and `first_verdict`."""
    what = "engine, 10,000 targets, 10 s period"
    cores = median(ours, lambda window: window.cores)
    run.add(goal("fleet_10k_cores", what, cores, "cores", 0.15))
    rss = median(ours, lambda window: window.rss)
    run.add(goal("fleet_10k_rss", what, rss, "MiB", 150.0))
    late = median(ours, lambda window: window.p99("lateness"))
    run.add(goal("fleet_10k_lateness_p99", what, late, "ms", 50.0))
    for name in others.keys() & {GO.name, AIOHTTP.name}:
        run.add(Figure("fleet_10k_cores", what, cores, "cores", name, median(others[name], lambda window: window.cores)))
        run.add(Figure("fleet_10k_rss", what, rss, "MiB", name, median(others[name], lambda window: window.rss)))
    if AIOHTTP.name in others:
        theirs = median(others[AIOHTTP.name], lambda window: window.p99("lateness"))
        run.add(Figure("fleet_10k_lateness_p99", what, late, "ms", AIOHTTP.name, theirs))
    first = median(ours, lambda window: float(window.end["first_verdict"] or "nan"))
    run.add(goal("first_verdict", what, first, "s", PERIOD + 5, "from the first target's being known to the last one's verdict"))


def _how(windows: list[Window], targets: int) -> str:
    rate = median(windows, lambda window: window.rate)
    failed = sum(window.failed for window in windows)
    kept = "paced" if rate > PACED * RATE else "saturated"
    return f"{targets:,} targets, {kept} at {rate:,.0f}/s" + (f", {failed:,} failed" if failed else "")
