"""What the operator's process takes of its host: the faster event loop, and as many files as it may have open."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes uvloop's event loop where that is installed, as it isn't on every platform; else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 -- there or not
    except ModuleNotFoundError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def raise_file_limit() -> int:
    """Allow as many open files as may be: each kept connection is one, and the usual soft limit of 1024 is there for `select`.

    Returns:
        The limit that holds now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # such as macOS, where the hard limit may say more than the kernel grants
        return soft
    return hard
