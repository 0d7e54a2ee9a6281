"""One run of the measurements: how long it takes its time, the fleet, and the figures so far."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.window import Window, measure, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.fleet.fleet import Fleet
    from bench.part import Part
    from bench.report import Figure

BEGAN: Final = time.monotonic()

RATE: Final = 1000
"""Probes a second that figures per probe are compared at."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much time is taken.

    Attributes:
        quick: whether it is the short run.
        rounds: how often each is measured.
        seconds: how long each time.
        contest: targets that the other contestants ask, at `RATE`; ours asks 10,000.
        tls: targets over TLS, each with a handshake.
        sizes: fleets whose cost per probe is compared.
        hanging: targets of which some hang.
        services: InferenceServices on a real API server that the whole operator watches.
        quiet: seconds in which none of them changes.
    """

    quick: bool
    rounds: int
    seconds: float
    contest: int
    tls: int
    sizes: tuple[int, ...]
    hanging: int
    services: int
    quiet: float


FULL: Final = Pace(False, 3, 10.0, 10_000, 1_000, (100, 1_000, 10_000, 50_000), 10_000, 10_000, 300.0)
QUICK: Final = Pace(True, 1, 2.5, 2_000, 1_000, (100, 2_000), 2_000, 1_000, 20.0)


@dataclass(slots=True)
class Run:
    """What the figures are made with.

    Attributes:
        pace: how much time is taken.
        fleet: plain servers.
        figures: those so far.
    """

    pace: Pace
    fleet: Fleet
    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """A figure is measured: its line is said at once."""
        self.figures.append(figure)
        print(figure.line(), flush=True)

    def interleaved(
        self, parts: Mapping[str, tuple[Callable[[], Part], Callable[[Part], None]]], most_seconds: float = math.inf
    ) -> dict[str, list[Window]]:
        """Each part measured in turn, and that as often as the pace says: noise that comes and goes meets all.

        Args:
            parts: how each is started, and how it is made ready to be measured, by name.
            most_seconds: what suffices each time, where that is less than the pace's.
        """
        windows: dict[str, list[Window]] = {name: [] for name in parts}
        for number in range(self.pace.rounds):
            for name, (start, warm) in parts.items():
                say(f"{name}, round {number + 1} of {self.pace.rounds}")
                with start() as part:
                    warm(part)
                    windows[name].append(measure(part, min(self.pace.seconds, most_seconds)))
        return windows


def wait(seconds: float) -> Callable[[Part], None]:
    """Makes a part ready by giving it time."""
    return lambda _: time.sleep(seconds)


def settled(within: float) -> Callable[[Part], None]:
    """Makes our engine ready: each target has its verdict, or time is up, in seconds."""
    return lambda part: settle(part, within)


def say(text: str) -> None:
    """To people, on what goes on."""
    print(f"bench: {time.monotonic() - BEGAN:5.0f} s  {text}", file=sys.stderr, flush=True)
