"""The command line: `run` the operator, `check` a server by hand, `explain` what would be probed."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

from isvcwatch import process, settings
from isvcwatch.client.protocols import PROTOCOLS
from isvcwatch.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXIT_READY: Final = 0
EXIT_NOT_READY: Final = 1
EXIT_UNKNOWN: Final = 2
"""The exit code for Unknown, and also for a command line that can't be parsed."""

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

    check = commands.add_parser(
        "check",
        help="ask one server by hand",
        description="Find out what a server is and which models it has, and ask all that there is to ask.",
    )
    check.add_argument("url", metavar="URL", help="base URL, such as http://localhost:8080")
    check.add_argument("--model", metavar="NAME", help="model to ask about; without it, those that the server lists")
    check.add_argument("--protocol", metavar="NAME", help=f"{', '.join(PROTOCOLS)}; without it, that is found out")
    check.add_argument(
        "--header",
        metavar="NAME:VALUE",
        action="append",
        help="header to send, such as a credential, to this server alone; its value is not printed; may be repeated",
    )
    check.add_argument("--host", metavar="HOST", help="value of the Host header, as for an ingress; without it, the URL's own host")
    check.add_argument("-o", "--output", metavar="FORMAT", choices=("text", "json"), default="text", help="text or json (default text)")
    _add(check, settings.CHECK_OPTIONS)
    check.set_defaults(command=_check)

    explain = commands.add_parser(
        "explain", help="show what would be probed", description="Show what would be probed, and which field each value came from."
    )
    explain.add_argument("service", metavar="NAMESPACE/NAME", nargs="?", help="an InferenceService of the cluster")
    explain.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        action="append",
        help="YAML of InferenceServices and runtimes, without a cluster; - for standard input",
    )
    explain.add_argument(
        "--ask", action="store_true", help="also ask the servers, as one round of the operator does, and show what is learned"
    )
    explain.add_argument(
        "--anywhere",
        action="store_true",
        help="let --ask connect to any address, for a machine of your own; without it, to those that the operator may connect to",
    )
    _add(explain, settings.EXPLAIN_OPTIONS)
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
    process.ensure_home()
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
    from isvcwatch.sent_headers import SentHeaders  # noqa: PLC0415

    chosen = _settings(settings.CHECK_OPTIONS, parsed, os.environ)
    try:
        headers = SentHeaders.of(parsed.header or (), parsed.host)
        report = asyncio.run(check.check(parsed.url, parsed.protocol, parsed.model, chosen.policy.timeout, chosen.ca_bundles, headers))
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(report.json() if parsed.output == "json" else report.text())
    return {"True": EXIT_READY, "False": EXIT_NOT_READY}.get(report.verdict(), EXIT_UNKNOWN)


def _explain(parsed: argparse.Namespace) -> int:
    _settings(settings.EXPLAIN_OPTIONS, parsed, os.environ)  # each that can't be used is named before anything is asked
    if parsed.service is None and not parsed.filename:
        raise UsageError("usage: isvcwatch explain NAMESPACE/NAME, or isvcwatch explain -f FILE")
    namespace, slash, name = (parsed.service or "").partition("/")
    if "/" in name:
        raise UsageError(f"explain takes an InferenceService, not {parsed.service!r}: write NAMESPACE/NAME")
    if bool(parsed.filename) == bool(parsed.service) or (parsed.service and not (slash and namespace and name)):
        raise UsageError(f"{parsed.service!r} names no InferenceService: write NAMESPACE/NAME, or -f FILE")
    process.ensure_home()
    try:
        from isvcwatch import explain  # noqa: PLC0415 -- needs the operator's libraries
        from isvcwatch.kube.errors import KubeError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"{RUN_NEEDS} ({error})") from error
    given = explain.Given(vars(parsed), os.environ)
    asking = explain.Asking(anywhere=parsed.anywhere) if parsed.ask else None
    try:
        if parsed.filename:
            said = asyncio.run(explain.of_files(given, parsed.filename, asking))
        else:
            said = asyncio.run(explain.explain(given, namespace, name, asking))
    except (KubeError, explain.FileError) as error:
        raise UsageError(str(error)) from error
    print(said)
    return 0
