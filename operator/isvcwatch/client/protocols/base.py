"""The interface of inference protocols, which say which request asks a question and what an answer means.

It is free of I/O, so that the httpx client and the fleet's prober can share it. To add a protocol, add a module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Question(Enum):
    """The questions about a server's health."""

    SERVER_LIVE = "server_live"
    SERVER_READY = "server_ready"
    MODEL_READY = "model_ready"


class Verdict(Enum):
    """What an answer says: yes, no, or nothing about health (401, a redirect, a 500, a wrong route)."""

    YES = "yes"
    NO = "no"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: the HTTP status code.
        body: the body, up to the transport's limit.
        headers: the headers, with names in lower case.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The meaning of an answer to a question.

    Attributes:
        verdict: yes, no, or not an answer to the question.
        reason: CamelCase, from the vocabulary in `isvcwatch.client.protocols.reasons`.
        detail: the server's own words, or what is odd about the answer; one line of at most 256 characters; may be empty.
        proves: False for a yes that any web server could give, which counts only from a server that is known to say no as well.
        knows_model: whether a no names the model that was asked for as one that is not ready, so that the server has it by that name.
    """

    verdict: Verdict
    reason: str
    detail: str = ""
    proves: bool = True
    knows_model: bool = False


class HealthProtocol(Protocol):
    """One inference protocol's health routes."""

    @property
    def name(self) -> str:
        """The name that settings and annotations use, in lower case."""
        ...

    @property
    def server_vouches(self) -> bool:
        """Whether a ready server has all its models ready, so that no model need be asked for by its name."""
        ...

    @property
    def asks_server_too(self) -> bool:
        """Whether the server's own health must be asked for too, since a model that looks ready, as in a list, may have a dead engine."""
        ...

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The question's route: relative to the base URL, escaped, with a leading slash; None if the protocol has none."""
        ...

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """What the answer means."""
        ...


class ByModel:
    """Base class of protocols in which each model is asked for by its name."""

    __slots__ = ()

    @property
    def server_vouches(self) -> bool:
        """False, since a server may be ready without its model."""
        return False

    @property
    def asks_server_too(self) -> bool:
        """False, since a ready model proves that its server is ready."""
        return False


class UnsupportedProtocol(ValueError):  # noqa: N818 - the name that KServe's SDK gave it
    """The protocol is unknown, or has no such question.

    Attributes:
        reason: the message, as KServe's SDK has it.
    """

    def __init__(self, protocol_version: str | None = None, supported: tuple[str, ...] = ()) -> None:
        """Makes the error's message.

        Args:
            protocol_version: what was asked for.
            supported: the names that can be used instead.
        """
        hint = f" Supported here: {', '.join(supported)}." if supported else ""
        self.reason = f"Unsupported protocol {protocol_version}.{hint}"
        super().__init__(self.reason)
