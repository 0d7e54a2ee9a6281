"""For all tests."""

from __future__ import annotations

import asyncio


def pytest_configure() -> None:
    """Say that the main thread has no event loop: asked for one before, Python up to 3.13 makes one, which nobody closes."""
    asyncio.set_event_loop(None)
