"""A process that takes part in a measurement: started, asked by JSON lines, ended. It does not outlive us."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

from rig.process import GUARD

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
GRACE = 5.0  # seconds
LINES_SHOWN = 20


class PartError(RuntimeError):
    """A part ended, or did not answer in time; the message has the end of what it said."""


class Part:
    """A child process. Use it as a context: it ends with the block."""

    def __init__(self, name: str, command: Sequence[str | Path], settings: object) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `end`)
        self._unread = b""
        self._process = subprocess.Popen(  # noqa: S603 (commands are ours)
            [sys.executable, "-I", "-S", GUARD, str(os.getpid()), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'operator'}", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._write(settings)

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self, timeout: float) -> dict[str, Any]:
        """The next line that it says, within `timeout` seconds."""
        output = cast("IO[bytes]", self._process.stdout)
        end = time.monotonic() + timeout
        while b"\n" not in self._unread:
            ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
            said = os.read(output.fileno(), 2**20) if ready else b""
            if not said:
                raise PartError(f"{self.name} {'ended' if ready else f'said nothing for {timeout:g} s'}:\n{self._log_tail()}")
            self._unread += said
        line, _, self._unread = self._unread.partition(b"\n")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def ask(self, timeout: float = 60.0, **asked: object) -> dict[str, Any]:
        """Its answer to a line, within `timeout` seconds."""
        self._write(asked)
        return self.hear(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Nothing in it is worth an orderly end."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _write(self, line: object) -> None:
        asked = cast("IO[bytes]", self._process.stdin)
        try:
            asked.write(json.dumps(line).encode() + b"\n")
            asked.flush()
        except BrokenPipeError as error:
            raise PartError(f"{self.name} ended:\n{self._log_tail()}") from error

    def _log_tail(self) -> str:
        self._log.seek(0)
        return "\n".join(self._log.read().decode(errors="replace").splitlines()[-LINES_SHOWN:])


def module(name: str, settings: object, python: str | Path = sys.executable) -> Part:
    """A Python module of ours as a part."""
    return Part(name.rpartition(".")[2], [python, "-m", name], settings)
