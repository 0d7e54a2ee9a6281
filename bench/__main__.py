"""`python -m bench`: everything side by side in one run. A JSON line for each figure on stdout, at the end a table."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from bench.figures.client import client
from bench.figures.connections import connections
from bench.figures.contest import contest
from bench.figures.fleet_tls import fleet_tls
from bench.figures.growth import growth
from bench.figures.hanging import hanging
from bench.figures.hostile import hostile
from bench.figures.large import large
from bench.figures.operator import operator
from bench.figures.probe import probe
from bench.figures.stalls import stalls
from bench.figures.tls import tls
from bench.figures.verdicts import killed, verdicts
from bench.fleet.fleet import Fleet, open_files
from bench.part import PartError
from bench.report import circumstances, renew, table, write_document
from bench.run import FULL, QUICK, Run, say
from rig.process import RigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

SERVERS = 50_000
NAMES = "contest, probe, tls, connections, client, growth, hanging, large, verdicts, killed, stalls, hostile, operator"


def questions(run: Run, only: Collection[str] = ()) -> dict[str, Callable[[], None]]:
    """What can be asked for by name, in order. The short run leaves out the whole operator and renewals over TLS, unless asked for them."""
    asked: dict[str, Callable[[], None]] = {
        "contest": partial(contest, run),
        "probe": partial(probe, run),
        "tls": partial(tls, run),
        "connections": partial(connections, run),
    }
    if run.pace.quick and not only:  # the verdicts are mostly waited for: meanwhile, others are measured
        return asked | {
            "verdicts": partial(verdicts, run, first=partial(growth, run), then=partial(client, run)),
            "hanging": partial(hanging, run),
            "large": partial(large, run),
        }
    return asked | {
        "client": partial(client, run),
        "growth": partial(growth, run),
        "hanging": partial(hanging, run),
        "fleet_tls": partial(fleet_tls, run),
        "large": partial(large, run),
        "verdicts": partial(verdicts, run),
        "killed": partial(killed, run),
        "stalls": partial(stalls, run),
        "hostile": partial(hostile, run),
        "operator": partial(operator, run),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 3 minutes: fewer rounds, shorter, smaller fleets")
    parser.add_argument("--only", nargs="+", default=[], metavar="QUESTION", help=NAMES)
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md; with --only, those rows of it")
    given = parser.parse_args()
    began = time.monotonic()
    files = open_files()
    failed = False
    with Fleet(SERVERS) as fleet:
        say(f"{fleet.size:,} servers listen ({time.monotonic() - began:.0f} s); {files:,} open files a process")
        run = Run(QUICK if given.quick else FULL, fleet)
        for name, ask in questions(run, given.only).items():
            if given.only and name not in given.only:
                continue
            try:
                ask()
            except (PartError, RigError) as error:
                say(f"{name} failed: {error}")
                failed = True
    text = f"{circumstances(quick=run.pace.quick, rounds=run.pace.rounds, open_files=files)}\n\n{table(run.figures)}"
    print(f"\n{text}")
    if given.write_docs and given.only:
        renew(run.figures)
    elif given.write_docs:
        write_document(text)
    say(f"took {time.monotonic() - began:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
