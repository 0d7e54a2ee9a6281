"""Judges the process's signs of life, which `/livez`, `/readyz` and one gauge all show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(IntEnum):
    """A level of health, as the metric `isvcwatch_operator_health_status` shows it."""

    WELL = 0
    WARNING = 1
    """Something is wrong, but a restart would not help."""
    CRITICAL = 2
    """The process is not live, and a restart may help."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of life.

    Attributes:
        name: the name of what it is about.
        words: the state in words.
        level: how good that state is.
        ready: whether the process can do its work in that state.
    """

    name: str
    words: str
    level: Level = Level.WELL
    ready: bool = True


def level(signs: Iterable[Sign]) -> Level:
    """The worst level among the signs."""
    return max((sign.level for sign in signs), default=Level.WELL)


def not_live(signs: Iterable[Sign]) -> str:
    """The signs that keep the process from being live, in words; empty if it is live."""
    return "; ".join(sign.words for sign in signs if sign.level is Level.CRITICAL)


def not_ready(signs: Iterable[Sign]) -> str:
    """The signs that keep the process from being ready, in words; empty if it is ready."""
    return "; ".join(sign.words for sign in signs if not sign.ready or sign.level is Level.CRITICAL)


def listed(signs: Iterable[Sign]) -> str:
    """All signs, one on each line, in the format of an API server's answer to `?verbose`."""
    marks = {Level.WELL: "+", Level.WARNING: "!", Level.CRITICAL: "-"}
    return "".join(f"[{marks[sign.level]}]{sign.name}: {sign.words}\n" for sign in signs)
