"""Event loops for the client's tests: runs on either kind, and no warnings about loops that nobody made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine in an event loop of its own, of either kind; leaves no task behind."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 -- whatever it returns
        with asyncio.Runner(loop_factory=request.param) as runner:
            result = runner.run(work)
            assert not asyncio.all_tasks(runner.get_loop())
        asyncio.set_event_loop(None)
        return result

    return run


@pytest.fixture(autouse=True)
def no_loop_left_behind(request: pytest.FixtureRequest) -> None:
    """looptime asks for the current loop before each synchronous test: on Python 3.11 asking makes one, which nobody closes."""
    if not asyncio.iscoroutinefunction(getattr(request, "function", None)):
        asyncio.set_event_loop(None)
