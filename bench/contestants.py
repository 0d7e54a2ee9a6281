"""Who is measured: how each is started on the fleet, and what it is called."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bench import programs
from bench.part import Part, module
from rig.process import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.fleet.fleet import Fleet, Model

WORKERS: Final = 20
"""Tasks that ask one after another, of those that can't keep the pace: enough that none of their time is waiting."""

STARTING: Final = 120.0  # seconds

CALLS: Final = {"call": "ready", "timeout": 2, "at_once": 0}
"""What the public clients are asked for where nothing else is said."""


def engine(fleet: Fleet, models: Sequence[Model], **settings: object) -> Part:
    """Our engine, probing these models."""
    given = {"models": plain(models), "certificate": fleet.certificate, **settings}
    return _heard(module("bench.subjects.engine", given))


def transport(fleet: Fleet, models: Sequence[Model], *, period: float) -> Part:
    """Our transport alone, asking each model once a period on a kept connection."""
    return _heard(module("bench.subjects.transport", {"models": plain(models), "certificate": fleet.certificate, "period": period}))


@dataclass(frozen=True, slots=True)
class Contestant:
    """Another program that asks the same.

    Attributes:
        name: what it is called in the figures.
        subject: the module in `bench.subjects` that runs it; empty for the Go prober.
        environment: the locked environment that it runs in; empty for ours.
        workers: how many tasks ask as fast as they can; 0 where it keeps the pace.
    """

    name: str
    subject: str = ""
    environment: str = ""
    workers: int = 0

    def start(self, models: Sequence[Model], period: float, **settings: object) -> Part:
        """Asking each model once a period.

        Args:
            models: what is asked.
            period: in seconds.
            settings: of `bench.subjects.calls`, for the public clients.

        Raises:
            MissingProgramError: it can't be had here.
        """
        if not self.subject:
            return _heard(Part(self.name, [programs.go_prober()], {"urls": [m.url for m in models], "period": period}))
        python = programs.python_with(self.environment) if self.environment else sys.executable
        given: dict[str, Any] = {"models": plain(models), "period": period, "workers": self.workers, **CALLS, **settings}
        if self is BLACKBOX:
            given |= {"exporter": str(programs.blackbox_exporter()), "port": free_port()}
        return _heard(module(f"bench.subjects.{self.subject}", given, python))

    def alone(self) -> Contestant:
        """The same, asking one after another in one task."""
        return replace(self, workers=1)


BLACKBOX: Final = Contestant("blackbox_exporter", "blackbox", "bench")
GO: Final = Contestant("bare Go net/http")
AIOHTTP: Final = Contestant("aiohttp", "aiohttp_session", "bench")
KSERVE: Final = Contestant("KServe's InferenceRESTClient", "kserve_client", "kserve", WORKERS)
HTTPX: Final = Contestant("httpx, default limits", "httpx_default", "bench", WORKERS)
HTTPX_TUNED: Final = Contestant("httpx, 20 kept connections", "httpx_tuned", "bench", WORKERS)
CLIENT: Final = Contestant("our client", "client")

OTHERS: Final = (BLACKBOX, GO, AIOHTTP, KSERVE, HTTPX, HTTPX_TUNED)


def plain(models: Sequence[Model]) -> list[dict[str, str]]:
    """Models as a part's settings name them."""
    return [{"uid": model.uid, "base_url": model.base_url, "name": model.name} for model in models]


def _heard(part: Part) -> Part:
    try:
        part.hear(STARTING)
    except BaseException:
        part.end()
        raise
    return part
