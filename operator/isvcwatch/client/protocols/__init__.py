"""The inference protocols, free of I/O: a module for each, and the tables of protocols and servers."""

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
"""The functions that recognise servers, in the order in which they are tried: the most common servers and the cheapest requests first."""


def named(name: str) -> HealthProtocol:
    """The protocol of that name, in any case.

    Raises:
        UnsupportedProtocol: there is no such protocol; this ValueError names the existing ones.
    """
    try:
        return PROTOCOLS[name.strip().lower()]
    except KeyError:
        raise UnsupportedProtocol(name, tuple(PROTOCOLS)) from None


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise a server by its own answers; None if it is not known."""
    for known in SERVERS:
        found = yield from known(interview)
        if found is not None:
            return found
    return None
