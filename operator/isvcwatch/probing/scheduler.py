"""Who is due, and when: every target once a period, spread evenly by its identity, none held up by another."""

from __future__ import annotations

import asyncio
import math
import zlib
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from isvcwatch.core import pace
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Round
from isvcwatch.probing.failures import CRASHED, OWN_LATENESS, SILENT
from isvcwatch.probing.lanes import Lane
from isvcwatch.probing.lateness import Lateness, tolerated

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.core.health import Health
    from isvcwatch.core.targets import Target
    from isvcwatch.probing.discovery import Cancellable
    from isvcwatch.probing.prober import Plan, Prober

log = structlog.get_logger(__name__)

TICK: Final = 0.02
"""Seconds; one wake-up starts all that have fallen due, since waking costs more than probing."""

EDGE_OF_TICK: Final = 0.0005
"""Seconds after a tick's moment to wake at: uvloop's clock has whole milliseconds, and one woken too early must sleep again."""

MOST_AT_ONCE: Final = 512
"""Rounds started in one tick, which are 25,600 a second: no fleet needs more."""

LEAST_AT_ONCE: Final = 64
"""Rounds started in one tick however late the loop is, which others on its cores may make it: even with a new connection each, 15 ms."""

MORE: Final = 8
"""Rounds by which a tick may start more than the one before it, while the loop keeps up."""

BEHIND: Final = 0.04
"""Seconds by which a tick is late when more was started than the loop can carry. What is started too soon is not answered sooner: it only
waits for its connection until its time is up, and all that was done for it is lost. What is put off starts late, and that is shown."""

IN_FLIGHT: Final = 4096
"""Rounds under way at once in each lane: each holds a connection, while it is explained up to three."""

AT_ONE_HOST: Final = 256
"""Of these, at one address: models behind one ingress share it, and none should feel watched."""

DOUBT: Final = 0.75
"""Of an edge period, without an answer: early enough that the explanation is there when the last round of three is."""


NOWHERE: Final = -1
IN_LANE: Final = -2
GONE: Final = -3


class RoundCounter(Protocol):
    """Counts rounds."""

    def started(self, lateness: float) -> None:
        """A round has started so many seconds after it was due."""

    def discarded(self, cause: str) -> None:
        """A round was not judged: late, exhausted, outdated."""


class _Due:
    """A target in the schedule.

    Attributes:
        tick: the tick at which it starts next; `NOWHERE` while it isn't in the wheel, `IN_LANE` while it waits for a place, `GONE`.
        due: when that was meant to be.
        started: when its latest round was.
        rounds: those under way, oldest first: one, or more while a silent target is in doubt.
        judged: when a round was judged last.
        health: what came of that; None before the first.
        steady: the model is ready, and nothing speaks against it.
        well: the round that found it so.
        silence_tells: no answer is reason enough to ask again.
        silent: the latest round got no answer, or has been without one for long.
        down_since: when the model was first not held to be ready; None while it is.
    """

    __slots__ = (
        "down_since",
        "due",
        "edge",
        "health",
        "host",
        "judged",
        "period",
        "phase",
        "plan",
        "rounds",
        "silence_tells",
        "silent",
        "started",
        "steady",
        "target",
        "tick",
        "well",
    )

    def __init__(self, target: Target, plan: Plan, now: float) -> None:
        self.target = target
        self.plan = plan
        self.host = plan.host
        self.period = target.policy.period
        self.phase = zlib.crc32(target.uid.encode()) / 2**32 * self.period
        self.edge = target.policy.edge
        self.tick = NOWHERE
        self.due = now
        self.started = -math.inf
        self.rounds: list[_Round] = []
        self.judged = -math.inf
        self.health: Health | None = None
        self.steady = False
        self.well: Round | None = None
        self.silence_tells = True
        self.silent = False
        self.down_since: float | None = now


class _Round:
    """A round under way."""

    __slots__ = ("asking", "entry", "lane", "started")

    def __init__(self, entry: _Due, lane: Lane[_Due], now: float) -> None:
        self.entry = entry
        self.lane = lane
        self.started = now
        self.asking: Cancellable | None = None


class Scheduler:
    """Starts a round for each target each period, sooner where a verdict is being confirmed, later where it has been down for long.

    A target's place in its period is a hash of its UID, so that a restart, or another replica, starts it at the same beat, and a fleet
    is spread evenly whenever it was created. The wheel holds a list of targets for each tick that has any; what has moved or is gone is
    left there and passed over.

    Args:
        prober: makes the rounds.
        judge: takes what a round found; returns the target's health then, None where the target is not known any more.
        metrics: counts.

    Attributes:
        wells: rounds so far that found their model ready.
        calm: no verdict is to be confirmed quickly, since none is given.
    """

    def __init__(self, prober: Prober, judge: Callable[[Target, Round], Health | None], metrics: RoundCounter) -> None:
        self._prober = prober
        self._judge = judge
        self._metrics = metrics
        self._entries: dict[str, _Due] = {}
        self._loop = asyncio.get_running_loop()
        self._wheel: dict[int, list[_Due]] = {}
        self._at = int(self._loop.time() / TICK)
        self._answering: Lane[_Due] = Lane(IN_FLIGHT, AT_ONE_HOST, partial(self._start_waiting, silent=False))
        self._silent: Lane[_Due] = Lane(IN_FLIGHT, AT_ONE_HOST, partial(self._start_waiting, silent=True))
        self._at_once = MOST_AT_ONCE
        self.lateness = Lateness(TICK, self._loop.time())
        self.wells = 0
        self.calm = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last_tick(self) -> float:
        """When the latest tick was, on the loop's clock."""
        return self.lateness.last_tick

    @property
    def in_flight(self) -> int:
        """Rounds under way."""
        return self._answering.running + self._silent.running

    @property
    def waiting(self) -> int:
        """Rounds that are due, and wait for a place."""
        return self._answering.waiting + self._silent.waiting

    def set(self, target: Target, delay: float = 0.0) -> None:
        """Probe the target from now on, or as it now is; not before `delay` seconds."""
        self.remove(target.uid)
        now = self._loop.time()
        entry = self._entries[target.uid] = _Due(target, self._prober.plan(target), now)
        self._put(entry, _next_beat(entry, now + delay))

    def remove(self, uid: str) -> None:
        """Probe it no longer; what is under way is given up."""
        entry = self._entries.pop(uid, None)
        if entry:
            entry.tick = GONE
            for under_way in entry.rounds:
                self._give_up(under_way)
            entry.rounds.clear()

    async def run(self) -> None:
        """Start rounds until cancelled; then give up those under way."""
        self.lateness.last_tick = self._loop.time()
        try:
            while True:
                now = self._loop.time()
                self._at_once = _at_once(self._at_once, late=self.lateness.tick(now))
                self._turn(now)
                await asyncio.sleep(TICK - self._loop.time() % TICK + EDGE_OF_TICK)
        finally:
            for uid in list(self._entries):
                self.remove(uid)

    # Into the wheel, and out of it.

    def _put(self, entry: _Due, due: float) -> None:
        """Start the target's next round at the first tick from then on, and at no other; one that waits for a place is due already."""
        if entry.tick in (IN_LANE, GONE):
            return
        tick = max(math.ceil(due / TICK), self._at + 1)
        entry.tick = tick
        entry.due = tick * TICK
        slot = self._wheel.get(tick)
        if slot is None:
            self._wheel[tick] = [entry]
        else:
            slot.append(entry)

    def _turn(self, now: float) -> None:
        """Start what is due by now, but not more than the loop can carry."""
        wheel, until = self._wheel, int(now / TICK)
        left = self._at_once
        while self._at < until:
            tick = self._at + 1
            slot = wheel.get(tick)
            if slot:
                while slot:
                    entry = slot.pop()
                    if entry.tick == tick:
                        entry.tick = NOWHERE
                        self._enter(entry)
                        left -= 1
                        if not left:
                            return
                del wheel[tick]
            self._at = tick

    # Rounds.

    def _enter(self, entry: _Due) -> None:
        lane = self._silent if entry.silent else self._answering
        if lane.enter(entry, entry.host):
            self._start(entry, lane)
        else:
            entry.tick = IN_LANE

    def _start_waiting(self, entry: _Due, *, silent: bool) -> bool:
        """Start a round that has waited for its place, unless its target is gone or was put back into the wheel meanwhile."""
        if entry.tick != IN_LANE:
            return False
        entry.tick = NOWHERE
        self._start(entry, self._silent if silent else self._answering)
        return True

    def _start(self, entry: _Due, lane: Lane[_Due]) -> None:
        now = self._loop.time()
        self._metrics.started(now - entry.due)
        entry.started = now
        under_way = _Round(entry, lane, now)
        entry.rounds.append(under_way)
        done = partial(self._ended, under_way)
        try:
            if entry.silence_tells:
                under_way.asking = self._prober.start(
                    entry.plan, done, doubt_after=DOUBT * entry.edge, doubt=partial(self._doubted, under_way)
                )
            else:
                under_way.asking = self._prober.start(entry.plan, done)
        except Exception:  # one target's trouble must never end the others' probing
            log.exception("probe_crashed", namespace=entry.target.namespace, name=entry.target.name)
            under_way.asking = self._loop.call_soon(done, Round(CRASHED, CRASHED, CRASHED))

    def _doubted(self, under_way: _Round) -> None:
        """A round has no answer yet: it leaves its place to those that do answer, and the next one starts without waiting for it."""
        entry = under_way.entry
        if under_way.lane is self._answering:
            self._silent.take(entry.host)
            under_way.lane = self._silent
            self._answering.leave(entry.host)
        entry.silent = True
        if under_way is entry.rounds[-1] and entry.tick == NOWHERE and entry.judged < under_way.started:
            self._put(entry, under_way.started + entry.edge)

    def _ended(self, under_way: _Round, found: Round | None) -> None:
        entry = under_way.entry
        under_way.asking = None  # it refers to us: a ring that only the collector could free
        under_way.lane.leave(entry.host)
        older = entry.rounds[: entry.rounds.index(under_way)]
        entry.rounds.remove(under_way)
        now = self._loop.time()
        if found is None:
            self._metrics.discarded("exhausted")
            self._put(entry, _next_beat(entry, now))
        elif self._is_own_lateness(under_way, found, now):
            self._metrics.discarded("late")
            self._put(entry, now + entry.edge)
        else:
            for outdated in older:
                entry.rounds.remove(outdated)
                self._give_up(outdated)
                self._metrics.discarded("outdated")
            self._take(entry, found, now)

    def _is_own_lateness(self, under_way: _Round, found: Round, now: float) -> bool:
        entry = under_way.entry
        return (
            found.model_ready.status is not Status.TRUE
            and any(f is not None and f.reason in OWN_LATENESS for f in (found.server_live, found.server_ready, found.model_ready))
            and self.lateness.spoiled(under_way.started, now, tolerated(entry.plan.timeout))
        )

    def _take(self, entry: _Due, found: Round, now: float) -> None:
        """A round counts: have it judged, and see when the next is due."""
        if found.model_ready.status is Status.TRUE:
            self.wells += 1
        entry.judged = now
        entry.silent = found.model_ready.reason in SILENT
        if entry.steady and found is entry.well:  # nothing new: nobody need be told
            self._put(entry, _next_beat(entry, now))
            return
        try:
            health = self._judge(entry.target, found)
        except Exception:  # likewise
            log.exception("round_crashed", namespace=entry.target.namespace, name=entry.target.name)
            health = entry.health
        if health is None:
            self._put(entry, _next_beat(entry, now))
        else:
            self._adapt(entry, health, now)
            entry.well = found if entry.steady else None

    def _adapt(self, entry: _Due, health: Health, now: float) -> None:
        policy = entry.target.policy
        verdict = health.model_ready.verdict
        if verdict is not None and verdict.status is Status.TRUE:
            entry.down_since = None
        elif entry.down_since is None:
            entry.down_since = now
        down = now - entry.down_since if entry.down_since is not None else 0.0
        entry.health = health
        entry.steady = pace.is_steady(health)
        entry.plan.unsure = pace.is_unsure(health, policy, down)
        entry.silence_tells = pace.silence_tells(health, policy)
        delay = policy.period if self.calm else pace.delay(health, policy, down)
        self._put(entry, _next_beat(entry, now) if delay == policy.period else max(now, entry.started + delay))

    def _give_up(self, under_way: _Round) -> None:
        if under_way.asking:
            under_way.asking.cancel()
        under_way.lane.leave(under_way.entry.host)


def _at_once(before: int, *, late: float) -> int:
    """How many rounds a tick may start, after one that allowed so many and was so many seconds late."""
    return max(before // 2, LEAST_AT_ONCE) if late > BEHIND else min(before + MORE, MOST_AT_ONCE)


def _next_beat(entry: _Due, earliest: float) -> float:
    """The first moment from `earliest` on that is the target's turn."""
    beats = -((entry.phase - earliest) // entry.period)
    return max(earliest, entry.phase + beats * entry.period)
