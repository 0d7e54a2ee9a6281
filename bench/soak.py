"""`python -m bench.soak --minutes 60`: our engine at 1,000 probes a second for long, targets coming, going, changing and failing.

A JSON line for each sample on stdout; at the end one with the verdict: whether memory is flat, and nothing leaks.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bench.contestants import engine, plain
from bench.fleet.fleet import Fleet
from bench.fleet.server import Kind
from bench.run import RATE, say

if TYPE_CHECKING:
    from bench.fleet.fleet import Model
    from bench.part import Part

SERVERS: Final = 12_000
TARGETS: Final = 10_000
PERIOD: Final = TARGETS / RATE

SAMPLE: Final = 10.0  # seconds
STEP: Final = 1.0  # seconds between two changes of the fleet

MOVED: Final = 100
"""Targets removed, as many added, and half as many changed at each step. After two minutes few are what they were at the start, and those
that have changed, which take a little more memory, are as many as there will be all the time."""

TURNED: Final = 5
"""Servers that change their kind at each step."""

KINDS: Final = (Kind.HEALTHY, Kind.HEALTHY, Kind.FAILING, Kind.HANGING, Kind.SLOW, Kind.REFUSING)
SICK: Final = 500
"""Servers among which those are that are not healthy: the others are, all the time."""

WARM: Final = 300.0
"""Seconds left out of the slope, or a quarter of a longer run, or half of a shorter one: pools and caches fill, and the heap finds its
shape. In these minutes as much is in use at the end as at the start (930,000 blocks after a collection), but spread over more pages."""

FLAT: Final = 4.0
"""MiB of RSS more at the end than at the start, by the line through the samples, that are no leak: the heap grows by whole MiB. A hundred
bytes kept of each probe would be six MiB a minute, of each change of a target more than one."""

MOST_FILES: Final = SERVERS + 3 * SICK
"""Files that are no leak: a connection to each server, also of targets that went lately, and three more to one that is sick."""


@dataclass(slots=True)
class Churn:
    """Who is probed just now; changes it step by step."""

    fleet: Fleet
    part: Part
    here: list[Model]
    away: list[Model]
    chance: random.Random

    def sicken(self) -> None:
        """Make as many servers sick as there will be all the time: a service that is not ready takes more memory, for its diagnosis."""
        by_kind: dict[Kind, list[int]] = {}
        for server in range(SICK):
            by_kind.setdefault(self.chance.choice(KINDS), []).append(server)
        for kind, servers in by_kind.items():
            self.fleet.turn(kind, servers)

    def step(self) -> dict[str, Any]:
        """Change the fleet, and ask the engine how it is."""
        self.chance.shuffle(self.here)
        gone, changed, self.here = self.here[:MOVED], self.here[MOVED : MOVED + MOVED // 2], self.here[MOVED:]
        self.chance.shuffle(self.away)
        come, self.away = self.away[:MOVED], self.away[MOVED:] + gone
        come = [replace(model, uid=f"{self.chance.getrandbits(128):032x}") for model in come]
        renamed = {model.uid: replace(model, name=f"model-{self.chance.randrange(1000)}") for model in changed}
        self.here = [renamed.get(model.uid, model) for model in self.here] + come
        for _ in range(TURNED):
            self.fleet.turn(self.chance.choice(KINDS), [self.chance.randrange(SICK)])
        return self.part.ask(do="mark", remove=[model.uid for model in gone], set=plain([*come, *renamed.values()]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    seconds = parser.parse_args().minutes * 60
    samples: list[dict[str, Any]] = []
    with Fleet(SERVERS) as fleet:
        models = fleet.models(SERVERS)
        with engine(fleet, models[:TARGETS], period=PERIOD) as part:
            say(f"{TARGETS:,} targets, {RATE:,} probes/s, for {seconds / 60:g} minutes")
            churn = Churn(fleet, part, models[:TARGETS], models[TARGETS:], random.Random())  # noqa: S311
            churn.sicken()
            began = next_sample = time.monotonic()
            number = 0
            while time.monotonic() < began + seconds:
                time.sleep(max(0.0, began + number * STEP - time.monotonic()))
                number += 1
                mark = churn.step()
                if time.monotonic() >= next_sample:
                    next_sample += SAMPLE
                    samples.append(_sample(mark, began))
                    print(json.dumps(samples[-1]), flush=True)
    verdict = judge(samples)
    print(json.dumps(verdict), flush=True)
    return 0 if verdict["flat"] and verdict["no_leaks"] else 1


def _sample(mark: dict[str, Any], began: float) -> dict[str, Any]:
    """RSS in KiB; blocks of memory that Python has handed out; CPU in seconds."""
    kept = ("rss", "files", "tasks", "blocks", "connections", "in_flight", "answered", "failed", "discarded", "cpu")
    return {"seconds": round(time.monotonic() - began, 1)} | {name: mark[name] for name in kept}


def judge(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether memory is flat, and open files and tasks stay bounded; while connections are opened there are more tasks, which then end."""
    whole = samples[-1]["seconds"]
    warm = min(max(WARM, whole / 4), whole / 2)
    steady = [sample for sample in samples if sample["seconds"] >= warm]
    times = [sample["seconds"] for sample in steady]
    slope = statistics.linear_regression(times, [sample["rss"] / 1024 for sample in steady]).slope
    grown = slope * (times[-1] - times[0])
    spent = steady[-1]["seconds"] - steady[0]["seconds"]
    probes = sum(steady[-1][name] - steady[0][name] for name in ("answered", "failed"))
    files, tasks = max(sample["files"] for sample in steady), {sample["tasks"] for sample in steady}
    earlier, later = (min(sample["tasks"] for sample in half) for half in (steady[: len(steady) // 2], steady[len(steady) // 2 :]))
    return {
        "verdict": "soak",
        "seconds": samples[-1]["seconds"],
        "probes_per_second": round(probes / spent),
        "cpu_per_probe_us": round((steady[-1]["cpu"] - steady[0]["cpu"]) / probes * 1e6, 1),
        "rss_mib": [round(min(s["rss"] for s in steady) / 1024, 1), round(max(s["rss"] for s in steady) / 1024, 1)],
        "rss_slope_mib_per_hour": round(slope * 3600, 2),
        "files_most": files,
        "tasks": sorted(tasks),
        "flat": grown <= FLAT,
        "no_leaks": files <= MOST_FILES and later <= earlier,
    }


if __name__ == "__main__":
    sys.exit(main())
