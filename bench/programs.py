"""The programs that we are compared with: where they come from. What can't be had is named, and left out."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from rig.build import GO_ENV, go
from rig.process import RigError
from tools import envs

PROBER: Final = Path(__file__).resolve().parent / "baselines" / "prober.go"
EXPORTER: Final = "prometheus-blackbox-exporter"


class MissingProgramError(Exception):
    """A baseline can't be had here; one line says why."""


def python_with(environment: str) -> Path:
    """The Python of a locked environment."""
    try:
        return envs.ensure(environment) / "bin" / "python"
    except envs.MissingError as error:
        raise MissingProgramError(str(error)) from error


def go_prober() -> Path:
    """The bare Go prober, built once."""
    key = hashlib.sha256(PROBER.read_bytes()).hexdigest()[:16]
    target = envs.cache_dir() / "bench" / f"prober-{key}"
    if not target.is_file():
        try:
            tool, _ = go()
        except RigError as error:
            raise MissingProgramError(str(error)) from error
        target.parent.mkdir(parents=True, exist_ok=True)
        _run(tool, "build", "-trimpath", "-o", target, PROBER, env={**os.environ, **GO_ENV, "GO111MODULE": "off"})
    return target


def blackbox_exporter() -> Path:
    """From PATH, else out of Debian's package, which is unpacked into the cache and installed nowhere."""
    for name in (EXPORTER, "blackbox_exporter"):
        if found := shutil.which(name):
            return Path(found)
    home = envs.cache_dir() / f"debian-{EXPORTER}"
    program = home / "usr" / "bin" / EXPORTER
    with envs.locked(home):
        if not program.is_file():
            _unpack(home)
    return program


def _unpack(home: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise MissingProgramError("blackbox_exporter is not on PATH, and only Debian and its kin have a package to take it from")
    unfinished = home.with_name(f"{home.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    envs.say(f"fetching Debian's package '{EXPORTER}' (once) ...")
    _run("apt-get", "download", EXPORTER, cwd=unfinished)
    (file,) = unfinished.glob("*.deb")
    _run("dpkg", "-x", file, unfinished)
    file.unlink()
    shutil.rmtree(home, ignore_errors=True)
    unfinished.rename(home)


def _run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, check=False)  # noqa: S603 (commands are ours)
    if done.returncode:
        said = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise MissingProgramError(f"`{' '.join(map(str, command[:3]))}` failed: {said}")
