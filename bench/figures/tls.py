"""What TLS adds on kept connections."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.contestants import engine
from bench.fleet.fleet import Fleet
from bench.processors import apart
from bench.report import Figure
from bench.run import RATE, settled
from bench.window import PATIENCE, median

if TYPE_CHECKING:
    from bench.run import Run

MOST = 1.5


def tls(run: Run) -> None:
    """`engine_tls_cpu_per_probe`: the same engine on as many plain targets is the baseline. Servers are distant, as in `probe`."""
    with Fleet(run.pace.tls, tls=True) as secure:
        count = min(run.pace.tls, secure.size)
        period = count / RATE
        parts = {
            "over TLS": (partial(engine, secure, secure.models(count), period=period), settled(PATIENCE)),
            "plain": (partial(engine, run.fleet, run.fleet.models(count), period=period), settled(PATIENCE)),
        }
        servers = range(count)
        with apart(run.fleet, secure), run.fleet.distant(servers), secure.distant(servers):
            windows = run.interleaved(parts)
    costs = {name: median(measured, lambda window: window.cpu_per_probe) for name, measured in windows.items()}
    memory = {name: median(measured, lambda window: window.rss) for name, measured in windows.items()}
    more = (memory["over TLS"] - memory["plain"]) / count * 1024
    how = f"{count:,} targets, {RATE:,}/s, servers on a processor of their own, which take 1 to 17 ms; {more:.0f} KiB more a target"
    run.add(Figure("engine_tls_cpu_per_probe", "engine over TLS", costs["over TLS"], "µs", "engine, plain", costs["plain"], MOST, how))
