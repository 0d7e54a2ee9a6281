"""Keeps warnings about loops that nobody made out of the client's tests."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(autouse=True)
def no_loop_left_behind(request: pytest.FixtureRequest) -> None:
    """looptime asks for the current loop before each synchronous test: on Python 3.11 asking makes one, which nobody closes."""
    if not asyncio.iscoroutinefunction(getattr(request, "function", None)):
        asyncio.set_event_loop(None)
