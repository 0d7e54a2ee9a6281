"""For all unit tests."""

from __future__ import annotations

import asyncio


def pytest_configure() -> None:
    """Say that there is no event loop outside of tests: asked for one by a plugin, asyncio would make one that nobody closes."""
    asyncio.set_event_loop(None)
