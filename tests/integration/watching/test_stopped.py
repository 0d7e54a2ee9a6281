"""A process that was stopped, or throttled, blames no model for what it missed: a real one, by real signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.probing.loopback import answering
from tests.unit.probing.steady import steady_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODELS = 6
"""Fewer than those whose common silence makes the watcher doubt its network; each is alone in its namespace: none vouches for another."""
ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"}


@dataclass(frozen=True, slots=True)
class Held:
    """What the process has said so far.

    Attributes:
        turns: every verdict on a model, as they came.
        late: rounds that it discarded since it was late itself.
    """

    turns: list[str]
    late: float


class Watching:
    """A process that watches models."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def holds(self) -> Held:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(b"\n")
        return Held(**json.loads(await self.process.stdout.readline()))

    async def stop_for(self, seconds: float) -> None:
        self.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def watching(*urls: str, uvloop: bool, cured: bool) -> AsyncIterator[Watching]:
    flags = ["yes" if each else "no" for each in (uvloop, cured)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.watching.alone",
        *flags,
        *urls,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=ENVIRONMENT,
    )
    try:
        yield Watching(process)
        assert process.stdin
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]
        await asyncio.sleep(0)


async def stopped(*, uvloop: bool, cured: bool) -> Held:
    """Slow but healthy models, whose watcher is stopped again and again."""
    ready = answering(b'{"name":"iris","ready":true}')
    async with steady_server(ready) as server:
        server.takes = 0.15
        async with watching(*[server.url] * MODELS, uvloop=uvloop, cured=cured) as watcher:
            while len((await watcher.holds()).turns) < MODELS:  # noqa: ASYNC110 (it only answers)
                await asyncio.sleep(0.1)
            for _ in range(3):
                await watcher.stop_for(0.8)
                await asyncio.sleep(0.6)
            return await watcher.holds()


@pytest.mark.parametrize("uvloop", [False, True])
async def test_a_process_that_was_stopped_for_longer_than_the_timeout_changes_no_verdict(uvloop: bool) -> None:
    held = await stopped(uvloop=uvloop, cured=True)
    assert held.turns == ["True"] * MODELS
    assert held.late > 0 or not uvloop  # asyncio reads what has come before it looks at its timers


async def test_it_would_change_them_if_it_did_not_look_at_its_own_lateness() -> None:
    held = await stopped(uvloop=True, cured=False)
    assert "False" in held.turns
