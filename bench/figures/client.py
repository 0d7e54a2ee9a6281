"""What a call of the public client costs, and how it takes many at once."""

from __future__ import annotations

import math
import statistics
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bench.contestants import CLIENT, KSERVE
from bench.fleet.fleet import Model
from bench.part import PartError, module
from bench.programs import MissingProgramError
from bench.report import Figure, goal
from bench.run import say, wait
from bench.window import SETTLING, median
from isvcwatch.client.ways import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contestants import Contestant
    from bench.run import Run

SEVENTH: Final = round(1 / 7, 3)
HALF: Final = 0.5

DELAY: Final = 0.05
"""Seconds that the server takes over each of many calls at once."""

CALLS: Final = 1_000
PATIENCE: Final = 10.0
"""Seconds: the timeout of each of many calls at once."""

MOST: Final = 100.0
"""Seconds that all of them together are waited for."""

STARTING: Final = 60.0  # seconds

QUICK_SECONDS: Final = 1.0
"""What suffices for calls of a millisecond and more."""


def client(run: Run) -> None:
    """`client_is_model_ready`, `client_infer_1mb` and `client_thousand_at_once`, against KServe's client."""
    (ready,) = run.fleet.models(1)
    theirs: tuple[Contestant, ...] = (KSERVE,)
    try:
        KSERVE.alone().start([ready], 1.0).end()
    except MissingProgramError as error:
        say(f"left out: {KSERVE.name}: {error}")
        theirs = ()
    is_model_ready(run, ready, theirs)
    with module("bench.fleet.tensor_server", {"delay": DELAY}) as server:
        model = Model("", 0, server.hear(STARTING)["base_url"], "model-0")
        infer(run, model, theirs)
        thousand_at_once(run, model, theirs)


def is_model_ready(run: Run, model: Model, theirs: tuple[Contestant, ...]) -> None:
    """One model, one call after another on a kept connection."""
    costs = _costs(run, model, theirs)
    how = "one call after another, kept connection"
    run.add(goal("client_is_model_ready", CLIENT.name, costs[CLIENT.name], "µs", 300.0, how))
    _against(run, "client_is_model_ready", costs, SEVENTH, how)


def infer(run: Run, model: Model, theirs: tuple[Contestant, ...]) -> None:
    """One call after another with a tensor that the server echoes, from a NumPy array to a NumPy array."""
    costs = _costs(run, model, theirs, QUICK_SECONDS if run.pace.quick else math.inf, call="infer")
    how = "1 MiB of FP32 there and back as binary data, one call after another, kept connection"
    if theirs:
        _against(run, "client_infer_1mb", costs, HALF, how)
    else:
        run.add(Figure("client_infer_1mb", CLIENT.name, costs[CLIENT.name], "µs", note=how))


def thousand_at_once(run: Run, model: Model, theirs: tuple[Contestant, ...]) -> None:
    """So many calls at once on one client that has asked nothing yet, and once more. Its own limit says how many are under way.

    KServe's client does the same once: it takes from 17 s to more than a minute, which the short run has not.
    """
    ours = []
    for number in range(run.pace.rounds):
        say(f"{CLIENT.name}, {CALLS:,} at once, round {number + 1} of {run.pace.rounds}")
        ours.append(_bursts(CLIENT, model))
    value = statistics.median(max(burst["seconds"] for burst in both) for both in ours)
    all_answered = all(burst["answered"] == CALLS for both in ours for burst in both)
    said = [f"{CLIENT.name} {_worded(ours[0])}"]
    for who in () if run.pace.quick else theirs:
        say(f"{who.name}, {CALLS:,} at once")
        try:
            said.append(f"{who.name} {_worded(_bursts(who, model))}")
        except PartError:
            said.append(f"{who.name} had not done within {MOST:.0f} s")
    how = f"server takes {DELAY * 1000:.0f} ms, timeout {PATIENCE:.0f} s; {'; '.join(said)}"
    run.add(goal("client_thousand_at_once", CLIENT.name, value if all_answered else math.inf, "s", 2 * DELAY * CALLS / AT_ONCE, how))


def _bursts(who: Contestant, model: Model) -> list[dict[str, Any]]:
    with who.start([model], 1.0, at_once=CALLS, timeout=PATIENCE) as part:
        return [part.ask(MOST, do="burst") for _ in range(2)]


def _worded(bursts: Sequence[dict[str, Any]]) -> str:
    return " and then ".join(f"{burst['answered']:,} in {burst['seconds']:.2f} s" for burst in bursts)


def _costs(run: Run, model: Model, theirs: tuple[Contestant, ...], most_seconds: float = math.inf, **settings: object) -> dict[str, float]:
    """Microseconds of CPU a call, by name."""
    parts = {who.name: (partial(who.alone().start, [model], 1.0, **settings), wait(SETTLING)) for who in (CLIENT, *theirs)}
    windows = run.interleaved(parts, most_seconds)
    return {name: median(measured, lambda window: window.cpu_per_probe) for name, measured in windows.items()}


def _against(run: Run, bench: str, costs: dict[str, float], most: float, how: str) -> None:
    if KSERVE.name in costs:
        run.add(Figure(bench, CLIENT.name, costs[CLIENT.name], "µs", KSERVE.name, costs[KSERVE.name], most, how))
