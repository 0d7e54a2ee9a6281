"""Records where derived values come from, and whether they are certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from isvcwatch.core.targets import Misconfigured, Skipped, Target


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of a derived value.

    Attributes:
        field: what the value is, such as "predictor protocol".
        value: the value.
        origin: the field it was read from, or the rule that gave it.
        certain: whether the origin settles the value; a value that is only a guess is investigated when an answer contradicts it.
    """

    field: str
    value: str
    origin: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Derivation:
    """What is to be done about a service, and why.

    Attributes:
        outcome: what is to be done.
        sources: where its values come from.
        starts_until: until when the service may still be starting; None if it has no such time. It is no part of the target, since it
            comes and goes with KServe's Ready, while what was learned about the target must stay.
        note: what of the service is not asked, or gets no traffic, for messages; empty if nothing is left out.
    """

    outcome: Target | Skipped | Misconfigured
    sources: tuple[Source, ...] = ()
    starts_until: datetime | None = None
    note: str = ""
