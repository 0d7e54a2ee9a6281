"""Threads for lookups, which parties share by turns: those whose lookups hang soon wait for none but one another."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from isvcwatch.client.transport.errors import ExhaustedError, Phase, ResolverError

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], None]

PATIENCE: Final = 0.5
"""Seconds after which a lookup counts as slow. A cluster's DNS answers in milliseconds, and who loses a packet waits for 5 s anyway."""

PROBATION: Final = 30.0
"""Seconds since its latest slow lookup for which a party counts as slow, so that prompt answers in between don't make up for it."""

SUSPECTS: Final = 10_000
"""Slow parties that are remembered."""

WAITING: Final = 20_000
"""Lookups that may wait for a thread. Where more do, a party may still have its share of that many."""


@dataclass(slots=True, eq=False)
class _WaitingLine:
    """Work that waits, and how much is under way.

    Attributes:
        most: how much of it may be under way for more to be begun.
        under_way: how much is.
        lanes: what waits, by party; the party whose turn is next comes first.
    """

    most: int
    under_way: int = 0
    lanes: OrderedDict[str, deque[Work]] = field(default_factory=OrderedDict)


@dataclass(slots=True, eq=False)
class _Task:
    """Work under way, since when, and the line that it counts in."""

    party: str
    work: Work
    began: float
    line: _WaitingLine


@dataclass(slots=True)
class _Suspect:
    """When a party's work was last seen to be slow, and how much of it has been."""

    seen: float = 0.0
    times: int = 0


class Threads:
    """A few daemon threads: `ThreadPoolExecutor`'s are joined at exit, and a hung lookup would hold up the process's end.

    Parties take turns, in one of two lines: a prompt one and a slow one. Work that is under way for longer than `PATIENCE` makes its party
    slow. From then on it counts in the slow line, so that a thread more may take its place in the prompt line, and what else the party has
    waiting moves over. A slow party becomes prompt by work that is done within `PATIENCE` once `PROBATION` is over. Slow parties hence
    delay none but slow ones. Of those, each has one thread, and the one that was slow least often goes first: a party that once lost a
    packet waits for a thread, but not for the turns of those that always hang.

    A party that has not hung yet can't be told from a good one. N parties that begin to hang at the same time therefore delay the others
    once, by `PATIENCE` for every `few` of them: 40 parties and 8 threads make 2.5 s. That holds for as many as `most - few` of them: where
    more hang, the others wait until lookups end. Where all hang, `most` threads are held, and one more watches.

    Args:
        few: threads for each line.
        most: lookups under way at once, those that hang included.
        each: how many of them one party may have that is not slow.
        clock: the time in seconds.
    """

    def __init__(self, few: int, most: int, each: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._few = few
        self._most = most
        self._each = each
        self._clock = clock
        self._changed = threading.Condition()
        self._prompt, self._slow = _WaitingLine(few), _WaitingLine(few)
        self._suspects: OrderedDict[str, _Suspect] = OrderedDict()  # the latest one comes last
        self._young: OrderedDict[_Task, None] = OrderedDict()  # what is under way in the prompt line, the oldest first
        self._held: Counter[str] = Counter()
        self._waiting = self._threads = self._idle = 0
        self._closed = False

    def do(self, party: str, work: Work) -> None:
        """Have a party's work done soon.

        Raises:
            ResolverError: too much of the party's waits already.
            ExhaustedError: the system gives us no thread, and there is none yet.
        """
        with self._changed:
            lanes = self._line_of(party).lanes
            if self._waiting >= WAITING and len(lanes.get(party, ())) >= self._share():
                raise ResolverError("too many names wait to be looked up: the resolver hangs", Phase.NAME)
            self._have_one_look()
            lanes.setdefault(party, deque()).append(work)
            self._waiting += 1

    def close(self) -> None:
        """End each thread as soon as its work ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _share(self) -> int:
        return WAITING // max(1, len(self._prompt.lanes) + len(self._slow.lanes))

    def _line_of(self, party: str) -> _WaitingLine:
        return self._slow if party in self._suspects else self._prompt

    def _have_one_look(self) -> None:
        """Have an idle thread look for work: if it can begin none yet, it watches how long the others take."""
        if self._idle:
            self._changed.notify()
        elif self._threads <= self._most:
            self._begin_thread()

    def _begin_thread(self) -> None:
        try:
            threading.Thread(target=self._run, name=f"names-{self._threads + 1}", daemon=True).start()
        except RuntimeError as error:
            if not self._threads:
                raise ExhaustedError(f"out of local resources: {error}", Phase.NAME) from error
        else:
            self._threads += 1
            self._idle += 1

    def _run(self) -> None:
        with self._changed:
            self._idle -= 1
        while (task := self._take()) is not None:
            task.work()
            with self._changed:
                self._end(task)

    def _take(self) -> _Task | None:
        """The next work, once some may begin; None once all is closed, or if enough other threads are idle."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                self._suspect_the_slow(now)
                if (task := self._next(now)) is not None:
                    if self._waiting:
                        self._have_one_look()
                    return task
                if self._idle >= self._few:
                    self._changed.notify()  # another watches
                    break
                self._idle += 1
                self._changed.wait(self._until_one_is_slow(now))
                self._idle -= 1
            self._threads -= 1
        return None

    def _next(self, now: float) -> _Task | None:
        if self._prompt.under_way + self._slow.under_way >= self._most:
            return None
        if self._prompt.under_way < self._prompt.most:
            party = next((party for party in self._prompt.lanes if self._held[party] < self._each), None)
            if party is not None:
                return self._begin(party, self._prompt, now)
        if self._slow.under_way < self._slow.most:
            free = (party for party in self._slow.lanes if not self._held[party])
            party = min(free, key=lambda party: self._suspects[party].times, default=None)
            if party is not None:
                return self._begin(party, self._slow, now)
        return None

    def _begin(self, party: str, line: _WaitingLine, now: float) -> _Task:
        lane = line.lanes[party]
        task = _Task(party, lane.popleft(), now, line)
        if lane:
            line.lanes.move_to_end(party)
        else:
            del line.lanes[party]
        self._waiting -= 1
        self._held[party] += 1
        line.under_way += 1
        if line is self._prompt:
            self._young[task] = None
        return task

    def _end(self, task: _Task) -> None:
        now = self._clock()
        self._young.pop(task, None)
        task.line.under_way -= 1
        self._held[task.party] -= 1
        if not self._held[task.party]:
            del self._held[task.party]
        if now - task.began >= PATIENCE:
            self._suspect(task.party, now, times=1)
        elif (suspect := self._suspects.get(task.party)) is not None and now - suspect.seen >= PROBATION:
            self._clear(task.party)

    def _until_one_is_slow(self, now: float) -> float | None:
        """Seconds until work under way is slow, so that other work may begin; None if that makes no difference."""
        if not self._prompt.lanes or not self._young:
            return None
        return max(0.0, next(iter(self._young)).began + PATIENCE - now)

    def _suspect_the_slow(self, now: float) -> None:
        while self._young and now - (task := next(iter(self._young))).began >= PATIENCE:
            del self._young[task]
            task.line.under_way -= 1
            task.line = self._slow
            task.line.under_way += 1
            self._suspect(task.party, now)

    def _suspect(self, party: str, now: float, times: int = 0) -> None:
        suspect = self._suspects.setdefault(party, _Suspect())
        suspect.seen = now
        suspect.times += times
        self._suspects.move_to_end(party)
        _move(party, self._prompt, self._slow)
        if len(self._suspects) > SUSPECTS:
            self._clear(next(iter(self._suspects)))

    def _clear(self, party: str) -> None:
        del self._suspects[party]
        _move(party, self._slow, self._prompt)


def _move(party: str, line: _WaitingLine, other: _WaitingLine) -> None:
    """Have what a party has waiting in a line wait in the other."""
    if (lane := line.lanes.pop(party, None)) is not None:
        other.lanes[party] = lane
