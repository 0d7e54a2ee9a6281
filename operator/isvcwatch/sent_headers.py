"""Reads the headers that `check` is told to send, and keeps their values, which may be credentials, out of what it prints."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from isvcwatch.client.headers import OF_THE_CONNECTION

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLE: Final = '--header "Authorization: Bearer TOKEN"'

OURS: Final = OF_THE_CONNECTION | {"content-type"}
"""Headers that describe the request's own body and connection, so that another value would break it."""

HIDDEN: Final = "…"

SHORTEST_SECRET: Final = 4
"""Characters of a word from which on it is hidden: shorter ones are in every message."""

HEAD: Final = 6
"""Characters at a secret's beginning by which it is found, since a message may have been cut in its midst."""

SCHEMES: Final = frozenset({"bearer", "basic", "token"})
"""Words before a credential that are none themselves."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t -~]+")
_HOST: Final = re.compile(r"(?:[0-9A-Za-z._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_BETWEEN: Final = re.compile(r"[\s;,=:]+")


@dataclass(frozen=True, slots=True)
class SentHeaders:
    """Headers to send beside those of every request.

    Attributes:
        pairs: names and values, in order.
    """

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, texts: Sequence[str], host: str | None = None) -> SentHeaders:
        """The headers of a command line.

        Args:
            texts: each NAME:VALUE.
            host: the value of the Host header; None for the URL's own.

        Raises:
            ValueError: one can't be sent; the error says what to write, and repeats no value.
        """
        own = () if host is None else (("Host", _host(host)),)
        return cls((*own, *(_pair(text, number) for number, text in enumerate(texts, 1))))

    @property
    def given(self) -> bool:
        """Whether there is any beside Host."""
        return any(name != "Host" for name, _ in self.pairs)

    def hidden(self, text: str) -> str:
        """The text without the values, which a server may repeat in its answer."""
        for name, value in self.pairs:
            if name != "Host":
                for word in _BETWEEN.split(value):
                    text = _without(text, word) if len(word) >= SHORTEST_SECRET and word.lower() not in SCHEMES else text
        return text


def _pair(text: str, number: int) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    which = f"the --header given as number {number}"
    if not colon or not _NAME.fullmatch(name):
        raise ValueError(f"{which} has no name before a colon: write NAME:VALUE, such as {EXAMPLE}")
    if name.lower() == "host":
        raise ValueError(f"{which} is the Host header: write --host HOST in its place")
    if name.lower() in OURS:
        raise ValueError(f"{which} is {name}, which isvcwatch itself sets: leave it out")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"{which}, {name}, has no value, or one that is not in ASCII or not one line: write NAME:VALUE, such as {EXAMPLE}")
    return name, value


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"--host={text}: write a host's name, with :PORT where it has one, such as iris.models.example.com")
    return text


def _without(text: str, secret: str) -> str:
    at = text.find(secret[:HEAD])
    while at >= 0:
        length = next((n for n in range(len(secret), 0, -1) if text.startswith(secret[:n], at)), 0)
        text = text[:at] + HIDDEN + text[at + length :]
        at = text.find(secret[:HEAD], at + len(HIDDEN))
    return text
