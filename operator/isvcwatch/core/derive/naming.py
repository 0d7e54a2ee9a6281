"""Derives the name by which a server knows its model: from its command line and environment, else the name that KServe would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from isvcwatch.core.derive.dialect import ServerKind

if TYPE_CHECKING:
    from isvcwatch.core.derive.containers import Server

IN_ITS_FILES: Final = frozenset({ServerKind.TRITON, ServerKind.MLSERVER, ServerKind.TORCHSERVE})
"""Servers that take the name from the model's own files: a directory, model-settings.json, config.properties."""

SEVERAL_FLAGS: Final = frozenset({ServerKind.VLLM, ServerKind.HUGGINGFACE})
"""Servers that take the name from one of several flags."""

_SERVED: Final = "--served-model-name"

TENSORFLOW_DEFAULT: Final = "default"
"""The name that TensorFlow Serving gives its model without `--model_name`."""


class Named(NamedTuple):
    """A model's name.

    Attributes:
        name: the name.
        origin: where it was read, or the rule that gave it.
        certain: whether the server is known to use this name.
    """

    name: str
    origin: str
    certain: bool


def of_server(server: Server, kind: ServerKind, otherwise: Named, *, whole: bool) -> Named:
    """The name by which a server knows its model.

    Args:
        server: the server.
        kind: the server's kind.
        otherwise: the name to use if neither command line nor environment gives one.
        whole: whether the command line is known in full; if its runtime could not be read, a flag there may override a known one.
    """
    environment, origin = server.variable("MLSERVER_MODEL_NAME")
    if environment and kind in {ServerKind.MLSERVER, ServerKind.OTHER}:
        return Named(environment, origin, certain=False)  # a name in model-settings.json overrides the variable
    given, origin = _served(server, kind)
    if given:
        settled = whole or kind not in SEVERAL_FLAGS or _SERVED in origin.replace("_", "-")
        return Named(given, origin, settled and kind not in IN_ITS_FILES)
    if kind is ServerKind.TENSORFLOW_SERVING:
        return Named(TENSORFLOW_DEFAULT, "TensorFlow Serving's default", certain=True)
    return otherwise


def of_transformer(server: Server, service: str) -> Named:
    """The name by which a transformer knows its model: the one in its arguments, else the service's, which KServe passes to it."""
    given, origin = server.flag("--model-name")
    return Named(given, origin, certain=True) if given else Named(service, "metadata.name", certain=True)


def _served(server: Server, kind: ServerKind) -> tuple[str, str]:
    if kind is ServerKind.VLLM:
        return _of_vllm(server)
    served = server.flag(_SERVED)
    return served if served[0] else server.flag("--model-name")


def _of_vllm(server: Server) -> tuple[str, str]:
    """The name by which vLLM serves its model: `--served-model-name`, else the value of `--model` or the word after `serve`."""
    for flags in ((_SERVED,), ("--model",)):
        given = server.flag(*flags)
        if given[0]:
            return given
    words = server.words
    for number, word in enumerate(words[:-1]):
        following = words[number + 1]
        if word == "serve" and number and words[number - 1].rpartition("/")[2] == "vllm" and not following.startswith("-"):
            return following, "the command line: vllm serve"
    return "", ""
