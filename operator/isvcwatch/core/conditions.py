"""Status conditions: the three that isvcwatch owns, and the format that KServe can read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

SEVERITY: Final = "Info"
"""Always set: Knative's condition manager folds every condition without a severity into KServe's own `Ready`."""

MESSAGE_LIMIT: Final = 512
"""Characters; enough for a URL and the server's own words, and little compared with the size of the object."""


class Status(StrEnum):
    """The value of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """The conditions that isvcwatch owns; it never touches another."""

    SERVER_LIVE = "ServerLive"
    SERVER_READY = "ServerReady"
    MODEL_READY = "ModelReady"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as it is, or is to be, in `status.conditions`.

    Attributes:
        type: the condition's type, ours or another's.
        status: "True", "False" or "Unknown"; on another's condition, whatever was found.
        reason: CamelCase.
        message: one line for people, stable while nothing changes.
        last_transition_time: RFC 3339 in UTC, whole seconds, with a Z.
        severity: "Info" on ours.
    """

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    severity: str = ""

    def to_dict(self) -> dict[str, str]:
        """The condition as the API takes it: nothing that KServe's CRD would prune."""
        return {
            "type": self.type,
            "status": self.status,
            "severity": self.severity,
            "lastTransitionTime": self.last_transition_time,
            "reason": self.reason,
            "message": self.message,
        }


def timestamp(moment: datetime) -> str:
    """A moment in the format of `lastTransitionTime`: whole seconds, UTC, with a Z.

    The CRD accepts other formats as well, but they break KServe's decoding of the object and of every list that contains it.
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_timestamp(text: str) -> bool:
    """Whether the text has the format that `timestamp` writes, the only one that KServe can decode."""
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) is not None


def moment(text: str) -> datetime | None:
    """The moment of a timestamp; None if the text has another format than that of `timestamp`, or is no date."""
    try:
        return datetime.fromisoformat(text) if is_timestamp(text) else None
    except ValueError:
        return None


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Text fit for a message: printable, on one line, at most `limit` characters."""
    clean = " ".join((text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
