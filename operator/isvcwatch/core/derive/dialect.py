"""Derives the protocol that a component speaks from what is declared, in KServe's order, and from its command line."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from isvcwatch.core.derive.containers import Server
    from isvcwatch.core.objects import ComponentSpec, Runtime

PREFERENCE: Final = ("v1", "v2", "grpc-v1", "grpc-v2")
"""KServe's order of preference among a runtime's protocol versions."""


class ServerKind(StrEnum):
    """The servers that differ in how they name models."""

    VLLM = "vllm"
    HUGGINGFACE = "huggingface"
    TRITON = "triton"
    MLSERVER = "mlserver"
    TORCHSERVE = "torchserve"
    TENSORFLOW_SERVING = "tensorflow-serving"
    OTHER = ""


_SERVER_TYPES: Final = {
    "triton": ServerKind.TRITON,
    "tritonserver": ServerKind.TRITON,
    "mlserver": ServerKind.MLSERVER,
    "torchserve": ServerKind.TORCHSERVE,
    "tensorflow-serving": ServerKind.TENSORFLOW_SERVING,
    "huggingfaceserver": ServerKind.HUGGINGFACE,
}
"""Values of `builtInAdapter.serverType` and of KServe's annotation `serving.kserve.io/server-type`."""

_PROGRAMS: Final = {
    "tritonserver": ServerKind.TRITON,
    "mlserver": ServerKind.MLSERVER,
    "torchserve": ServerKind.TORCHSERVE,
    "tensorflow_model_server": ServerKind.TENSORFLOW_SERVING,
    "vllm": ServerKind.VLLM,
    "vllm.entrypoints.openai.api_server": ServerKind.VLLM,
    "huggingfaceserver": ServerKind.HUGGINGFACE,
}
"""Names of programs and modules in command lines."""

_FORMATS: Final = {
    "triton": ServerKind.TRITON,
    "mlserver": ServerKind.MLSERVER,
    "vllm": ServerKind.VLLM,
    "huggingface": ServerKind.HUGGINGFACE,
}

_IMAGES: Final = (
    (re.compile(r"(^|[/_-])vllm([:@/_-]|$)"), ServerKind.VLLM),
    (re.compile(r"(^|/)huggingfaceserver([:@-]|$)"), ServerKind.HUGGINGFACE),
    (re.compile(r"(^|/)tritonserver([:@-]|$)"), ServerKind.TRITON),
    (re.compile(r"(^|/)mlserver([:@-]|$)"), ServerKind.MLSERVER),
    (re.compile(r"(^|/)torchserve(-kfs)?([:@-]|$)"), ServerKind.TORCHSERVE),
)
"""Patterns of the names of the servers' own images."""

_V2: Final = frozenset({ServerKind.TRITON, ServerKind.MLSERVER})


class Spoken(NamedTuple):
    """The protocol that a server is asked by.

    Attributes:
        protocol: the protocol's name.
        origin: the field it was read from, or the rule that gave it.
        certain: whether the server is known to speak it; a runtime's `protocolVersions` do not settle this, since they are often copied.
    """

    protocol: str
    origin: str
    certain: bool


def kind_of(server: Server, spec: ComponentSpec | None, runtime: Runtime | None) -> ServerKind:
    """The kind of a server, as far as the specification shows it."""
    for word in server.words:
        if known := _PROGRAMS.get(word.rpartition("/")[2]):
            return known
    if runtime and (known := _SERVER_TYPES.get(runtime.server_type)):
        return known
    if spec and (known := _FORMATS.get(spec.model_format)):
        return known
    return next((known for pattern, known in _IMAGES if pattern.search(server.container.image)), ServerKind.OTHER)


def of_predictor(server: Server, spec: ComponentSpec, runtime: Runtime | None, kind: ServerKind) -> Spoken:  # noqa: PLR0911 -- a precedence list
    """The protocol of a predictor, from the first of these sources that names one."""
    if spec.model_format == "vllm":
        return Spoken("vllm", "spec.predictor.model.modelFormat.name is vLLM", certain=False)
    if kind is ServerKind.VLLM and any(word.rpartition("/")[2] in _PROGRAMS for word in server.words):
        return Spoken("vllm", "the command line runs vLLM", certain=False)
    if spec.protocol_version:
        certain = spec.protocol_version == "v2" and kind in _V2
        return Spoken(spec.protocol_version, "spec.predictor.model.protocolVersion", certain)
    if runtime and "vllm" in runtime.model_formats:
        return Spoken("vllm", f"runtime {runtime.key.name}: supportedModelFormats has vLLM", certain=False)
    if runtime and _SERVER_TYPES.get(runtime.server_type) in _V2:
        return Spoken("v2", f"runtime {runtime.key.name}: its server is {runtime.server_type}", certain=True)
    if kind in _V2:
        return Spoken("v2", f"the server is {kind}", certain=True)
    if runtime and runtime.protocol_versions:
        lowest = min(runtime.protocol_versions, key=lambda v: PREFERENCE.index(v) if v in PREFERENCE else len(PREFERENCE))
        return Spoken(lowest, f"runtime {runtime.key.name}: lowest of protocolVersions", certain=False)
    declared, origin = server.variable("PROTOCOL")
    if declared:
        return Spoken(declared.lower(), origin, certain=False)
    if kind is ServerKind.VLLM:
        return Spoken("vllm", "the image is vLLM's", certain=False)
    return Spoken("v1", "default", certain=False)
