"""Edges: the changes that are worth a log line, a count or an alert. Logs and metrics subscribe to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from isvcwatch.core.conditions import ConditionType
    from isvcwatch.core.health import Finding
    from isvcwatch.core.objects import InferenceService
    from isvcwatch.core.reasons import Reason
    from isvcwatch.core.targets import Outcome


@dataclass(frozen=True, slots=True)
class Placed:
    """What is done about a service has changed: it is probed, left alone, or can't be watched as it is configured."""

    isvc: InferenceService
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Turned:
    """A verdict has changed, in its status or in its reason.

    Attributes:
        isvc: the service.
        condition: the condition whose verdict has changed.
        before: the verdict before; None if this is the first one.
        after: the verdict now.
    """

    isvc: InferenceService
    condition: ConditionType
    before: Finding | None
    after: Finding


class Doubt(StrEnum):
    """The watcher has begun or ceased to doubt its own network."""

    CUT_OFF = "cut_off"
    """The watcher's own checks say that its network is gone: no model is accused of silence."""
    NAMELESS = "nameless"
    """A name that always exists can't be looked up: no model is accused for its name."""
    SILENCE = "silence"
    """Most of the fleet has fallen silent at once: no model is accused of silence."""
    OUTAGE = "outage"
    """That has lasted so long that it is told all the same."""
    ENDED = "ended"
    """Some answer again, or the watcher's own checks do."""


@dataclass(frozen=True, slots=True)
class PathTurned:
    """The watcher's way into a namespace is held to be cut, or no longer.

    Attributes:
        namespace: the namespace.
        reason: the reason that its models are called Unknown for; None if a server there answers again.
    """

    namespace: str
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Failed:
    """An unexpected exception was raised while one service's input was handled; the service's state stays as it was."""

    uid: str
    error: Exception


Edge: TypeAlias = Placed | Turned | Doubt | PathTurned | Failed
