"""Cached Python environments from hashed lock files: one for developing, one for each real part. Standard library only.

    python3 tools/envs.py dev .venv      make (or bring up to date) the environment of requirements/dev.txt in .venv
    python3 tools/envs.py mlserver       the same in the cache; prints where it is

uv does the work where it is on PATH, else plain pip. An environment is made anew when its lock file or its Python changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)

# The newest Python that a part's wheels exist for, where that is not "any".
NEWEST = {"mlserver": (3, 12), "triton": (3, 12)}


class MissingError(RuntimeError):
    """Something that must be there before anything can be installed; the message is one line that says what to do."""


def say(text: str) -> None:
    print(f"isvcwatch: {text}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    """Where built and installed parts are kept between runs: ISVCWATCH_CACHE, else the user's cache directory."""
    named = os.environ.get("ISVCWATCH_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isvcwatch"
    base.mkdir(parents=True, exist_ok=True)
    return base


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time builds what is kept at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lock_file(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def python_for(name: str) -> str:
    """A Python that the part's wheels exist for: this one, or another on PATH."""
    newest = NEWEST.get(name)
    if newest is None or sys.version_info[:2] <= newest:
        return sys.executable
    for minor in range(newest[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:  # noqa: S603
            return found
    raise MissingError(
        f"{name} needs Python 3.{OLDEST[1]} to 3.{newest[1]} and this is {sys.version_info[0]}.{sys.version_info[1]}: "
        f"put a python3.{newest[1]} on PATH"
    )


def run(*command: str | Path) -> None:
    """Run a command quietly; show all that it said only when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise MissingError(f"`{' '.join(map(str, command))}` failed with exit code {done.returncode}; its output is above")


def install(name: str, target: Path, python: str) -> None:
    uv = shutil.which("uv")
    if uv:
        run(uv, "venv", "--quiet", "--clear", "--python", python, target)
        run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", target / "bin/python", lock_file(name))
        return
    shutil.rmtree(target, ignore_errors=True)
    try:
        run(python, "-m", "venv", target)
    except MissingError as error:
        raise MissingError("Python's venv module does not work here (on Debian: apt-get install python3-venv)") from error
    # Most of what is installed is never imported: compiling it all would double the time.
    run(target / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--no-compile", "-r", lock_file(name))


def install_project(target: Path) -> None:
    """The project itself, editable: its command and its version come from the work tree."""
    options = ("--quiet", "--no-deps", "--no-build-isolation")
    uv = shutil.which("uv")
    pip: tuple[str | Path, ...] = (
        (uv, "pip", "install", "--python", target / "bin/python") if uv else (target / "bin/python", "-m", "pip", "install")
    )
    run(*pip, *options, "--editable", ROOT)


def ensure(name: str, target: Path | None = None) -> Path:
    """The environment of `requirements/<name>.txt`, made if it is not there yet.

    Returns:
        Its directory; `bin/python` is in there.

    Raises:
        MissingError: what stands in the way, in one line.
    """
    python = python_for(name)
    key = hashlib.sha256(lock_file(name).read_bytes() + python.encode()).hexdigest()[:16]
    target = target or cache_dir() / "envs" / f"{name}-{key}"
    stamp = target / ".isvcwatch-env"
    with locked(target):
        if stamp.is_file() and stamp.read_text() == key:
            return target
        began = time.monotonic()
        with_what = "uv" if shutil.which("uv") else "pip"
        say(f"installing the '{name}' environment with {with_what} (some minutes the first time) ...")
        install(name, target, python)
        stamp.write_text(key)
        say(f"installed the '{name}' environment in {time.monotonic() - began:.0f} s")
    return target


def fail(message: str) -> NoReturn:
    say(message)
    raise SystemExit(1)


def main(arguments: list[str]) -> None:
    if sys.version_info[:2] < OLDEST:
        fail(f"Python 3.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}: name one with `make PYTHON=python3.12`")
    if not arguments or not lock_file(arguments[0]).is_file():
        fail(f"usage: envs.py NAME [DIRECTORY]; NAME is one of {sorted(p.stem for p in lock_file('x').parent.glob('*.txt'))}")
    try:
        target = ensure(arguments[0], Path(arguments[1]).resolve() if arguments[1:] else None)
        if arguments[0] == "dev":
            install_project(target)
        print(target)
    except MissingError as error:
        fail(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
