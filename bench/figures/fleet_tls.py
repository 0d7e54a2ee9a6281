"""Ten thousand targets over TLS in one process: with a connection kept to each, and with a handshake for each probe."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bench.contestants import engine
from bench.fleet.fleet import Fleet
from bench.report import Figure, goal
from bench.run import settled
from bench.window import PATIENCE, median, settle
from isvcwatch.client.transport.transport import MAX_AGE

if TYPE_CHECKING:
    from bench.run import Run

TARGETS: Final = 10_000
PERIOD: Final = 10.0
KEPT: Final = "engine over TLS, a connection kept to each"
CLOSED: Final = "engine over TLS, a handshake for each probe"
WARMING: Final = 3 * PERIOD + PATIENCE
"""Seconds within which each target has been asked, with its first handshake."""

RENEWING: Final = 1.2 * MAX_AGE
"""Seconds after which connections are renewed as steadily as they are for ever."""


def fleet_tls(run: Run) -> None:
    """`fleet_10k_tls_cores` and `fleet_10k_tls_rss`; what costs a handshake each time has no goal."""
    with Fleet(TARGETS, tls=True) as secure:
        models = secure.models(min(TARGETS, secure.size))
        parts = {
            KEPT: (partial(engine, secure, models, period=PERIOD), lambda part: settle(part, WARMING, then=RENEWING)),
            CLOSED: (partial(engine, secure, models, period=PERIOD, max_age=0.0), settled(WARMING)),
        }
        windows = run.interleaved(parts)
    for name, measured in windows.items():
        cores, rss = (median(measured, of) for of in (lambda window: window.cores, lambda window: window.rss))
        late = median(measured, lambda window: window.p99("lateness"))
        failed = sum(window.failed for window in measured)
        how = f"{len(models):,} targets, {PERIOD:g} s period; start lateness p99 {late:.0f} ms, {failed} failed"
        if name == KEPT:
            run.add(goal("fleet_10k_tls_cores", name, cores, "cores", 0.25, how))
            run.add(goal("fleet_10k_tls_rss", name, rss, "MiB", 900.0))
        else:
            run.add(Figure("fleet_10k_tls_cores", name, cores, "cores", note=how))
            run.add(Figure("fleet_10k_tls_rss", name, rss, "MiB"))
