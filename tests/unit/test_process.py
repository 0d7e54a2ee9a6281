"""What the process takes of its host."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from isvcwatch import process


def test_the_faster_loop_is_taken_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = process.loop_factory()()
    loop.close()
    assert isinstance(loop, uvloop.Loop)


def test_without_it_asyncios_own_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert process.loop_factory() is asyncio.new_event_loop


def test_the_limit_of_open_files_is_raised_as_far_as_may_be() -> None:
    code = (
        "import resource; from isvcwatch import process;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard));"
        "assert process.raise_file_limit() == hard;"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "True\n"


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert process.raise_file_limit() == before[0]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@pytest.mark.parametrize(("home", "expected"), [("", os.sep), ("/home/ada", "/home/ada")])
def test_where_nothing_names_a_home_it_is_the_root_as_in_a_container(monkeypatch: pytest.MonkeyPatch, home: str, expected: str) -> None:
    def homeless(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", homeless)
    if home:
        monkeypatch.setenv("HOME", home)
    process.ensure_home()
    assert Path.home() == Path(expected)
