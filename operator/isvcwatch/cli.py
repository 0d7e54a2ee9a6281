"""The command line: `run` the operator, `check` a server by hand, `explain` what would be probed."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

from isvcwatch import process, settings
from isvcwatch.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXIT_READY: Final = 0
EXIT_NOT_READY: Final = 1
EXIT_UNKNOWN: Final = 2
"""Also what a wrong command line ends with."""

RUN_NEEDS: Final = "run and explain need the operator's libraries: pip install 'isvcwatch[operator]'"


class UsageError(Exception):
    """A command that can't be carried out; each line of its text says what to do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out a command and exit with its code."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.command(parsed)
    except UsageError as error:
        print(*(f"isvcwatch: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        code = EXIT_UNKNOWN
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="isvcwatch", description="Ready=True, proven: asks KServe models from outside whether they answer."
    )
    parser.add_argument("--version", action="version", version=f"isvcwatch {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the operator", description="Watch InferenceServices and write what is found into them.")
    _add(run, settings.RUN_OPTIONS)
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="ask one server by hand", description="Ask one server all that there is to ask.")
    check.add_argument("url", metavar="URL", help="base URL, such as http://localhost:8080")
    check.add_argument("--model", metavar="NAME", help="model to ask about; without it, the server alone is asked about")
    check.add_argument("--protocol", metavar="NAME", default="v1", help="v1, v2, openai or vllm (default v1)")
    _add(check, settings.CHECK_OPTIONS)
    check.set_defaults(command=_check)

    explain = commands.add_parser(
        "explain", help="show what would be probed", description="Show what would be probed, and which field each value came from."
    )
    explain.add_argument("service", metavar="NAMESPACE/NAME", help="an InferenceService")
    _add(explain, (*settings.CLUSTER_OPTIONS, *settings.POLICY_OPTIONS))
    explain.set_defaults(command=_explain)
    return parser


def _add(parser: argparse.ArgumentParser, options: Sequence[settings.Option]) -> None:
    for option in options:
        parser.add_argument(
            f"--{option.flag}", metavar=option.metavar, action="append", help=f"{option.help} [{option.variable}]".replace("%", "%%")
        )


def _settings(options: Sequence[settings.Option], parsed: argparse.Namespace, environment: Mapping[str, str]) -> settings.Settings:
    try:
        return settings.read(options, vars(parsed), environment)
    except settings.SettingsError as error:
        raise UsageError("\n".join(error.problems)) from error


def _run(parsed: argparse.Namespace) -> int:
    chosen = _settings(settings.RUN_OPTIONS, parsed, os.environ)
    try:
        from isvcwatch import app  # noqa: PLC0415 -- needs the operator's libraries, which the client and `check` don't
        from isvcwatch.kube.errors import ConfigError  # noqa: PLC0415
        from isvcwatch.telemetry import logs  # noqa: PLC0415
        from isvcwatch.telemetry.http import BindError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"{RUN_NEEDS} ({error})") from error
    logs.configure(chosen.log_format, chosen.log_level)
    try:
        process.raise_file_limit()
        with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
            runner.run(app.run(chosen))
    except (ConfigError, BindError, app.EndedError) as error:
        raise UsageError(str(error)) from error
    return 0


def _check(parsed: argparse.Namespace) -> int:
    from isvcwatch import check  # noqa: PLC0415 -- loads the transport only when it is used

    chosen = _settings(settings.CHECK_OPTIONS, parsed, os.environ)
    try:
        ladder = asyncio.run(check.climb(parsed.url, parsed.protocol, parsed.model, chosen.policy.timeout, chosen.ca_bundles))
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(check.table(ladder))
    return {"True": EXIT_READY, "False": EXIT_NOT_READY}.get(check.verdict(ladder), EXIT_UNKNOWN)


def _explain(parsed: argparse.Namespace) -> int:
    chosen = _settings((*settings.CLUSTER_OPTIONS, *settings.POLICY_OPTIONS), parsed, os.environ)
    namespace, slash, name = parsed.service.partition("/")
    if not (slash and namespace and name):
        raise UsageError(f"{parsed.service!r} names no InferenceService: write NAMESPACE/NAME")
    try:
        from isvcwatch import explain  # noqa: PLC0415 -- needs the operator's libraries
        from isvcwatch.kube.errors import KubeError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"{RUN_NEEDS} ({error})") from error
    try:
        print(asyncio.run(explain.explain(chosen, namespace, name)))
    except KubeError as error:
        raise UsageError(str(error)) from error
    return 0
