"""Knows whether the watcher's way into a namespace is known to work, since silence is evidence about a model only then."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING, Final

from isvcwatch.core.gate import SILENT
from isvcwatch.core.reasons import CUT, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from isvcwatch.core.health import Finding

MUTE: Final = frozenset({Reason.CONNECTION_TIMED_OUT, Reason.CONNECTION_LOST, Reason.UNREACHABLE, Reason.TIMED_OUT})
"""Findings that a network policy or a mesh in the way can cause. Somebody must have sent a refusal, and the DNS an answer about a name."""

NO_SERVER: Final = frozenset(
    {Reason.TARGET_REFUSED, Reason.PROBE_FAILED, Reason.INVALID_ADDRESS, Reason.UNSUPPORTED_PROTOCOL, Reason.MESH_TLS}
)
"""Findings in which no server had a part: nothing was sent, or a mesh answered."""

TOGETHER: Final = 60.0
"""Seconds within which two servers of a namespace must fall silent for that to count as one fall: six periods."""

HELD: Final = 30.0
"""Seconds for which a model that has fallen silent with all others of its namespace keeps its verdict."""

BEGINNING: Final = 15.0
"""Seconds from the first silence in a namespace that was never reached, until then each of its servers is asked once."""

WITNESSES: Final = 3
"""How many other servers of the namespace are asked out of their turn when one falls silent."""

APART: Final = 1.0
"""Seconds between two times at which witnesses of a namespace are asked."""


class Path(Enum):
    """What is known of the watcher's way into a namespace, where a server there does not answer."""

    OPEN = auto()
    """Somebody there answers, or the server has answered before and is alone."""
    ASKING = auto()
    """That is not known yet."""
    NEVER = auto()
    """Nobody there has ever answered."""
    SILENT = auto()
    """All who answered there have fallen silent together."""


@dataclass(slots=True)
class _Namespace:
    """What is known of a namespace.

    Attributes:
        reached: whether anybody there has ever answered.
        answered_at: when somebody there last answered in a round that was judged.
        began: when a server there was first found silent while nobody had answered yet.
        asked_at: when witnesses were last asked.
        answering: the servers whose latest judged round was answered, by their services' UIDs.
        falls: when each of those that had answered fell silent, the latest last.
        newcomers: when each of those that have never answered was first found silent.
        told: the reason why its models are called Unknown; None if they aren't.
    """

    reached: bool = False
    answered_at: float = -math.inf
    began: float = math.inf
    asked_at: float = -math.inf
    answering: dict[str, None] = field(default_factory=dict)
    falls: dict[str, float] = field(default_factory=dict)
    newcomers: dict[str, float] = field(default_factory=dict)
    told: Reason | None = None


class Paths:
    """Takes note of who answers in each namespace.

    A steady model's rounds are not judged, and so not noted here. Therefore others are asked out of their turn when one falls silent, and
    what they answer decides.
    """

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}

    def cut(self) -> Iterator[tuple[str, Reason]]:
        """The namespaces whose models are called Unknown since none answers, each with the reason."""
        return ((name, known.told) for name, known in self._namespaces.items() if known.told is not None)

    def remember(self, namespace: str, uid: str, verdict: Finding, now: float) -> None:
        """Take note of an earlier process's verdict, which had reached the namespace unless the verdict says that it had not."""
        known = self._of(namespace)
        if verdict.reason in CUT:
            known.told = Reason(verdict.reason)
        if verdict.reason == Reason.NEVER_REACHED:
            return
        known.reached = True
        if verdict.reason == Reason.NAMESPACE_SILENT:
            known.falls[uid] = now
        elif is_answer(verdict):
            known.answering[uid] = None

    def forget(self, namespace: str, uid: str) -> None:
        """Forget a service that is gone, is no longer probed, or does not answer for a reason that the way there has no part in."""
        known = self._namespaces.get(namespace)
        if known is not None:
            known.answering.pop(uid, None)
            known.falls.pop(uid, None)
            known.newcomers.pop(uid, None)

    def answered(self, namespace: str, uid: str, now: float) -> bool:
        """Take note of an answer; return whether it is the first after models there were called Unknown since none answered."""
        known = self._of(namespace)
        known.reached, known.answered_at = True, now
        known.falls.pop(uid, None)
        known.newcomers.pop(uid, None)
        known.answering[uid] = None
        told, known.told = known.told, None
        return told is not None

    def fell_silent(self, namespace: str, uid: str, now: float) -> Path:
        """Take note of a round without an answer, and return what is known of the way there."""
        known = self._of(namespace)
        if uid in known.answering:
            del known.answering[uid]
            known.falls[uid] = now
        if not known.reached:
            known.began = min(known.began, now)
            return Path.NEVER if now - known.began >= BEGINNING else Path.ASKING
        fell = known.falls[uid] if uid in known.falls else known.newcomers.setdefault(uid, now)
        if known.answered_at > fell:
            return Path.OPEN
        if known.answering:
            return Path.ASKING
        if not any(True for _ in self._with(known, uid, fell)):
            return Path.OPEN
        return Path.SILENT if now - fell >= HELD else Path.ASKING

    def witnesses(self, namespace: str, now: float) -> tuple[str, ...]:
        """The services that are to be asked out of their turn now, by UID, since one of their namespace has fallen silent."""
        known = self._of(namespace)
        if not known.reached or now - known.asked_at < APART:
            return ()
        known.asked_at = now
        return tuple(islice(known.answering, WITNESSES))

    def tell(self, namespace: str, reason: Reason) -> bool:
        """Take note that a model there is called Unknown for this reason; return whether it is the first."""
        known = self._of(namespace)
        before, known.told = known.told, reason
        return before is not reason

    def _of(self, namespace: str) -> _Namespace:
        return self._namespaces.setdefault(namespace, _Namespace())

    @staticmethod
    def _with(known: _Namespace, uid: str, fell: float) -> Iterator[str]:
        """The others that fell silent together with one."""
        for other, when in reversed(known.falls.items()):
            if when < fell - TOGETHER:
                return
            if other != uid and when <= fell + TOGETHER:
                yield other


def is_mute(finding: Finding) -> bool:
    """Whether something in the watcher's way to the server can cause a finding."""
    return finding.reason in MUTE


def is_answer(finding: Finding) -> bool:
    """Whether a server has answered, whatever it said."""
    return finding.reason not in SILENT and finding.reason not in NO_SERVER
