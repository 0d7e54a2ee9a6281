"""What an echo model has been told to be, read from a file each time: shared by the models of all servers. Standard library only.

GROUND_STATE names a directory; `<model>.json` in it holds the fields of `State` that differ from the defaults.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

POLL = 0.02


@dataclass(frozen=True, slots=True)
class State:
    """`health_delay` and `infer_delay` are seconds; they end early when the file says less."""

    known: bool = True
    ready: bool = True
    loading: bool = False
    health_delay: float = 0
    infer_delay: float = 0


def read(model: str) -> State:
    """The state of `model`; all is well without a file."""
    try:
        return State(**json.loads((Path(os.environ["GROUND_STATE"]) / f"{model}.json").read_text()))
    except FileNotFoundError:
        return State()


def write(directory: Path, model: str, state: dict[str, bool | float]) -> None:
    """Tell `model` what to be; at once or not at all."""
    unfinished = directory / f"{model}.new"
    unfinished.write_text(json.dumps(state))
    unfinished.replace(directory / f"{model}.json")


async def pause(model: str, field: str) -> None:
    """Wait as long as `field` says; the wait ends early when the state changes."""
    began = time.monotonic()
    while time.monotonic() - began < getattr(read(model), field):  # noqa: ASYNC110 (a file sets no event)
        await asyncio.sleep(POLL)


async def loaded(model: str) -> None:
    """Wait until `model` need not be loading any more."""
    while read(model).loading:  # noqa: ASYNC110
        await asyncio.sleep(POLL)
