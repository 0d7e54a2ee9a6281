"""What the process says about itself: `/livez`, `/readyz` and one gauge, all from the same signs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(IntEnum):
    """How well something is, as `isvcwatch_operator_health_status` has it."""

    WELL = 0
    WARNING = 1
    """Something stands in the way, and a new start would not help."""
    CRITICAL = 2
    """The process is not live: a new start may help."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of life.

    Attributes:
        name: of what.
        words: what is the case.
        level: how well that is.
        ready: whether the process can do its work all the same.
    """

    name: str
    words: str
    level: Level = Level.WELL
    ready: bool = True


def level(signs: Iterable[Sign]) -> Level:
    """The worst of them."""
    return max((sign.level for sign in signs), default=Level.WELL)


def not_live(signs: Iterable[Sign]) -> str:
    """What keeps the process from being live, in words; empty where nothing does."""
    return "; ".join(sign.words for sign in signs if sign.level is Level.CRITICAL)


def not_ready(signs: Iterable[Sign]) -> str:
    """What keeps the process from being ready, in words; empty where nothing does."""
    return "; ".join(sign.words for sign in signs if not sign.ready or sign.level is Level.CRITICAL)


def listed(signs: Iterable[Sign]) -> str:
    """All signs, a line each, as API servers answer `?verbose`."""
    marks = {Level.WELL: "+", Level.WARNING: "!", Level.CRITICAL: "-"}
    return "".join(f"[{marks[sign.level]}]{sign.name}: {sign.words}\n" for sign in signs)
