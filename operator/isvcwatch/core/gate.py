"""Holds back verdicts when most of the fleet stops answering at once, since the watcher's own network has then most likely failed."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from isvcwatch.core.reasons import Reason

if TYPE_CHECKING:
    from isvcwatch.core.health import Finding

SILENT: Final = frozenset(
    {
        Reason.CONNECTION_REFUSED,
        Reason.CONNECTION_TIMED_OUT,
        Reason.CONNECTION_LOST,
        Reason.UNREACHABLE,
        Reason.TIMED_OUT,
        Reason.NAME_NOT_FOUND,
        Reason.RESOLVER_FAILED,
        Reason.TLS_FAILED,
    }
)
"""Findings that a failure of the watcher's own network can cause. Any answer of a server proves that the network works."""

NAMELESS: Final = frozenset({Reason.NAME_NOT_FOUND, Reason.RESOLVER_FAILED})
"""Findings that a failure of the cluster's DNS can cause."""

AFTER: Final = 3.0
"""Seconds after names can be looked up again in which they are not trusted yet: that a name has failed is remembered for two seconds."""

LEAST: Final = 10
"""Targets that must have been asked before verdicts are held back: fewer may well share a node."""

SHARE: Final = 0.5
"""The part of the latest targets asked that must have stopped answering before verdicts are held back, plus `MARGIN`."""

MARGIN: Final = 1.5
"""Added to `SHARE`, divided by the square root of the targets asked: three standard deviations, so that chance does not close the gate."""

WINDOW: Final = 60.0
"""Seconds after which a target that stopped answering is no longer evidence about the watcher's network."""

REMEMBERED: Final = 256
"""How many of the latest targets that stopped answering are remembered."""

LONGEST: Final = 300.0
"""Seconds after which verdicts are no longer held back, since the whole fleet may really be down."""


@dataclass(frozen=True, slots=True)
class _Fall:
    """The moment when a target stopped answering, and how many rounds over all targets had succeeded by then."""

    at: float
    wells: int


@dataclass(slots=True)
class Gate:
    """Decides whether verdicts that a model does not answer are held back. It is closed while they are.

    It is told of targets that fall silent, each once; of those that are well only how many rounds were, since nearly all are; and of what
    the watcher's own checks of its network find.

    Attributes:
        share: part of the latest targets asked that must have fallen silent: more than this is held.
        closed_since: when it began to hold; None while it doesn't.
        cut_off: whether it holds since the watcher's own checks fail.
    """

    share: float = SHARE
    closed_since: float | None = None
    cut_off: bool = False
    _falls: deque[_Fall] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _wells_at_closing: int = 0
    _told: bool = False
    _answered: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether verdicts are held back, as of the latest call of `holds`."""
        return self.closed_since is not None and not self._told

    @property
    def is_told(self) -> bool:
        """Whether verdicts are given again although most of the fleet is still silent."""
        return self._told

    def fell_silent(self, now: float, wells: int) -> None:
        """Take note of a ready target's first round in a row without an answer.

        Args:
            now: seconds.
            wells: rounds that have succeeded so far, over all targets.
        """
        self._falls.append(_Fall(now, wells))

    def checked(self, now: float, wells: int, *, reached: bool) -> None:
        """Take note of a check of the watcher's own network.

        A failed check closes the gate, but not again while checks go on failing although models have answered since: then it is only what
        was checked that is away.

        Args:
            now: seconds.
            wells: rounds that have succeeded so far, over all targets.
            reached: whether it has reached what is always there.
        """
        if reached:
            self._answered = False
            if self.cut_off:
                self._open()
        elif self.closed_since is None and not self._answered:
            self.closed_since, self._wells_at_closing, self.cut_off = now, wells, True

    def holds(self, now: float, wells: int) -> bool:
        """Whether verdicts that a model does not answer are held back now.

        It closes once more than `share` of the latest `LEAST` targets or more have fallen silent, and by more than chance brings about:
        all of ten, two thirds of eighty. It opens again when as many rounds are
        well, and after `LONGEST` seconds in any case.

        Args:
            now: seconds.
            wells: rounds that have succeeded so far, over all targets.
        """
        if self.closed_since is not None:
            if wells - self._wells_at_closing >= LEAST:
                self._answered = self.cut_off
                self._open()
            elif now - self.closed_since >= LONGEST:
                self._told = True  # holds nothing back from now on, until `LEAST` rounds have succeeded
            return self.is_closed
        if self._has_most_fallen(now, wells):
            self.closed_since, self._wells_at_closing = now, wells
            return True
        return False

    def _open(self) -> None:
        self.closed_since = None
        self.cut_off = False
        self._told = False
        self._falls.clear()

    def _has_most_fallen(self, now: float, wells: int) -> bool:
        """Whether there is a number of latest targets of which most have stopped answering."""
        for fallen, fall in enumerate(reversed(self._falls), 1):
            if now - fall.at > WINDOW:
                return False
            asked = fallen + wells - fall.wells
            if asked >= LEAST and fallen >= asked * min(self.share + MARGIN / math.sqrt(asked), 1.0):
                return True
        return False


@dataclass(slots=True)
class NamesGate:
    """Decides whether verdicts that a model's name can't be looked up are held back: while one that always exists can't be either.

    The connections that are kept answer on, so that these verdicts come one by one as connections are renewed, and never of most at once.

    Attributes:
        closed_since: when names last began to fail.
        opens_at: when they are trusted again; infinite while they fail.
    """

    closed_since: float = -math.inf
    opens_at: float = -math.inf

    def checked(self, now: float, *, found: bool) -> None:
        """Take note of a lookup of the name that always exists.

        Args:
            now: seconds.
            found: whether it has succeeded.
        """
        if found:
            self.opens_at = min(self.opens_at, now + AFTER)
        else:
            if self.is_over(now):
                self.closed_since = now
            self.opens_at = math.inf

    def is_over(self, now: float) -> bool:
        """Whether names can be looked up, and could be for `AFTER` seconds."""
        return now >= self.opens_at

    def is_closed(self, now: float) -> bool:
        """Whether verdicts are held back now: no longer than `LONGEST` seconds, since clients can't look names up either."""
        return not self.is_over(now) and now - self.closed_since < LONGEST

    def holds(self, now: float, finding: Finding) -> bool:
        """Whether this finding is held back now."""
        return finding.reason in NAMELESS and self.is_closed(now)


def is_silence(finding: Finding) -> bool:
    """Whether a failure of the watcher's own network can cause a finding."""
    return finding.reason in SILENT
