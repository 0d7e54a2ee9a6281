"""Records Events on InferenceServices by `events.k8s.io/v1`: one for each change of a verdict, even if it is tried more than once."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import socket
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from isvcwatch.core.conditions import ConditionType, Status, one_line
from isvcwatch.kube import errors
from isvcwatch.kube.backoff import pause
from isvcwatch.kube.budget import Budget
from isvcwatch.kube.flushing import all_out
from isvcwatch.kube.resources import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.core.decide import Notice
    from isvcwatch.core.objects import InferenceService
    from isvcwatch.kube.api import Api

log = structlog.get_logger(__name__)

CONTROLLER: Final = "isvcwatch.dev/isvcwatch"
ACTION: Final = "Probe"
NOTE_LIMIT: Final = 1000
"""Characters; the API takes 1 KiB."""

BURST: Final = 25
"""Events that one object may have at once, as in client-go's recorder."""

REFILL: Final = 300.0
"""Seconds until an object may have one more Event, as in client-go's recorder."""

REMEMBERED: Final = 4096
"""Objects whose Events are counted; the least recent is forgotten first."""

WAITING: Final = 10_000
"""Events that may wait for the API server at most; further ones are lost."""

CALLS: Final = 8
"""Events that are being created at once, over all namespaces."""

TRIES: Final = 8
"""Tries to create an Event, which take about a minute; an older Event is no longer news."""


class EventCounter(Protocol):
    """Counts Events."""

    def event(self, reason: str, result: str) -> None:
        """Count an Event by its result: it was created, existed already, or was lost."""


@dataclass(slots=True)
class _Bucket:
    """How many Events one object may still have.

    Attributes:
        left: the number of Events.
        filled: the time in seconds at which `left` was calculated.
    """

    left: float
    filled: float


class EventsSink:
    """Records notices in the background: those of one namespace in order, and different namespaces independently of each other.

    An Event's name is made from the object and the change of its verdict, so that another try or the next process creates no second one.
    """

    def __init__(
        self, api: Api, metrics: EventCounter, clock: Callable[[], datetime] = lambda: datetime.now(UTC), budget: Budget | None = None
    ) -> None:
        self._api = api
        self._metrics = metrics
        self._clock = clock
        self._budget = budget or Budget()
        self._lanes: dict[str, deque[tuple[InferenceService, Notice]]] = {}
        self._waiting = 0
        self._new = asyncio.Event()
        self._calls = asyncio.Semaphore(CALLS)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._instance = socket.gethostname()[:128]

    @property
    def idle(self) -> bool:
        """Whether no Event waits to be recorded or is being recorded."""
        return not self._lanes

    def record(self, isvc: InferenceService, notice: Notice) -> None:
        """Record an Event soon. If too many wait already, or the object has had too many, the Event is lost, which is counted."""
        if self._waiting >= WAITING or not self._allowed(isvc.uid):
            self._metrics.event(notice.reason, "lost")
            return
        self._waiting += 1
        self._lanes.setdefault(isvc.namespace, deque()).append((isvc, notice))
        self._new.set()

    async def run(self) -> None:
        """Record Events until cancelled."""
        served: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._new.wait()
                self._new.clear()
                for namespace in self._lanes.keys() - served:
                    served.add(namespace)
                    group.create_task(self._serve(namespace)).add_done_callback(functools.partial(self._served, served, namespace))

    async def flush(self, seconds: float) -> bool:
        """Wait until all Events have gone out, before the process ends; False if that takes more than `seconds`."""
        return await all_out(lambda: self.idle, seconds)

    def _served(self, served: set[str], namespace: str, _: asyncio.Task[None]) -> None:
        served.discard(namespace)
        if namespace in self._lanes:
            self._new.set()

    async def _serve(self, namespace: str) -> None:
        """Record the Events that wait in one namespace."""
        lane = self._lanes[namespace]
        while lane:
            isvc, notice = lane[0]
            try:
                await self._record(isvc, notice)
            except Exception:  # a bug that one Event triggers must not stop the others
                log.exception("event_not_recorded", namespace=isvc.namespace, name=isvc.name, reason=notice.reason)
            lane.popleft()
            self._waiting -= 1
        del self._lanes[namespace]

    async def _record(self, isvc: InferenceService, notice: Notice) -> None:
        body = self._event(isvc, notice)
        for attempt in range(1, TRIES + 1):
            try:
                await self._budget.take()
                async with self._calls:
                    await self._api.create(EVENTS, isvc.namespace, body)
            except errors.ConflictError:
                self._metrics.event(notice.reason, "repeated")
                return
            except errors.UnavailableError as error:
                if attempt < TRIES:
                    await asyncio.sleep(pause(attempt, error.retry_after))
            except errors.KubeError as error:
                log.error("event_not_recorded", namespace=isvc.namespace, name=isvc.name, reason=notice.reason, why=str(error))  # noqa: TRY400
                break
            else:
                self._metrics.event(notice.reason, "created")
                return
        self._metrics.event(notice.reason, "lost")

    def _allowed(self, uid: str) -> bool:
        """Whether the object may have one more Event."""
        now = self._clock().timestamp()
        bucket = self._buckets.setdefault(uid, _Bucket(BURST, now))
        self._buckets.move_to_end(uid)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.left = min(float(BURST), bucket.left + (now - bucket.filled) / REFILL)
        bucket.filled = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True

    def _event(self, isvc: InferenceService, notice: Notice) -> dict[str, Any]:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": _event_name(isvc, notice), "namespace": isvc.namespace},
            "type": "Normal" if notice.status is Status.TRUE else "Warning",
            "reason": str(notice.reason),
            "action": ACTION,
            "note": one_line(f"{notice.cause}: {notice.message}", NOTE_LIMIT),
            "eventTime": _micro_time(self._clock()),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "namespace": isvc.namespace,
                "name": isvc.name,
                "uid": isvc.uid,
                "resourceVersion": isvc.resource_version,
            },
        }


def _event_name(isvc: InferenceService, notice: Notice) -> str:
    turn = f"{isvc.uid}|{ConditionType.MODEL_READY}|{notice.status}|{notice.since}"
    return f"{isvc.name[:200]}.{hashlib.sha256(turn.encode()).hexdigest()[:16]}"


def _micro_time(moment: datetime) -> str:
    """The moment as Kubernetes' MicroTime: RFC 3339 with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
