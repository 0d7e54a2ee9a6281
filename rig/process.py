"""Child processes that don't outlive a test run, and what their logs said when they fail."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GUARD = Path(__file__).with_name("guard.py")
POLL = 0.05

# Below where Linux picks the ports of outgoing connections from (32768 up): none of those takes a port between our choice and its use.
PORTS = range(15000, 32000)


class RigError(RuntimeError):
    """A real part did not do as it should; the message is for people."""


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    for _ in range(100):
        port = random.choice(PORTS)  # noqa: S311 (chance, not secrecy)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RigError(f"no free port between {PORTS.start} and {PORTS.stop}")


def wait_until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Poll until `condition()`; `timeout` in seconds.

    Raises:
        RigError: it did not come true in time; `what` says what was waited for.
    """
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise RigError(f"{what}: not within {timeout:g} s")
        time.sleep(POLL)


class Child:
    """A process in a group of its own, its output in a file. Start it from a thread that lives on: it dies with that thread."""

    def __init__(self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.log = log
        self.name = Path(command[0]).name
        guarded = [sys.executable, "-I", "-S", GUARD, str(os.getpid()), *command]
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 (commands are ours)
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                cwd=cwd,
                start_new_session=True,
            )
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Poll until `ready()`, in seconds.

        Raises:
            RigError: the process ended first or time ran out; the end of its log is in the message.
        """

        def ready_or_over() -> bool:
            self.check()
            return ready()

        try:
            wait_until(ready_or_over, timeout, f"{self.name} is ready")
        except RigError as error:
            raise RigError(f"{error}. The end of {self.log}:\n{self.log_tail()}") from None

    def check(self) -> None:
        """Raise a RigError if it has ended."""
        if not self.running:
            raise RigError(f"{self.name} ended with exit code {self._process.returncode}")

    def stop(self, grace: float = 5) -> None:
        """Ask it to end, and make it end after `grace` seconds."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        atexit.unregister(self.kill)

    def pause(self) -> None:
        """Freeze it: connections are accepted by the kernel and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
