"""A system that gives no more threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


def no_thread(_: threading.Thread) -> None:
    """In place of `threading.Thread.start`: what that raises where no more threads may be begun."""
    raise RuntimeError("can't start new thread")
