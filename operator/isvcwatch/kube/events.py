"""Records Events on InferenceServices by `events.k8s.io/v1`: one object for what repeats, its count kept by patch."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from isvcwatch.core.conditions import Status, one_line
from isvcwatch.kube import errors
from isvcwatch.kube.backoff import pause
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

SERIES_WINDOW: Final = timedelta(minutes=30)
"""How long an Event goes on as a series: within the hour after which API servers drop Events, as client-go's recorder does."""
REMEMBERED: Final = 4096
"""Events that may go on as a series; the least recent is forgotten first, as in client-go's recorder."""
WAITING: Final = 10_000
"""Events that may wait for an API server."""

TRIES: Final = 8
"""Over some minute; an Event is news, and soon isn't."""


class Metrics(Protocol):
    """Who counts."""

    def event(self, reason: str, result: str) -> None:
        """An Event was created, repeated or lost."""


@dataclass(frozen=True, slots=True)
class _Series:
    name: str
    count: int
    latest: datetime


class EventRecorder:
    """Records notices in the order they come, and does not hold up who asks."""

    def __init__(self, api: Api, metrics: Metrics, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._api = api
        self._metrics = metrics
        self._clock = clock
        self._queue: asyncio.Queue[tuple[InferenceService, Notice]] = asyncio.Queue(WAITING)
        self._series: OrderedDict[tuple[str, ...], _Series] = OrderedDict()
        self._instance = socket.gethostname()[:128]

    def record(self, isvc: InferenceService, notice: Notice) -> None:
        """Record an Event soon; where too many wait already, it is lost, and counted."""
        try:
            self._queue.put_nowait((isvc, notice))
        except asyncio.QueueFull:
            self._metrics.event(notice.reason, "lost")

    async def run(self) -> None:
        """Record until cancelled."""
        while True:
            await self._record(*await self._queue.get())

    async def _record(self, isvc: InferenceService, notice: Notice) -> None:
        name = _event_name(isvc)
        for attempt in range(1, TRIES + 1):
            try:
                return await self._post(isvc, notice, name)
            except errors.UnavailableError as error:
                if attempt < TRIES:
                    await asyncio.sleep(pause(attempt, error.retry_after))
            except errors.KubeError as error:
                log.error("event_not_recorded", namespace=isvc.namespace, name=isvc.name, reason=notice.reason, why=str(error))  # noqa: TRY400
                break
        self._metrics.event(notice.reason, "lost")
        return None

    async def _post(self, isvc: InferenceService, notice: Notice, name: str) -> None:
        """Post it; the name is the same for each try, so that one which arrived although nobody heard is not said twice."""
        now = self._clock()
        key = (isvc.uid, notice.reason, notice.cause)
        series = self._series.get(key)
        if series and now - series.latest < SERIES_WINDOW and await self._repeat(isvc, series, now):
            self._metrics.event(notice.reason, "repeated")
            series = replace(series, count=series.count + 1, latest=now)
        else:
            series = _Series(name, 1, now)
            with contextlib.suppress(errors.ConflictError):
                await self._api.create(EVENTS, isvc.namespace, self._event(isvc, notice, series))
            self._metrics.event(notice.reason, "created")
        self._series[key] = series
        self._series.move_to_end(key)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)

    async def _repeat(self, isvc: InferenceService, series: _Series, now: datetime) -> bool:
        """Count one more of the same; False where the Event is no longer there."""
        body = {"series": {"count": series.count + 1, "lastObservedTime": _micro_time(now)}}
        try:
            await self._api.merge_patch(EVENTS, isvc.namespace, series.name, body)
        except errors.GoneError:
            return False
        return True

    def _event(self, isvc: InferenceService, notice: Notice, series: _Series) -> dict[str, Any]:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": isvc.namespace},
            "type": "Normal" if notice.status is Status.TRUE else "Warning",
            "reason": str(notice.reason),
            "action": ACTION,
            "note": one_line(f"{notice.cause}: {notice.message}", NOTE_LIMIT),
            "eventTime": _micro_time(series.latest),
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


def _event_name(isvc: InferenceService) -> str:
    return f"{isvc.name[:200]}.{uuid.uuid4().hex[:16]}"


def _micro_time(moment: datetime) -> str:
    """Kubernetes' MicroTime: RFC 3339 with six digits of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
