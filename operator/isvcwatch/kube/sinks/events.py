"""Records Events by the core API: one for each turn of a verdict or of the watcher's own doubt, however often it is told.

`kubectl describe` sorts by `lastTimestamp` alone, and shows an Event without one before all others. `events.k8s.io/v1` refuses that field
in new Events (kubernetes, pkg/apis/core/validation/events.go); the core API takes it together with the newer fields, and serves the same
objects.
"""

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

from isvcwatch.core.conditions import ConditionType, Status, one_line, timestamp
from isvcwatch.core.reasons import EventReason
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
"""Bytes; the API takes 1 KiB."""

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


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an Event is about, by the fields of Kubernetes' ObjectReference."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str = ""

    def reference(self) -> dict[str, str]:
        """The reference as the API takes it; an unknown resourceVersion is left out."""
        fields = {"apiVersion": self.api_version, "kind": self.kind, "namespace": self.namespace, "name": self.name, "uid": self.uid}
        return fields | ({"resourceVersion": self.resource_version} if self.resource_version else {})


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
        self,
        api: Api,
        metrics: EventCounter,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        budget: Budget | None = None,
        ends: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._metrics = metrics
        self._clock = clock
        self._budget = budget or Budget()
        self._ends = ends
        self._lanes: dict[str, deque[dict[str, Any]]] = {}
        self._waiting = 0
        self._new = asyncio.Event()
        self._calls = asyncio.Semaphore(CALLS)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._refused: set[tuple[str, str]] = set()
        self._instance = socket.gethostname()[:128]

    @property
    def idle(self) -> bool:
        """Whether no Event waits to be recorded or is being recorded."""
        return not self._lanes

    def record(self, isvc: InferenceService, notice: Notice) -> None:
        """Record an Event about a service soon. It is lost, and counted as such, if too many wait or the service has had too many."""
        about = Regarding("serving.kserve.io/v1beta1", "InferenceService", isvc.namespace, isvc.name, isvc.uid, isvc.resource_version)
        of_replicas = notice.reason in {EventReason.SOME_REPLICAS_FAIL, EventReason.ALL_REPLICAS_SERVE}
        turn = f"{ConditionType.MODEL_READY}|{notice.reason if of_replicas else notice.status}|{notice.since}"
        warning = notice.status is not Status.TRUE or notice.reason is EventReason.SOME_REPLICAS_FAIL
        self._put(about, notice.reason, f"{notice.cause}: {notice.message}", turn, warning=warning)

    def tell(self, about: Regarding, reason: EventReason, note: str, *, warning: bool) -> None:
        """Record an Event about another object soon, under the same limits."""
        self._put(about, reason, note, f"{reason}|{self._clock().isoformat()}", warning=warning)

    def _put(self, about: Regarding, reason: str, note: str, turn: str, *, warning: bool) -> None:
        if not self._allowed(about.uid) or not self._has_room(about.namespace):
            self._metrics.event(reason, "lost")
            return
        self._waiting += 1
        self._lanes.setdefault(about.namespace, deque()).append(self._event(about, reason, note, turn, warning=warning))
        self._new.set()

    def _has_room(self, namespace: str) -> bool:
        """Whether one more Event may wait. If all places are taken, the latest of the namespace with most makes room for one with fewer.

        So a namespace whose Events are refused for long takes no other's places.
        """
        if self._waiting < WAITING:
            return True
        longest = max(self._lanes.values(), key=len)
        if len(longest) <= len(self._lanes.get(namespace, ())) + 1:
            return False
        self._metrics.event(longest.pop()["reason"], "lost")
        self._waiting -= 1
        return True

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
            event = lane[0]
            try:
                await self._record(event)
            except Exception:  # a bug that one Event brings out must not cost the others theirs
                log.exception("event_not_recorded", **_said(event))
            lane.popleft()
            self._waiting -= 1
        del self._lanes[namespace]

    async def _record(self, event: dict[str, Any]) -> None:
        reason = event["reason"]
        for attempt in range(1, TRIES + 1):
            try:
                await self._budget.take()
                async with self._calls:
                    await self._api.create(EVENTS, event["metadata"]["namespace"], event)
            except errors.ConflictError:
                self._metrics.event(reason, "repeated")
                return
            except errors.EndingError as error:
                log.info("event_not_recorded", why=str(error), **_said(event))
                self._ends(event["metadata"]["namespace"])
                break
            except (errors.UnavailableError, errors.ForbiddenError) as error:
                self._say_refused(error, event)
                if attempt < TRIES:  # without a place among the calls, which others need meanwhile
                    await asyncio.sleep(pause(attempt, error.retry_after))
            except errors.KubeError as error:
                log.error("event_not_recorded", why=str(error), **_said(event))  # noqa: TRY400
                break
            else:
                self._metrics.event(reason, "created")
                self._refused = {refused for refused in self._refused if refused[0] != event["metadata"]["namespace"]}
                return
        self._metrics.event(reason, "lost")

    def _say_refused(self, error: errors.KubeError, event: dict[str, Any]) -> None:
        """Log a refusal once for its namespace and the Event's reason, until that namespace takes an Event again."""
        refused = (event["metadata"]["namespace"], event["reason"])
        if not isinstance(error, errors.ForbiddenError) or refused in self._refused:
            return
        if len(self._refused) >= REMEMBERED:
            self._refused.clear()
        self._refused.add(refused)
        log.error("event_refused", why=str(error), so="tried again for about a minute, then lost", **_said(event))

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

    def _event(self, about: Regarding, reason: str, note: str, turn: str, *, warning: bool) -> dict[str, Any]:
        now = self._clock()
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": _event_name(about, turn), "namespace": about.namespace},
            "type": "Warning" if warning else "Normal",
            "reason": str(reason),
            "action": ACTION,
            "message": _note(note),
            "eventTime": _micro_time(now),
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
            "reportingComponent": CONTROLLER,
            "reportingInstance": self._instance,
            "involvedObject": about.reference(),
        }


def _said(event: dict[str, Any]) -> dict[str, str]:
    """What the log says of an Event."""
    return {"namespace": event["metadata"]["namespace"], "name": event["involvedObject"]["name"], "reason": event["reason"]}


def _note(text: str) -> str:
    """The text on one line, as long as the API takes it, which counts bytes and not characters."""
    clean = one_line(text, NOTE_LIMIT)
    encoded = clean.encode()
    return clean if len(encoded) <= NOTE_LIMIT else encoded[: NOTE_LIMIT - len("…".encode())].decode(errors="ignore") + "…"


def _event_name(about: Regarding, turn: str) -> str:
    return f"{about.name[:200]}.{hashlib.sha256(f'{about.uid}|{turn}'.encode()).hexdigest()[:16]}"


def _micro_time(moment: datetime) -> str:
    """The moment as Kubernetes' MicroTime: RFC 3339 with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
