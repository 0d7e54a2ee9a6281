"""What a call of the public client costs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.contestants import CLIENT, KSERVE
from bench.programs import MissingProgramError
from bench.report import Figure, goal
from bench.run import say, wait
from bench.window import SETTLING, median

if TYPE_CHECKING:
    from bench.run import Run

NAME = "client_is_model_ready"
SEVENTH = round(1 / 7, 3)


def client(run: Run) -> None:
    """`client_is_model_ready`: one model, one call after another on a kept connection."""
    (model,) = run.fleet.models(1)
    parts = {CLIENT.name: (partial(CLIENT.alone().start, [model], 1.0), wait(SETTLING))}
    try:
        KSERVE.alone().start([model], 1.0).end()
        parts[KSERVE.name] = (partial(KSERVE.alone().start, [model], 1.0), wait(SETTLING))
    except MissingProgramError as error:
        say(f"left out: {KSERVE.name}: {error}")
    windows = run.interleaved(parts)
    cost = median(windows[CLIENT.name], lambda window: window.cpu_per_probe)
    how = "one call after another, kept connection"
    run.add(goal(NAME, CLIENT.name, cost, "µs", 300.0, how))
    if KSERVE.name in windows:
        theirs = median(windows[KSERVE.name], lambda window: window.cpu_per_probe)
        run.add(Figure(NAME, CLIENT.name, cost, "µs", KSERVE.name, theirs, SEVENTH, how))
