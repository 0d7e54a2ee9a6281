"""Sets up the operator's process: chooses the faster event loop, raises the limit on open files, and sees to it that there is a home."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """The factory of uvloop's event loop if uvloop is installed, which it is not on every platform; else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 -- there or not
    except ModuleNotFoundError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def raise_file_limit() -> int:
    """Raise the limit on open files as far as allowed: each kept connection is one, and the usual soft limit of 1024 is only for `select`.

    Returns:
        The limit that holds now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # on macOS, for one, the hard limit may be higher than the kernel grants
        return soft
    return hard


def ensure_home() -> None:
    """Set HOME to `/`, as container runtimes do, where neither the environment nor a passwd file names a home directory.

    The Kubernetes client asks for one as soon as it is imported, and raises an error where there is none.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = os.sep
