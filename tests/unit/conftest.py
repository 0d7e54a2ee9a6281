"""For all unit tests."""

from __future__ import annotations

import asyncio

from hypothesis import settings

settings.register_profile("unhurried", settings(), deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("unhurried")


def pytest_configure() -> None:
    """Say that there is no event loop outside of tests: asked for one by a plugin, asyncio would make one that nobody closes."""
    asyncio.set_event_loop(None)
