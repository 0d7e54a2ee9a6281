"""Writes verdicts into the status of InferenceServices: transitions only, guarded, one object at a time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from isvcwatch.kube import errors
from isvcwatch.kube.backoff import pause
from isvcwatch.kube.patch import status_patch
from isvcwatch.kube.resources import INFERENCE_SERVICE_STATUS, INFERENCE_SERVICES

if TYPE_CHECKING:
    from isvcwatch.core.decide import Decision
    from isvcwatch.core.objects import InferenceService
    from isvcwatch.kube.api import Api
    from isvcwatch.kube.events import EventRecorder
    from isvcwatch.kube.inventory import Inventory

log = structlog.get_logger(__name__)

WORKERS: Final = 8
"""Writes under way at once."""
PACE: Final = 1.0
"""Seconds between two writes on one object: KServe has one worker, which a hammered object keeps from all others."""
CONFLICT_REST: Final = (0.02, 0.2)
"""Seconds, from and to: KServe is writing the same object."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What comes after a service's turn.

    Attributes:
        again: it needs another.
        rest: seconds in which it gets none.
    """

    again: bool = False
    rest: float = 0.0


class Planner(Protocol):
    """Who knows what is to be said; asked anew before each try, so that nothing stale is replayed."""

    def plan(self, uid: str) -> tuple[InferenceService, Decision] | None:
        """What to do about a service as it now stands; None where there is nothing (any more)."""

    def done(self, uid: str, decision: Decision) -> None:
        """It has been carried out."""


class Metrics(Protocol):
    """Who counts."""

    def status_write(self, result: str) -> None:
        """A try to write a status ended in: written, conflict, gone, forbidden, rejected, unavailable."""


class StatusWriter:
    """Carries out decisions. A request is only a name: what to write is decided when its turn comes."""

    def __init__(self, api: Api, inventory: Inventory, recorder: EventRecorder, planner: Planner, metrics: Metrics) -> None:
        self._api = api
        self._inventory = inventory
        self._recorder = recorder
        self._planner = planner
        self._metrics = metrics
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._busy: set[str] = set()
        self._tries: dict[str, int] = {}
        self._complaint = ""

    def request(self, uid: str) -> None:
        """Something is to be said about this service. Requests for one that waits already are the same request."""
        if uid not in self._waiting:
            self._waiting.add(uid)
            if uid not in self._busy:
                self._queue.put_nowait(uid)

    @property
    def pending(self) -> int:
        """How many services wait for their turn."""
        return len(self._waiting)

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            uid = await self._queue.get()
            self._waiting.discard(uid)
            self._busy.add(uid)
            turn = await self._take_turn(uid)
            if turn.again:
                self._waiting.add(uid)
            asyncio.get_running_loop().call_later(turn.rest, self._free, uid)

    def _free(self, uid: str) -> None:
        """The service has rested: it may be written again, and is, where that was asked for meanwhile."""
        self._busy.discard(uid)
        if uid in self._waiting:
            self._queue.put_nowait(uid)

    async def _take_turn(self, uid: str) -> Turn:
        """Do what is to be done about one service, whatever comes of it."""
        planned = self._planner.plan(uid)
        if planned is None:
            self._tries.pop(uid, None)
            return Turn()
        isvc, decision = planned
        try:
            await self._write(isvc, decision)
        except errors.ConflictError:
            self._metrics.status_write("conflict")
            return await self._refresh(isvc)
        except errors.GoneError:
            self._metrics.status_write("gone")
            self._inventory.drop_service(uid)
            return Turn()
        except errors.KubeError as error:
            return self._retry(uid, error)
        self._tries.pop(uid, None)
        self._planner.done(uid, decision)
        if decision.notice:
            self._recorder.record(isvc, decision.notice)
        return Turn(rest=PACE if decision.conditions else 0.0)

    async def _write(self, isvc: InferenceService, decision: Decision) -> None:
        if decision.conditions:
            patch = status_patch(isvc, decision.conditions)
            after = await self._api.json_patch(INFERENCE_SERVICE_STATUS, isvc.namespace, isvc.name, patch)
            self._metrics.status_write("written")
            self._complaint = ""
            self._inventory.put_service(after)

    async def _refresh(self, isvc: InferenceService) -> Turn:
        """The object has changed since it was read: read it again, and decide again."""
        try:
            raw = await self._api.get(INFERENCE_SERVICES, isvc.namespace, isvc.name)
        except errors.GoneError:
            raw = {}
        except errors.KubeError as error:
            return self._retry(isvc.uid, error)
        if raw.get("metadata", {}).get("uid") != isvc.uid:  # deleted, perhaps made anew under its name
            self._inventory.drop_service(isvc.uid)
        if raw:
            self._inventory.put_service(raw)
        return Turn(again=True, rest=random.uniform(*CONFLICT_REST))  # noqa: S311 -- jitter

    def _retry(self, uid: str, error: errors.KubeError) -> Turn:
        """When to try again; what stands in the way is said once for as long as it stays the same."""
        result = {errors.ForbiddenError: "forbidden", errors.RejectedError: "rejected"}.get(type(error), "unavailable")
        self._metrics.status_write(result)
        if str(error) != self._complaint:
            self._complaint = str(error)
            log.error("status_not_written", why=str(error), result=result)
        tries = self._tries[uid] = self._tries.get(uid, 0) + 1
        return Turn(again=True, rest=pause(tries, error.retry_after if isinstance(error, errors.UnavailableError) else 0.0))
