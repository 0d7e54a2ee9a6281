"""Asks each replica of a service by itself, once a minute, so that one that fails beside others is found and named."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from isvcwatch.core.conditions import Status
from isvcwatch.probing.failures import OWN_LATENESS
from isvcwatch.probing.lateness import Lateness, tolerated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from isvcwatch.core.health import Finding
    from isvcwatch.core.replicas import Survey
    from isvcwatch.core.targets import Target
    from isvcwatch.probing.discovery import Cancellable
    from isvcwatch.probing.prober import Plan, Prober

log = structlog.get_logger(__name__)

PERIOD: Final = 60.0
"""Seconds between two surveys of a service: each replica costs one connection and one request."""

AT_ONCE: Final = 64
"""Surveys under way at once."""


class _Entry:
    """A service whose replicas are asked.

    Attributes:
        survey: whom to ask.
        timer: starts the next survey; None while one waits or is under way.
        again: seconds after which another survey is to follow the one that waits or is under way.
        under_way: the requests under way.
        found: what they found so far, by the pod's name.
        left: how many have not ended.
        started: when the survey under way was started.
    """

    __slots__ = ("again", "found", "left", "started", "survey", "timer", "under_way")

    def __init__(self, survey: Survey, period: float) -> None:
        self.survey = survey
        self.timer: asyncio.TimerHandle | None = None
        self.again = period
        self.under_way: list[Cancellable] = []
        self.found: dict[str, Finding] = {}
        self.left = 0
        self.started = 0.0


class Surveyor:
    """Keeps a survey going for each service that has several replicas.

    Args:
        prober: asks.
        plan: gives the way in which a service is asked, by its UID, with all that was learned; None before its first round.
        judge: takes what a survey has found about each replica, by the pod's name.
        lateness: knows whether the process itself was late.
        period: seconds between two surveys of a service.
    """

    def __init__(
        self,
        prober: Prober,
        plan: Callable[[str], Plan | None],
        judge: Callable[[Target, Mapping[str, Finding]], None],
        lateness: Lateness,
        period: float = PERIOD,
    ) -> None:
        self._prober = prober
        self._plan = plan
        self._judge = judge
        self._lateness = lateness
        self._period = period
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, _Entry] = {}
        self._waiting: deque[_Entry] = deque()
        self._running = 0

    def set(self, survey: Survey, within: float | None = None) -> None:
        """Ask these replicas from now on, for the first time within so many seconds; None for a period."""
        within = self._period if within is None else within
        uid = survey.target.uid
        entry = self._entries.get(uid)
        if entry is None:
            entry = self._entries[uid] = _Entry(survey, self._period)
            phase = zlib.crc32(uid.encode()) / 2**32
            self._schedule(entry, phase * within)
            return
        entry.survey = survey
        if entry.timer is None:
            entry.again = min(entry.again, within)
        elif entry.timer.when() > self._loop.time() + within:
            self._schedule(entry, within)

    def remove(self, uid: str) -> None:
        """Ask the replicas of this service no longer."""
        entry = self._entries.pop(uid, None)
        if entry is None:
            return
        if entry.timer is not None:
            entry.timer.cancel()
        if entry.left:
            for exchange in entry.under_way:
                exchange.cancel()
            entry.left = 0
            self._end_one()

    def close(self) -> None:
        """Ask nobody any more."""
        for uid in list(self._entries):
            self.remove(uid)

    def _schedule(self, entry: _Entry, delay: float) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        entry.timer = self._loop.call_later(delay, self._enter, entry)

    def _enter(self, entry: _Entry) -> None:
        entry.timer = None
        if self._running < AT_ONCE:
            self._start(entry)
        else:
            self._waiting.append(entry)

    def _start(self, entry: _Entry) -> None:
        plan = self._plan(entry.survey.target.uid)
        if plan is None or plan.target is not entry.survey.target:
            self._schedule(entry, self._period)
            return
        self._running += 1
        entry.found, entry.under_way = {}, []
        entry.started, entry.again = self._loop.time(), self._period
        entry.left = len(entry.survey.replicas)
        for number, pod, address, port in entry.survey.replicas:
            entry.under_way.append(self._prober.ask_replica(plan, number, (address, port), partial(self._came, entry, pod)))

    def _came(self, entry: _Entry, pod: str, finding: Finding | None) -> None:
        entry.left -= 1
        if finding is not None:
            entry.found[pod] = finding
        if entry.left:
            return
        entry.under_way = []
        survey, found = entry.survey, entry.found
        self._schedule(entry, entry.again)
        if len(found) == len(survey.replicas) and not self._is_own_lateness(entry):
            try:
                self._judge(survey.target, found)
            except Exception:  # a bug in judging one service must not stop the surveys of others
                log.exception("survey_crashed", namespace=survey.target.namespace, name=survey.target.name)
        self._end_one()

    def _is_own_lateness(self, entry: _Entry) -> bool:
        late = any(f.status is not Status.TRUE and f.reason in OWN_LATENESS for f in entry.found.values())
        return late and self._lateness.spoiled(entry.started, self._loop.time(), tolerated(entry.survey.target.policy.timeout))

    def _end_one(self) -> None:
        self._running -= 1
        while self._waiting and self._running < AT_ONCE:
            entry = self._waiting.popleft()
            if self._entries.get(entry.survey.target.uid) is entry:
                self._start(entry)
