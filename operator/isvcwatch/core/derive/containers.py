"""Merges a runtime's containers with the service's own, as KServe does for a component's pod, and reads their command lines.

Source: kserve's `pkg/utils` and `components/predictor.go`: a strategic merge in which arguments are appended, environment variables and
ports are merged by name and number, and the service's values win; then templates are filled in from the service's metadata.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from isvcwatch.core.objects import Container

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.core.objects import ComponentSpec, InferenceService, Runtime

_TEMPLATE: Final = re.compile(r"\{\{-?\s*\.(Name|Namespace|Labels|Annotations)(?:\.([\w.\-/]+))?\s*-?\}\}")
_VARIABLE: Final = re.compile(r"\$\((\w+)\)|\$\{(\w+)\}|\$(\w+)")
_SHELLS: Final = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_UNFILLED: Final = ("{{", "$")
"""Marks in a value that still holds a template or a variable, which is filled in only inside the cluster."""


@dataclass(frozen=True, slots=True)
class Server:
    """A serving container, with its flags and environment variables ready to be looked up.

    Attributes:
        container: the container as it runs.
        own: the words of the service's own command line, in order.
        runtime: the words of the runtime's command line.
        origin: the field of the service that specifies the container, such as `spec.predictor`.
        runtime_origin: the name of the runtime that specifies the container; empty if there is no runtime.
    """

    container: Container
    own: tuple[str, ...]
    runtime: tuple[str, ...]
    origin: str
    runtime_origin: str

    @property
    def words(self) -> tuple[str, ...]:
        """The whole command line."""
        return (*self.runtime, *self.own)

    def flag(self, *flags: str) -> tuple[str, str]:
        """The value of a flag, and where it was set; both are empty if it is not set. The last one wins, as in the servers' own parsers.

        Args:
            flags: the flag's names, with leading dashes and with `-` in place of `_`.
        """
        for words, origin in ((self.own, self.origin), (self.runtime, self.runtime_origin)):
            if found := _flag(words, flags):
                value, flag = found
                return value, f"{origin}: {flag}"
        return "", ""

    def variable(self, name: str) -> tuple[str, str]:
        """The value of an environment variable, and where it was set; both are empty if it is not set."""
        value = self.container.environment.get(name, "")
        return (value, f"{self.origin or self.runtime_origin}: env {name}") if value and not _is_unfilled(value) else ("", "")


def servers(isvc: InferenceService, runtime: Runtime | None, spec: ComponentSpec, origin: str) -> tuple[Server, Server | None]:
    """The model server of a component, and the collocated transformer that KServe exposes in its place, if there is one."""
    main = _server(isvc, runtime.server if runtime else None, spec.server, origin, runtime)
    theirs = runtime.collocated if runtime else None
    if theirs is None and spec.collocated is None:
        return main, None
    return main, _server(isvc, theirs, spec.collocated or Container(), f"{origin}: transformer-container", runtime)


def _server(isvc: InferenceService, theirs: Container | None, ours: Container, origin: str, runtime: Runtime | None) -> Server:
    both = _merged(theirs, ours) if theirs else ours
    environment = {name: _filled(value, isvc) for name, value in both.environment.items()}
    both = replace(both, environment=environment)

    def words(command: tuple[str, ...], args: tuple[str, ...]) -> tuple[str, ...]:
        return _words(tuple(_filled(word, isvc) for word in command), tuple(_filled(word, isvc) for word in args), environment)

    from_theirs = words(theirs.command if not ours.command else (), theirs.args) if theirs else ()
    return Server(both, words(ours.command, ours.args), from_theirs, origin, f"runtime {runtime.key.name}" if runtime else "")


def _merged(theirs: Container, ours: Container) -> Container:
    numbers = {port.number for port in ours.ports}
    return Container(
        image=ours.image or theirs.image,
        command=ours.command or theirs.command,
        args=(*theirs.args, *ours.args),
        environment={**theirs.environment, **ours.environment},
        ports=(*ours.ports, *(port for port in theirs.ports if port.number not in numbers)),
        ready=ours.ready or theirs.ready,
        startup=ours.startup or theirs.startup,
    )


def _filled(text: str, isvc: InferenceService) -> str:
    """The text with KServe's templates filled in from the service's metadata; a template without a value stays as it is."""
    if "{{" not in text:
        return text
    values: dict[str, Mapping[str, str]] = {"Labels": isvc.labels, "Annotations": isvc.annotations}
    plain = {"Name": isvc.name, "Namespace": isvc.namespace}

    def value(found: re.Match[str]) -> str:
        field, key = found[1], found[2]
        return plain.get(field, found[0]) if key is None else values.get(field, {}).get(key, found[0])

    return _TEMPLATE.sub(value, text)


def _words(command: tuple[str, ...], args: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The words of a command line; a script for a shell is split into words as the shell would do it."""
    line = (*command, *args)
    found: list[str] = []
    is_shell = bool(line) and line[0].rpartition("/")[2] in _SHELLS
    for word in line:
        filled = _VARIABLE.sub(lambda v: environment.get(v[1] or v[2] or v[3], v[0]), word)
        found.extend(_split(filled) if is_shell and any(c in word for c in " \n\t") else (filled,))
    return tuple(found)


def _split(script: str) -> list[str]:
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # the script has a quote that is not closed, so the shell would not run it either
        return []


def _flag(words: tuple[str, ...], flags: tuple[str, ...]) -> tuple[str, str] | None:
    found = None
    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag.startswith("--") and flag.replace("_", "-") in flags:
            if not equals:
                following = words[number + 1] if number + 1 < len(words) else ""
                value = "" if following.startswith("--") else following
            if value and not _is_unfilled(value):
                found = value, flag
    return found


def _is_unfilled(value: str) -> bool:
    return any(mark in value for mark in _UNFILLED)
