"""What request and answer cost by the fleet's transport alone, without scheduling and judging; plain and over TLS."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

from bench.contestants import BLACKBOX, transport
from bench.fleet.fleet import Fleet
from bench.processors import apart
from bench.programs import MissingProgramError
from bench.report import Figure, goal
from bench.run import RATE, say, wait
from bench.window import median

if TYPE_CHECKING:
    from bench.run import Run

PLAIN: Final = "transport"
SECURE: Final = "transport over TLS"
GOAL: Final = 60.0
TENTH: Final = 0.1
MOST_BY_TLS: Final = 1.5
READY: Final = 0.5
"""Seconds; connections are open by the time that a part is heard of."""

QUICK_SECONDS: Final = 1.5


def probe(run: Run) -> None:
    """`probe_cpu` and `probe_tls_cpu`: the same targets, kept connections, a tick of the engine's length.

    Servers are distant: ones that answer at once are quick enough without TLS for all answers of a tick to be read in one turn of the loop,
    and over TLS they are not. That would compare servers.
    """
    with Fleet(run.pace.tls, tls=True) as secure:
        count = min(run.pace.tls, secure.size)
        period = count / RATE
        models = run.fleet.models(count)
        parts = {
            PLAIN: (partial(transport, run.fleet, models, period=period), wait(READY)),
            SECURE: (partial(transport, secure, secure.models(count), period=period), wait(READY)),
        }
        try:
            BLACKBOX.start(models[:1], period).end()
            parts[BLACKBOX.name] = (partial(BLACKBOX.start, models, period), wait(READY))
        except MissingProgramError as error:
            say(f"left out: {BLACKBOX.name}: {error}")
        servers = range(count)
        with apart(run.fleet, secure), run.fleet.distant(servers), secure.distant(servers):
            windows = run.interleaved(parts, QUICK_SECONDS if run.pace.quick else math.inf)
    costs = {name: median(measured, lambda window: window.cpu_per_probe) for name, measured in windows.items()}
    how = f"{count:,} targets, {RATE:,}/s, started each 20 ms, kept connections, servers on a processor of their own, which take 1 to 17 ms"
    run.add(goal("probe_cpu", PLAIN, costs[PLAIN], "µs", GOAL, how))
    if BLACKBOX.name in costs:
        theirs = f"{count:,} targets, {RATE:,}/s"
        run.add(Figure("probe_cpu", PLAIN, costs[PLAIN], "µs", BLACKBOX.name, costs[BLACKBOX.name], TENTH, theirs))
    run.add(Figure("probe_tls_cpu", SECURE, costs[SECURE], "µs", "transport, plain", costs[PLAIN], MOST_BY_TLS, how))
