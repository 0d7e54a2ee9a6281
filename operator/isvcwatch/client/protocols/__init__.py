"""Inference protocols, free of I/O: a file a dialect, and the table of those that there are."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols import (
    bentoml,
    caikit,
    llamacpp,
    nim,
    oldkserve,
    ollama,
    openinference,
    rayserve,
    sglang,
    textgeneration,
    tfserving,
    torchserve,
    vllm,
)
from isvcwatch.client.protocols.base import (
    Answer,
    HealthProtocol,
    Question,
    Reading,
    UnsupportedProtocol,
    Verdict,
)
from isvcwatch.client.protocols.interview import Inquiry, Interview, Recognised
from isvcwatch.client.protocols.openai import OpenAI
from isvcwatch.client.protocols.v1 import V1
from isvcwatch.client.protocols.v2 import V2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.client.protocols.interview import Steps

__all__ = [
    "PROTOCOLS",
    "Answer",
    "HealthProtocol",
    "Inquiry",
    "Interview",
    "Question",
    "Reading",
    "Recognised",
    "UnsupportedProtocol",
    "Verdict",
    "named",
    "recognise",
]

PROTOCOLS: Final[Mapping[str, HealthProtocol]] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            V1(),
            V2(),
            OpenAI(),
            OpenAI("vllm", model_listed=True),
            nim.NIM,
            textgeneration.TGI,
            textgeneration.TEI,
            sglang.SGLANG,
            ollama.Ollama(),
            llamacpp.LLAMACPP,
            caikit.Caikit(),
            torchserve.TORCHSERVE,
            rayserve.RAYSERVE,
            bentoml.BENTOML,
        )
    }
)
"""Every protocol by its name in lower case."""

SERVERS: Final = (
    openinference.recognise,
    llamacpp.recognise,
    tfserving.recognise,
    oldkserve.recognise,
    nim.recognise,
    vllm.recognise,
    textgeneration.recognise,
    ollama.recognise,
    rayserve.recognise,
    sglang.recognise,
    caikit.recognise,
    torchserve.recognise,
    bentoml.recognise,
)
"""How each server is recognised, in the order in which it is tried: by what most people run, and by what costs least to ask."""


def named(name: str) -> HealthProtocol:
    """The protocol of that name, in any case.

    Raises:
        UnsupportedProtocol: there is none; a ValueError that names those that there are.
    """
    try:
        return PROTOCOLS[name.strip().lower()]
    except KeyError:
        raise UnsupportedProtocol(name, tuple(PROTOCOLS)) from None


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """What a server is, by its own words; None where nobody here knows it."""
    for known in SERVERS:
        found = yield from known(interview)
        if found is not None:
            return found
    return None
