"""How long a failure stays unknown."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING, Final

from bench.contestants import engine
from bench.fleet.server import Kind
from bench.report import goal
from bench.run import say
from bench.window import PATIENCE, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.run import Run

TARGETS: Final = 1000
TURNED: Final = 99
OVER: Final = 3.0
"""Seconds in which they are turned; at which moment of its period each is, is chance anyway."""

KINDS: Final = (Kind.FAILING, Kind.REFUSING, Kind.HANGING)

# The defaults of `ProbePolicy`, which is not changed here.
PERIOD, EDGE, TIMEOUT = 10.0, 1.0, 2.0
BOUND: Final = PERIOD + 3 * EDGE + TIMEOUT


def killed(run: Run) -> None:
    """`time_to_verdict` of servers that are killed, where Kubernetes says of each endpoint that it is no longer ready."""
    models = run.fleet.models(TARGETS + 1)[1:]
    turned: dict[str, float] = {}
    servers: list[int] = []
    chance = random.Random()  # noqa: S311
    with engine(run.fleet, models, endpoints=True) as part:
        settle(part, PERIOD + PATIENCE)
        say(f"killing {TURNED} of {TARGETS:,} servers")
        for model in chance.sample(models, TURNED):
            servers.append(model.server)
            turned[model.uid] = run.fleet.turn(Kind.REFUSING, [model.server])[model.server]
            part.ask(do="count", killed=[model.uid])
            time.sleep(chance.uniform(0, 2 * OVER / TURNED))
        time.sleep(BOUND + 1)
        falls = part.ask(do="mark", falls=True)["falls"]
    run.fleet.turn(Kind.HEALTHY, servers)
    taken = sorted(falls[uid] - at for uid, at in turned.items() if uid in falls)
    never = TURNED - len(taken)
    how = f"p99 of {len(taken)}; median {statistics.median(taken):.1f}; endpoints are said not to be ready after 1.5 s"
    missing = f"; {never} without a verdict after {BOUND + 1:g} s" if never else ""
    value = float("inf") if never else statistics.quantiles(taken, n=100)[98]
    run.add(goal("time_to_verdict", "killed, endpoints known", value, "s", 5.0, how + missing))


def verdicts(run: Run, first: Callable[[], None] = lambda: None, then: Callable[[], None] = lambda: None) -> None:
    """`time_to_verdict`: with nothing but defaults, targets turned at random moments; the slowest verdict counts.

    Args:
        run: what it is measured in.
        first: done while it waits for the first verdicts.
        then: done while it waits for the verdicts on those that were turned, which the first server of the fleet is never among.
    """
    models = run.fleet.models(TARGETS + 1)[1:]
    turned: dict[int, float] = {}
    kinds: dict[int, Kind] = {}
    chance = random.Random()  # noqa: S311
    with engine(run.fleet, models) as part:
        first()
        settle(part, PERIOD + PATIENCE)
        say(f"turning {TURNED} of {TARGETS:,} targets")
        for number, model in enumerate(chance.sample(models, TURNED)):
            kinds[model.server] = kind = KINDS[number % len(KINDS)]
            turned |= run.fleet.turn(kind, [model.server])
            time.sleep(chance.uniform(0, 2 * OVER / TURNED))
        enough = time.monotonic() + BOUND + 1
        then()
        time.sleep(max(0.0, enough - time.monotonic()))
        falls = part.ask(do="mark", falls=True)["falls"]
    run.fleet.turn(Kind.HEALTHY, turned)
    by_server = {model.server: model for model in models}
    never = [server for server in turned if by_server[server].uid not in falls]
    taken = {server: falls[by_server[server].uid] - at for server, at in turned.items() if server not in never}
    slowest = ", ".join(f"{kind} {max(t for s, t in taken.items() if kinds[s] is kind):.1f}" for kind in KINDS)
    how = f"slowest of {len(taken)}, s: {slowest}; median {statistics.median(taken.values()):.1f}"
    missing = f"; {len(never)} without a verdict after {BOUND + 1:g} s" if never else ""
    run.add(goal("time_to_verdict", "engine, defaults", float("inf") if never else max(taken.values()), "s", BOUND, how + missing))
