"""Schedules the rounds: every target once a period, spread evenly by a hash of its UID, and none delayed by another."""

from __future__ import annotations

import asyncio
import contextlib
import math
import zlib
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from isvcwatch.core import pace
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Round
from isvcwatch.probing.failures import CRASHED, OWN_LATENESS, SILENT
from isvcwatch.probing.lanes import Berth, Lane
from isvcwatch.probing.lateness import Lateness, tolerated

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from isvcwatch.core.health import Health
    from isvcwatch.core.targets import Target
    from isvcwatch.probing.discovery import Cancellable
    from isvcwatch.probing.prober import Plan, Prober

log = structlog.get_logger(__name__)

TICK: Final = 0.02
"""Seconds between two ticks; each starts all rounds that are due, since a wake-up costs more than a probe."""

HALF: Final = TICK / 2
"""Seconds from a tick to the half after it, in which targets are asked that gave no answer the last time, and in which their timeouts end.
A tick's answers would have to wait for what new connections and failures take."""

INEXACT: Final = 0.0001
"""Seconds by which a time may be off, as a sum of a few; less than half of uvloop's millisecond, to which uvloop rounds."""

MOST_AT_ONCE: Final = 512
"""The most rounds started in one tick. They make 25,600 a second, more than any fleet needs."""

LEAST_AT_ONCE: Final = 64
"""Rounds that one tick may start even if the loop is late, since other processes may have caused that: they take 15 ms, even with a new
connection each."""

MORE: Final = 8
"""How many more rounds a tick may start than the one before it while the loop keeps up."""

BEHIND: Final = 0.04
"""Seconds of a tick's lateness that show that the loop is overloaded, so that the next tick starts fewer rounds. A round started under
overload would only wait for its connection until its timeout. A round that is put off starts late, which is measured."""

IN_FLIGHT: Final = 4096
"""The most rounds under way at once in each lane. Each holds one connection, and up to three while its failure is explained."""

AT_ONE_HOST: Final = 256
"""The most of these at one address, such as an ingress that several models share, which must not be loaded noticeably."""

DOUBT: Final = 0.75
"""The part of an edge period without an answer after which a round is in doubt. It is small enough that the explanation of the failure is
known when the last of three rounds ends."""


MOST_REQUESTS: Final = 40
"""Requests that a round may wait for, one after the other: those of a closer look and some before and after it, twice in a roll-out."""

SLACK: Final = 60.0
"""Seconds beyond that after which a round counts as overdue, since the process may have been stopped meanwhile."""


class _Slot:
    """A tick of the wheel or the half after one: when it is due, and whose round it starts, though some targets have moved since."""

    __slots__ = ("due", "entries")

    def __init__(self, due: float = math.inf) -> None:
        self.due = due
        self.entries: list[_Due] = []


NOWHERE: Final = _Slot()
IN_LANE: Final = _Slot()
GONE: Final = _Slot()
"""In place of a target's slot: it isn't in the wheel, it waits for a place in a lane, it was removed."""


class RoundCounter(Protocol):
    """Counts rounds."""

    def started(self, lateness: float) -> None:
        """Count a round that has started so many seconds after it was due."""

    def discarded(self, cause: str) -> None:
        """Count a round that was not judged, by its cause: late, exhausted or outdated."""


class _Due:
    """A target in the schedule.

    A round of a steady target stores no number here: the one before it would be freed, in memory that no cache holds any more.

    Attributes:
        slot: the slot of its next round, or `NOWHERE`, `IN_LANE` or `GONE`.
        due: the time at which the round that waits in a lane was due.
        plan: the prepared requests; None until the first round.
        host: what the connections have in common, to bound those at one address.
        latest: the latest of the rounds under way; None if none is.
        health: the health after that judgement; None before the first.
        steady: whether the model's verdict is ready and no finding contradicts any verdict.
        well: the result of the round that confirmed this.
        silence_tells: whether to ask again while an answer is still outstanding.
        silent: whether the latest round got no answer, or has waited long for one.
        anew: whether the next round is to start at once and on new connections.
        rounds: how many rounds have ended since the first that failed, of this target and of its older versions.
        failed: how many of these did not find the model ready.
        down_since: the time since which the model's verdict has not been ready; None if it is.
    """

    __slots__ = (
        "anew",
        "down_since",
        "due",
        "edge",
        "failed",
        "health",
        "host",
        "latest",
        "period",
        "phase",
        "plan",
        "rounds",
        "silence_tells",
        "silent",
        "slot",
        "steady",
        "target",
        "well",
    )

    def __init__(self, target: Target, now: float) -> None:
        self.target = target
        self.anew = False
        self.rounds = 0
        self.failed = 0
        self.plan: Plan | None = None
        self.host: Hashable = None
        self.period = target.policy.period
        self.phase = zlib.crc32(target.uid.encode()) / 2**32 * self.period
        self.edge = target.policy.edge
        self.slot = NOWHERE
        self.due = now
        self.latest: _Round | None = None
        self.health: Health | None = None
        self.steady = False
        self.well: Round | None = None
        self.silence_tells = True
        self.silent = False
        self.down_since: float | None = now


class _Round:
    """A round under way.

    Attributes:
        before: the target's round under way that started before it: there is one if a target that does not answer is asked again.
        fresh: whether all of it is asked on new connections.
        place: its place in a lane.
    """

    __slots__ = ("asking", "before", "entry", "fresh", "place", "started")

    def __init__(self, entry: _Due, place: Berth[_Due], now: float) -> None:
        self.entry = entry
        self.fresh = False
        self.place = place
        self.started = now
        self.before = entry.latest
        self.asking: Cancellable | None = None


class Scheduler:
    """Starts a round for each target in each period: sooner if a verdict is being confirmed, later if the target has long been down.

    A target's place in its period comes from a hash of its UID, so that it stays the same after a restart and in another replica, and a
    fleet is spread evenly however it was created. The wheel holds a list of targets for each tick, and each half after one, that has any. A
    target that was moved or removed stays in its old list, and is ignored there.

    Args:
        prober: runs the rounds.
        judge: takes what a round found and whether it was asked on new connections, and returns the target's health after it; None if
            the target is no longer known.
        metrics: counts the rounds.

    Attributes:
        wells: how many rounds so far found their model ready.
        calm: whether targets keep to their usual period while a verdict is pending, since the gate holds verdicts back.
    """

    def __init__(self, prober: Prober, judge: Callable[[Target, Round, bool], Health | None], metrics: RoundCounter) -> None:
        self._prober = prober
        self._judge = judge
        self._metrics = metrics
        self._entries: dict[str, _Due] = {}
        self._loop = asyncio.get_running_loop()
        self._wheel: dict[int, _Slot] = {}
        self._at = int(self._loop.time() / HALF)
        self._answering = Lane(IN_FLIGHT, AT_ONE_HOST, self._start_waiting, _namespace)
        self._silent = Lane(IN_FLIGHT, AT_ONE_HOST, self._start_waiting, _namespace, shared=True)
        self._at_once = MOST_AT_ONCE
        self.lateness = Lateness(TICK, self._loop.time())
        self._under_way: dict[_Round, None] = {}
        self.wells = 0
        self.calm = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last_tick(self) -> float:
        """The time of the latest tick on the loop's clock."""
        return self.lateness.last_tick

    @property
    def in_flight(self) -> int:
        """How many rounds are under way."""
        return self._answering.running + self._silent.running

    @property
    def waiting(self) -> int:
        """How many rounds are due and wait for a place."""
        return self._answering.waiting + self._silent.waiting

    @property
    def oldest(self) -> float:
        """Seconds since the oldest round under way has started; 0 if none is."""
        oldest = next(iter(self._under_way), None)
        return self._loop.time() - oldest.started if oldest is not None else 0.0

    @property
    def overdue(self) -> int:
        """How many rounds have been under way for longer than any can take; there are none but by a bug."""
        now = self._loop.time()
        return sum(now - each.started > MOST_REQUESTS * each.entry.target.policy.timeout + SLACK for each in self._under_way)

    def set(self, target: Target, delay: float = 0.0, *, soon: bool = False) -> None:
        """Probe the target from now on, in place of its older version.

        Args:
            target: what to probe.
            delay: seconds after which its first round starts at the earliest.
            soon: whether that round starts within an edge period after the delay, and not at the target's place in its period.
        """
        before = self._entries.get(target.uid)
        self.remove(target.uid)
        now = self._loop.time()
        entry = self._entries[target.uid] = _Due(target, now)
        if before is not None:
            entry.rounds, entry.failed = before.rounds, before.failed
        first = now + delay
        self._put(entry, first + entry.phase * entry.edge / entry.period if soon else _next_beat(entry, first))

    def plan(self, uid: str) -> Plan | None:
        """The prepared requests of the service with this UID; None if it is not probed, or before its first round."""
        entry = self._entries.get(uid)
        return entry.plan if entry is not None else None

    def rounds(self, uid: str) -> tuple[int, int]:
        """How many rounds of the service with this UID have ended since the first that failed, and how many of these failed."""
        entry = self._entries.get(uid)
        return (entry.rounds, entry.failed) if entry is not None else (0, 0)

    def ask_anew(self, uid: str, *, hurried: bool) -> None:
        """Start a round of the target with the next tick, on new connections; if it has as many under way as it may, once one has ended.

        Args:
            uid: the service's UID; one that is not probed is ignored.
            hurried: whether not to wait long for an answer, in this and all later rounds, until it is asked anew otherwise.
        """
        entry = self._entries.get(uid)
        if entry is None:
            return
        self._plan(entry).hurry(hurried)
        entry.anew = True
        entry.well = None  # the round is judged, also where it confirms the last one
        if not _is_at_bound(entry):
            self._put(entry, self._loop.time())

    def remove(self, uid: str) -> None:
        """Stop probing the service with this UID, and cancel its rounds under way."""
        entry = self._entries.pop(uid, None)
        if entry:
            entry.slot = GONE
            self._give_up(entry.latest)
            entry.latest = None

    async def run(self) -> None:
        """Start rounds until cancelled; then cancel the rounds under way."""
        due = self._loop.time()
        try:
            while True:
                now = self._loop.time()
                self._at_once = _at_once(self._at_once, late=self.lateness.tick(now, due))
                due = self._next_turn(now)
                bell = self._loop.create_future()
                self._loop.call_at(due + INEXACT, _ring, bell)  # first, since uvloop's clock stands still while rounds are started
                self._turn(now)
                await bell
        finally:
            for uid in list(self._entries):
                self.remove(uid)

    # Methods that put targets into the wheel and take them out.

    def _put(self, entry: _Due, due: float) -> None:
        """Schedule the target's next round in place of any other, unless it waits for a place.

        It is for the first tick at or after `due`, or the first half after one if the target is silent.
        """
        if entry.slot is IN_LANE or entry.slot is GONE:
            return
        if entry.anew:
            due = min(due, self._loop.time())
        number = max(math.ceil(due / HALF), self._at + 1 + entry.silent)  # the half that follows may come without a turn
        if number % 2 != entry.silent:
            number += 1
        slot = self._wheel.get(number)
        if slot is None:
            slot = self._wheel[number] = _Slot(number * HALF)
        entry.slot = slot
        slot.entries.append(entry)

    def _next_turn(self, now: float) -> float:
        """The time of the next tick, or of the half before it if any target is due then."""
        number = _number(now) + 1
        return (number if number % 2 == 0 or number in self._wheel else number + 1) * HALF

    def _turn(self, now: float) -> None:
        """Start the rounds that are due, but not more than the loop can carry."""
        wheel, until = self._wheel, _number(now)
        left = self._at_once
        while self._at < until:
            number = self._at + 1
            slot = wheel.get(number)
            if slot is not None:
                while slot.entries:
                    entry = slot.entries.pop()
                    if entry.slot is slot:
                        entry.slot = NOWHERE
                        self._enter(entry, slot.due)
                        left -= 1
                        if not left:
                            return
                del wheel[number]
            self._at = number

    # Methods that start and end rounds.

    def _plan(self, entry: _Due) -> Plan:
        """The prepared requests, which are made when they are first needed.

        Targets whose turns come one after the other then have theirs side by side in memory, which makes up for a part of what ten
        thousand targets cost more than a hundred do: what a round touches is in no cache.
        """
        if entry.plan is None:
            entry.plan = self._prober.plan(entry.target)
            entry.host = entry.plan.host
        return entry.plan

    def _enter(self, entry: _Due, due: float) -> None:
        if entry.plan is None:
            with contextlib.suppress(Exception):  # a bug shows again, and is logged, where the round starts
                self._plan(entry)
        lane = self._silent if entry.silent else self._answering
        if (place := lane.enter(entry, entry.host)) is not None:
            self._start(entry, place, due)
        else:
            entry.slot = IN_LANE
            entry.due = due

    def _start_waiting(self, entry: _Due, place: Berth[_Due]) -> bool:
        """Start a round that has waited for its place, unless its target is gone or was put back into the wheel meanwhile."""
        if entry.slot is not IN_LANE:
            return False
        entry.slot = NOWHERE
        self._start(entry, place, entry.due)
        return True

    def _start(self, entry: _Due, place: Berth[_Due], due: float) -> None:
        now = self._loop.time()
        self._metrics.started(now - due)
        entry.latest = under_way = _Round(entry, place, now)
        self._under_way[under_way] = None
        done = partial(self._ended, under_way)
        try:
            plan = self._plan(entry)
            if entry.anew or plan.unsure:
                plan.fresh = under_way.fresh = True
                entry.anew = False
            elif plan.fresh:
                plan.fresh = False
            if entry.silence_tells:
                under_way.asking = self._prober.start(plan, done, doubt_after=DOUBT * entry.edge, doubt=partial(self._doubted, under_way))
            else:
                under_way.asking = self._prober.start(plan, done)
        except Exception:  # a failure at one target must not stop the probing of others
            log.exception("probe_crashed", namespace=entry.target.namespace, name=entry.target.name)
            under_way.asking = self._loop.call_soon(done, Round(CRASHED, CRASHED, CRASHED))

    def _doubted(self, under_way: _Round) -> None:
        """Move a round without an answer to the lane for silent targets, and schedule the target's next round without waiting for it."""
        entry = under_way.entry
        before = under_way.place
        if before.lane is self._answering:
            under_way.place = self._silent.take(entry, before.host)
            before.leave()
        entry.silent = True
        if under_way is entry.latest and entry.slot is NOWHERE and not _is_at_bound(entry):
            self._put(entry, under_way.started + entry.edge)

    def _ended(self, under_way: _Round, found: Round | None) -> None:
        entry = under_way.entry
        under_way.asking = None  # breaks a reference cycle that only the garbage collector could free
        under_way.place.leave()
        del self._under_way[under_way]
        now = self._loop.time()
        if found is None:
            self._unlink(under_way)
            self._metrics.discarded("exhausted")
            self._put(entry, _next_beat(entry, now))
            entry.anew = under_way.fresh
        elif self._is_own_lateness(under_way, found, now):
            self._unlink(under_way)
            self._metrics.discarded("late")
            self._put(entry, now + entry.edge)
            entry.anew = under_way.fresh
        else:
            outdated, under_way.before = under_way.before, None
            self._unlink(under_way)
            self._give_up(outdated, "outdated")
            self._take(under_way, found, now)

    @staticmethod
    def _unlink(under_way: _Round) -> None:
        """Take a round that has ended out of its target's rounds under way."""
        newer, older = under_way.entry.latest, under_way.before
        if newer is under_way:
            under_way.entry.latest = older
            return
        while newer is not None and newer.before is not under_way:
            newer = newer.before
        if newer is not None:
            newer.before = older

    def _is_own_lateness(self, under_way: _Round, found: Round, now: float) -> bool:
        entry = under_way.entry
        return (
            found.model_ready.status is not Status.TRUE
            and any(f is not None and f.reason in OWN_LATENESS for f in (found.server_live, found.server_ready, found.model_ready))
            and self.lateness.spoiled(under_way.started, now, tolerated(entry.target.policy.timeout))
        )

    def _take(self, ended: _Round, found: Round, now: float) -> None:
        """Have a round judged, and schedule the next one."""
        entry = ended.entry
        if found.model_ready.status is Status.TRUE:
            self.wells += 1
            if entry.failed:
                entry.rounds += 1
        else:
            entry.rounds += 1
            entry.failed += 1
        entry.silent = found.model_ready.reason in SILENT
        if entry.steady and found is entry.well:  # the round confirms the last one, so it need not be judged
            self._put(entry, _next_beat(entry, now))
            return
        try:
            health = self._judge(entry.target, found, ended.fresh)
        except Exception:  # a bug in judging one target must not stop the probing of others
            log.exception("round_crashed", namespace=entry.target.namespace, name=entry.target.name)
            health = entry.health
        if health is None:
            self._put(entry, _next_beat(entry, now))
        else:
            self._adapt(entry, health, now, (entry.latest or ended).started)
            entry.well = found if entry.steady else None

    def _adapt(self, entry: _Due, health: Health, now: float, started: float) -> None:
        policy = entry.target.policy
        verdict = health.model_ready.verdict
        if verdict is not None and verdict.status is Status.TRUE:
            entry.down_since = None
        elif entry.down_since is None:
            entry.down_since = now
        down = now - entry.down_since if entry.down_since is not None else 0.0
        entry.health = health
        entry.steady = pace.is_steady(health)
        if entry.plan is not None:
            entry.plan.unsure = pace.is_unsure(health, policy, down)
        entry.silence_tells = pace.silence_tells(health, policy)
        delay = policy.period if self.calm else pace.delay(health, policy, down)
        self._put(entry, _next_beat(entry, now) if delay == policy.period else max(now, started + delay))

    def _give_up(self, under_way: _Round | None, cause: str = "") -> None:
        """Cancel a round and those before it, and count them if a cause is given."""
        while under_way is not None:
            if under_way.asking:
                under_way.asking.cancel()
            under_way.place.leave()
            del self._under_way[under_way]
            if cause:
                self._metrics.discarded(cause)
            under_way = under_way.before


def _is_at_bound(entry: _Due) -> bool:
    """Whether as many rounds of the target are under way as it takes to confirm a failure: more would tell nothing."""
    count, under_way = 0, entry.latest
    while under_way is not None:
        count, under_way = count + 1, under_way.before
    return count >= entry.target.policy.failure_threshold


def _namespace(entry: _Due) -> str:
    return entry.target.namespace


def _number(now: float) -> int:
    """The number of the latest tick or half after one: ticks have even numbers."""
    return int((now + INEXACT) / HALF)


def _ring(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


def _at_once(before: int, *, late: float) -> int:
    """How many rounds a tick may start, given the number for the tick before and the seconds by which this one is late."""
    return max(before // 2, LEAST_AT_ONCE) if late > BEHIND else min(before + MORE, MOST_AT_ONCE)


def _next_beat(entry: _Due, earliest: float) -> float:
    """The first time from `earliest` on that is the target's place in its period."""
    beats = -((entry.phase - earliest) // entry.period)
    return max(earliest, entry.phase + beats * entry.period)
