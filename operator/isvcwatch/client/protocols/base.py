"""What every inference protocol must tell: which request asks a question, and what an answer means.

Free of I/O, so that the httpx client and the fleet's prober share one copy of it. Adding a protocol is adding a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Question(Enum):
    """What can be asked of a server about its health."""

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
    """An HTTP answer as it came.

    Attributes:
        status: the HTTP status code.
        body: the body, read to the transport's bound.
        headers: header names in lower case.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer means for a question.

    Attributes:
        verdict: yes, no, or not an answer to the question.
        reason: CamelCase, from the vocabulary in `isvcwatch.client.protocols.reasons`.
        detail: the server's own words, or what was odd; one line, at most 256 characters; empty where there is nothing to say.
        proves: False for a yes that any web server could have said: it holds only on a server that is known to say no as well.
    """

    verdict: Verdict
    reason: str
    detail: str = ""
    proves: bool = True


class HealthProtocol(Protocol):
    """One inference protocol's health routes."""

    @property
    def name(self) -> str:
        """The name that settings and annotations use, in lower case."""
        ...

    @property
    def server_vouches(self) -> bool:
        """Whether a server that is ready has all its models ready, so that no model need be asked for by its name."""
        ...

    @property
    def asks_server_too(self) -> bool:
        """Whether a model that is ready proves nothing without its server's own health: a list of models stays when the engine has died."""
        ...

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The route that asks, relative to the base URL, escaped, with a leading slash; None where the protocol has none."""
        ...

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """What the answer means."""
        ...


class ByModel:
    """A protocol in which each model is asked for by its name."""

    __slots__ = ()

    @property
    def server_vouches(self) -> bool:
        """A server may be ready without its model."""
        return False

    @property
    def asks_server_too(self) -> bool:
        """A model that is ready proves that its server is."""
        return False


class UnsupportedProtocol(ValueError):  # noqa: N818 - the name that KServe's SDK gave it
    """The protocol is unknown, or has no such question.

    Attributes:
        reason: the message, as KServe's SDK has it.
    """

    def __init__(self, protocol_version: str | None = None, supported: tuple[str, ...] = ()) -> None:
        """Makes the message.

        Args:
            protocol_version: what was asked for.
            supported: what to write instead.
        """
        hint = f" Supported here: {', '.join(supported)}." if supported else ""
        self.reason = f"Unsupported protocol {protocol_version}.{hint}"
        super().__init__(self.reason)
