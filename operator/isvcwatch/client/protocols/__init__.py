"""Inference protocols, free of I/O: a file a protocol, and the table of those that there are."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.base import (
    Answer,
    HealthProtocol,
    Question,
    Reading,
    UnsupportedProtocol,
    Verdict,
)
from isvcwatch.client.protocols.openai import OpenAI
from isvcwatch.client.protocols.v1 import V1
from isvcwatch.client.protocols.v2 import V2

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "PROTOCOLS",
    "Answer",
    "HealthProtocol",
    "Question",
    "Reading",
    "UnsupportedProtocol",
    "Verdict",
    "named",
]

PROTOCOLS: Final[Mapping[str, HealthProtocol]] = MappingProxyType(
    {protocol.name: protocol for protocol in (V1(), V2(), OpenAI(), OpenAI("vllm", model_listed=True))}
)
"""Every protocol by its name in lower case."""


def named(name: str) -> HealthProtocol:
    """The protocol of that name, in any case.

    Raises:
        UnsupportedProtocol: there is none; a ValueError that names those that there are.
    """
    try:
        return PROTOCOLS[name.strip().lower()]
    except KeyError:
        raise UnsupportedProtocol(name, tuple(PROTOCOLS)) from None
