"""Finds out what a server is and which models it has. Free of I/O: recognisers yield requests, and their caller sends them.

A server is recognised by its own words on its own routes; a status alone does not identify it, since any server could send it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from isvcwatch.client.protocols.status import is_ok
from isvcwatch.client.protocols.words import parse_json

if TYPE_CHECKING:
    from isvcwatch.client.protocols.base import Answer

T = TypeVar("T")

MOST_INQUIRIES: Final = 12
"""The most requests in one interview, so that it costs a server less than a person's visit."""

MOST_SILENCES: Final = 2
"""Requests without an answer after which no more are sent."""

MOST_MODELS: Final = 64
"""The most models of a list that are taken in."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request whose answer may tell what the server is."""

    path: str
    method: str = "GET"
    body: bytes = b""


Steps = Generator[Inquiry, "Answer | None", T]
"""A generator that yields requests, is sent the answer to each, or None if there was none, and returns its result."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A server that was recognised.

    Attributes:
        server: its product name, for people.
        protocols: the protocols it can be asked by, best first.
        models: the names of its models; None if it has no list.
    """

    server: str
    protocols: tuple[str, ...]
    models: tuple[str, ...] | None = None


@dataclass(slots=True)
class Interview:
    """One server's answers so far: each route is asked once.

    Attributes:
        most: the most requests that it may take.
        answers: the answers by method and path; None for a request without an answer.
    """

    most: int = MOST_INQUIRIES
    answers: dict[tuple[str, str], Answer | None] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", body: bytes = b"") -> Steps[Answer | None]:
        """The answer of a route; None if there is none, or if the limit of requests is reached."""
        key = (method, path)
        if key not in self.answers:
            silences = sum(answer is None for answer in self.answers.values())
            if len(self.answers) >= self.most or silences >= MOST_SILENCES:
                return None
            self.answers[key] = yield Inquiry(path, method, body)
        return self.answers[key]

    def json(self, path: str, method: str = "GET", body: bytes = b"") -> Steps[dict[str, object]]:
        """The JSON object of a 2xx answer; empty for anything else."""
        answer = yield from self.ask(path, method, body)
        value = parse_json(answer.body) if answer is not None and is_ok(answer.status) else None
        return value if isinstance(value, dict) else {}

    def items(self, path: str, method: str = "GET", body: bytes = b"") -> Steps[list[object] | None]:
        """The JSON list of a 2xx answer; None for anything else."""
        answer = yield from self.ask(path, method, body)
        value = parse_json(answer.body) if answer is not None and is_ok(answer.status) else None
        return value if isinstance(value, list) else None

    def openai_models(self, path: str = "/v1/models") -> Steps[tuple[str, ...] | None]:
        """The names in a list in the format of OpenAI's API; None if there is no such list. Ollama writes null for an empty list."""
        value = yield from self.json(path)
        data = value.get("data")
        if value.get("object") != "list" or not (data is None or isinstance(data, list)):
            return None
        return names(data or [], "id")

    @property
    def heard(self) -> list[Answer]:
        """The answers that have come."""
        return [answer for answer in self.answers.values() if answer is not None]


def names(items: object, key: str) -> tuple[str, ...]:
    """The names in a list of objects or of texts, each once."""
    found = [item.get(key) if isinstance(item, dict) else item for item in items] if isinstance(items, list) else []
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str) and name))[:MOST_MODELS]
