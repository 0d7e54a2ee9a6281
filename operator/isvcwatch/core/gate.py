"""Self-doubt: where most of the fleet falls silent at once, the watcher's own network is likelier to have gone than all models at once."""

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
"""Findings that the watcher's own network can bring about. Whatever a server answers proves that the network is well."""

LEAST: Final = 10
"""Targets that must have been asked before anything is held: fewer may well share a node."""

SHARE: Final = 0.5
"""Part of the latest targets asked that must have fallen silent: more than this is held."""

MARGIN: Final = 1.5
"""By how much more than `SHARE`, over the root of the targets asked: three standard deviations, so that chance alone does not close it."""

WINDOW: Final = 60.0
"""Seconds after which a target that fell silent says nothing any more about the watcher's network."""

REMEMBERED: Final = 256
"""Targets that fell silent that are looked at."""

LONGEST: Final = 300.0
"""Seconds after which an outage of the whole fleet is told, since it may be one."""


@dataclass(frozen=True, slots=True)
class _Fall:
    """A target that fell silent: when, and how many rounds of others had been well by then."""

    at: float
    wells: int


@dataclass(slots=True)
class Gate:
    """Decides whether an accusation is to be held.

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

    @property
    def is_closed(self) -> bool:
        """Whether accusations are held, as of the last look."""
        return self.closed_since is not None and not self._told

    def fell_silent(self, now: float, wells: int) -> None:
        """A target that was held to be ready gives no answer, for the first time in a row.

        Args:
            now: seconds.
            wells: rounds that were well so far, over all targets.
        """
        self._falls.append(_Fall(now, wells))

    def checked(self, now: float, wells: int, *, reached: bool) -> None:
        """The watcher has checked its own network.

        Args:
            now: seconds.
            wells: rounds that were well so far, over all targets.
            reached: whether it has reached what is always there.
        """
        if reached and self.cut_off:
            self._open()
        elif not reached and self.closed_since is None:
            self.closed_since, self._wells_at_closing, self.cut_off = now, wells, True

    def holds(self, now: float, wells: int) -> bool:
        """Whether no model may be accused of silence now.

        It closes once more than `share` of the latest `LEAST` targets or more have fallen silent, and by more than chance brings about:
        all of ten, two thirds of eighty. It opens again when as many rounds are
        well, and after `LONGEST` seconds in any case.

        Args:
            now: seconds.
            wells: rounds that were well so far, over all targets.
        """
        if self.closed_since is not None:
            if wells - self._wells_at_closing >= LEAST:
                self._open()
            elif now - self.closed_since >= LONGEST:
                self._told = True  # and goes on being told, until something is well again
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
        """Whether the latest targets, however many are looked at, have mostly fallen silent."""
        for fallen, fall in enumerate(reversed(self._falls), 1):
            if now - fall.at > WINDOW:
                return False
            asked = fallen + wells - fall.wells
            if asked >= LEAST and fallen >= asked * min(self.share + MARGIN / math.sqrt(asked), 1.0):
                return True
        return False


def is_silence(finding: Finding) -> bool:
    """Whether a finding is one that the watcher's own network can bring about."""
    return finding.reason in SILENT
