"""Who runs where while costs are compared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from bench.processors import apart

if TYPE_CHECKING:
    import pytest

    from bench.fleet.fleet import Fleet


class Kept:
    """A fleet, and a process, that note which processors they are kept to."""

    def __init__(self, processors: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.servers: list[set[int]] = []
        self.ours: list[set[int]] = []
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: processors, raising=False)
        monkeypatch.setattr(os, "sched_setaffinity", lambda _, ours: self.ours.append(ours), raising=False)

    def keep_to(self, processors: set[int]) -> None:
        self.servers.append(processors)

    @property
    def fleet(self) -> Fleet:
        return cast("Fleet", self)


def test_servers_have_a_processor_of_their_own_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept({0, 2, 5}, monkeypatch)
    with apart(kept.fleet):
        assert (kept.servers, kept.ours) == ([{5}], [{0, 2}])
    assert (kept.servers[1:], kept.ours[1:]) == ([{0, 2, 5}], [{0, 2, 5}])


def test_a_single_processor_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept({3}, monkeypatch)
    with apart(kept.fleet):
        pass
    assert (kept.servers, kept.ours) == ([], [])
