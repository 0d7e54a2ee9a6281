"""Writes changed verdicts into the status of InferenceServices, guarded against concurrent changes."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from isvcwatch.core.conditions import ConditionType, Status
from isvcwatch.core.step import Told
from isvcwatch.kube import errors
from isvcwatch.kube.backoff import pause
from isvcwatch.kube.budget import Budget, Restlessness
from isvcwatch.kube.kinds import SERVICES
from isvcwatch.kube.queue import Place, Turn
from isvcwatch.kube.resources import INFERENCE_SERVICE_STATUS, INFERENCE_SERVICES
from isvcwatch.kube.sinks.patch import status_patch

if TYPE_CHECKING:
    from isvcwatch.core.decide import Decision
    from isvcwatch.core.objects import InferenceService
    from isvcwatch.kube.api import Api
    from isvcwatch.kube.endings import Endings
    from isvcwatch.kube.sinks.events import EventsSink
    from isvcwatch.kube.store import Store

log = structlog.get_logger(__name__)

PACE: Final = 1.0
"""Seconds between two writes to one object: KServe has a single worker, and frequent writes to one object would keep it from the others."""
CONFLICT_REST: Final = (0.02, 0.2)
"""The shortest and longest rest in seconds after a conflict, which mostly means that KServe is writing the same object."""
AT_ONCE: Final = 3
"""Conflicts in a row after which an object is still tried again that soon; after more, the rests get longer and longer."""
FIGHT: Final = 8
REPEATED: Final = 5
"""Conflicts in a row, and repetitions of the same write, at which a warning is logged once that others write our conditions too."""
REMEMBERED: Final = 4096
"""Objects of which the latest write is remembered; the least recent is forgotten first."""
ASIDE: Final = 60.0
"""Seconds before an object is tried again after it has triggered a bug."""


class Planner(Protocol):
    """Decides what to write about a service. It is asked before each try, so that no outdated decision is carried out."""

    def plan(self, uid: str) -> tuple[InferenceService, Decision] | None:
        """The decision about a service as it now stands; None if there is nothing to do (any more)."""

    def is_urgent(self, uid: str) -> bool:
        """Whether the service's model has a verdict other than ready."""

    def feed(self, uid: str, happened: Told) -> None:
        """Take note that a decision has been carried out."""


class WriteCounter(Protocol):
    """Counts tries to write a status."""

    def status_write(self, result: str) -> None:
        """Count one try by its result: written, conflict, gone, forbidden, rejected, unavailable or crashed."""


class ConditionsSink:
    """Carries out the decisions about services.

    Args:
        api: writes the conditions.
        store: takes in the object as the API server returns it after a write.
        events: records the Event of a changed verdict.
        planner: decides what to write.
        metrics: counts the tries.
        endings: tells whether a namespace is being deleted, before one of its models is accused.
        budget: limits the writes over all services; each causes a reconcile by KServe's only worker, which does 25 to 45 a second.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        events: EventsSink,
        planner: Planner,
        metrics: WriteCounter,
        endings: Endings,
        budget: Budget | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._events = events
        self._planner = planner
        self._metrics = metrics
        self._endings = endings
        self._budget = budget or Budget()
        self._restlessness = Restlessness()
        self._outdated: set[str] = set()
        self._tries: dict[str, int] = {}
        self._complaints: dict[str, str] = {}
        self._set_aside: set[str] = set()
        self._said: OrderedDict[str, tuple[tuple[tuple[str, str, str], ...], int]] = OrderedDict()

    def place(self, uid: str) -> Place:
        """A service's place in the queue, in which bad news goes before good news."""
        isvc = self._store.get(SERVICES, uid)
        return Place(self._planner.is_urgent(uid), isvc.namespace if isvc else "")

    async def take_turn(self, uid: str) -> Turn:
        """Carry out the decision about a service. An unexpected exception is logged, so that the other services still get their turns."""
        try:
            return await self._take_turn(uid)
        except Exception as error:  # noqa: BLE001 -- see above
            self._put_aside(uid, error)
            return Turn(rest=ASIDE)

    def _put_aside(self, uid: str, error: Exception) -> None:
        """Let a service that triggered a bug rest for long, and log the bug once."""
        self._metrics.status_write("crashed")
        if uid not in self._set_aside:
            self._set_aside.add(uid)
            log.error("service_set_aside", uid=uid, exc_info=error)

    async def _take_turn(self, uid: str) -> Turn:
        """Carry out the decision about a service; may raise."""
        planned = self._planner.plan(uid)
        if planned is None:
            return self._nothing_to_do(uid)
        isvc, decision = planned
        try:
            if decision.writes:
                await self._budget.take()
                if (planned := await self._plan_anew(uid)) is None:
                    return self._nothing_to_do(uid)
                isvc, decision = planned
            after = await self._write(isvc, decision) if decision.writes else None
        except errors.ConflictError:
            return self._after_conflict(isvc)
        except errors.GoneError:
            self._metrics.status_write("gone")
            self._store.drop(SERVICES, uid)
            return self._nothing_to_do(uid)
        except errors.KubeError as error:
            return self._retry(isvc, error)
        self._forget_trouble(uid)
        self._planner.feed(uid, Told(decision))
        if after is not None:
            self._store.put(SERVICES, after)
        if decision.notice:
            self._events.record(isvc, decision.notice)
        return Turn(rest=self._rest_after(isvc, decision), wrote=True) if decision.writes else Turn()

    def _nothing_to_do(self, uid: str) -> Turn:
        """End a service's turns until it asks for one again."""
        self._forget_trouble(uid)
        return Turn()

    def _forget_trouble(self, uid: str) -> None:
        """Forget a service's failures, since a write has succeeded, or there is nothing to write (any more)."""
        self._outdated.discard(uid)
        self._tries.pop(uid, None)
        self._complaints.pop(uid, None)
        self._set_aside.discard(uid)

    def _try_again(self, uid: str) -> int:
        """Count one more failed try in a row, and return how many there are."""
        tries = self._tries[uid] = self._tries.get(uid, 0) + 1
        return tries

    def _rest_after(self, isvc: InferenceService, decision: Decision) -> float:
        """Seconds that an object rests after a write: longer each time that it is written within minutes, whoever makes that necessary."""
        self._look_for_fight(isvc, decision)
        return PACE + self._restlessness.written(isvc.uid, asyncio.get_running_loop().time())

    def _look_for_fight(self, isvc: InferenceService, decision: Decision) -> None:
        """Say once that others undo our writes, where the same one is repeated."""
        said = tuple((c.type, c.status, c.reason) for c in decision.conditions)
        before, times = self._said.pop(isvc.uid, ((), 0))
        times = times + 1 if said == before else 0
        self._said[isvc.uid] = said, times
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        if times == REPEATED:
            self._say_fight(isvc)

    @staticmethod
    def _say_fight(isvc: InferenceService) -> None:
        so = "our writes are put off longer and longer; is another isvcwatch running?"
        log.warning("written_by_others_too", namespace=isvc.namespace, name=isvc.name, so=so)

    async def _write(self, isvc: InferenceService, decision: Decision) -> dict[str, Any]:
        """Write the conditions, and return the object as it is afterwards."""
        patch = status_patch(isvc, decision.conditions, decision.removed)
        after = await self._api.json_patch(INFERENCE_SERVICE_STATUS, isvc.namespace, isvc.name, patch)
        self._metrics.status_write("written")
        return after

    async def _plan_anew(self, uid: str) -> tuple[InferenceService, Decision] | None:
        """What is to be written now that the budget allows it. The object is read before it is called False, and after a conflict.

        Its namespace is read too before it is called False.
        """
        planned = self._planner.plan(uid)
        if planned is not None and (uid in self._outdated or _accuses(planned[1])):
            await self._read(planned[0])
            planned = self._planner.plan(uid)
        if planned is not None and _accuses(planned[1]) and await self._endings.look(planned[0].namespace):
            return None
        return planned

    async def _read(self, isvc: InferenceService) -> None:
        """Read an object that may have been changed or stopped without the watch having told of it yet, before it is decided about.

        Raises:
            KubeError: it could not be read; a `GoneError` if there is none of that UID any more.
        """
        try:
            raw = await self._api.get(INFERENCE_SERVICES, isvc.namespace, isvc.name)
        except errors.ForbiddenError:  # without the right to read, only the patch guards against a change
            return
        self._store.put(SERVICES, raw)
        if raw.get("metadata", {}).get("uid") != isvc.uid:
            raise errors.GoneError(f"{isvc.namespace}/{isvc.name} was made anew")
        self._outdated.discard(isvc.uid)

    def _after_conflict(self, isvc: InferenceService) -> Turn:
        """Have an object read again before it is written, since it has changed since it was read."""
        self._metrics.status_write("conflict")
        self._outdated.add(isvc.uid)
        tries = self._try_again(isvc.uid)
        rest = random.uniform(*CONFLICT_REST)  # noqa: S311 -- jitter
        if tries == FIGHT:
            self._say_fight(isvc)
        return Turn(again=True, rest=rest if tries <= AT_ONCE else max(rest, pause(tries - AT_ONCE)))

    def _retry(self, isvc: InferenceService, error: errors.KubeError) -> Turn:
        """Decide when to try again after an error, and log the error unless it is the same as the service's last one."""
        result = {errors.ForbiddenError: "forbidden", errors.RejectedError: "rejected"}.get(type(error), "unavailable")
        self._metrics.status_write(result)
        if self._complaints.get(isvc.uid) != str(error):
            self._complaints[isvc.uid] = str(error)
            log.error("status_not_written", namespace=isvc.namespace, name=isvc.name, why=str(error), result=result)
        tries = self._try_again(isvc.uid)
        return Turn(again=True, rest=pause(tries, error.retry_after))


def _accuses(decision: Decision) -> bool:
    return any(c.type == ConditionType.MODEL_READY and c.status == Status.FALSE for c in decision.conditions)
