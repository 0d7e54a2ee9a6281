"""What hanging targets do to the others."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from bench.contestants import engine
from bench.fleet.server import Kind
from bench.processors import apart
from bench.report import Figure
from bench.run import RATE, say
from bench.subjects.asking import NEVER
from bench.window import PATIENCE, settle

if TYPE_CHECKING:
    from bench.part import Part
    from bench.run import Run

NAME: Final = "hanging_lateness_p99"
TENTH: Final = 10
MOST: Final = 1.1

CONFIRMING: Final = 6.0
"""Seconds: three edge periods, a timeout, and some."""

SLICE: Final = 0.5
"""Seconds for which a p99 is taken. What else runs on a machine each few seconds, and holds all up for some ticks, would else be in the p99
of one window and not in that of the next."""


def hanging(run: Run) -> None:
    """`hanging_lateness_p99`: one engine, in turn with none hanging and with a tenth of the targets hanging; medians of slices' p99s.

    Servers are distant: where they answer at once, latency is the time that the engine itself takes for a tick's rounds. Connections are
    kept for good: in the first minute none would be renewed, and later many, whether any target hangs or not.
    """
    models = run.fleet.models(run.pace.hanging)
    period = len(models) / RATE
    sick = sorted({model.server for model in models[::TENTH]})
    well: list[dict[str, float]] = []
    ill: list[dict[str, float]] = []
    with apart(run.fleet), run.fleet.distant(range(len(models))), engine(run.fleet, models, period=period, max_age=NEVER) as part:
        settle(part, period + PATIENCE)
        for number in range(run.pace.rounds):
            say(f"hanging targets, round {number + 1} of {run.pace.rounds}")
            if number:
                run.fleet.turn(Kind.DISTANT, sick)
                time.sleep(period + CONFIRMING)
            well += _slices(part, run.pace.seconds)
            run.fleet.turn(Kind.HANGING, sick)
            time.sleep(period + CONFIRMING)
            ill += _slices(part, run.pace.seconds)
    for what, text in (("lateness", "start lateness, all targets"), ("latency", "latency of those that answer")):
        with_them, without = (statistics.median(a[f"{what}_p99"] for a in slices) * 1000 for slices in (ill, well))
        how = (
            f"p99 of each {SLICE:g} s, median of {len(well)}; {len(models):,} targets, {RATE:,}/s, connections kept for good, "
            "servers on a processor of their own, which take 1 to 17 ms"
        )
        run.add(Figure(NAME, f"10 % hanging: {text}", with_them, "ms", "none hanging", without, MOST, how))


def _slices(part: Part, seconds: float) -> list[dict[str, float]]:
    """What the engine counts in each slice of that time."""
    part.ask(do="count")
    counted = []
    for _ in range(int(seconds / SLICE)):
        time.sleep(SLICE)
        counted.append(part.ask(do="count"))
    return counted
