"""Prometheus metrics. The series of each service are made from its state at each scrape, so that no series outlives its object."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from isvcwatch.core.edges import Failed, Turned
from isvcwatch.telemetry.tally import Counts, Durations
from isvcwatch.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from isvcwatch.core.edges import Edge
    from isvcwatch.telemetry.vitals import Level

SLICE: Final = 500
"""Models whose series are made before the event loop has its next turn: some 5 ms."""

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

LOOKS: Final = ("recognised", "declared", "unknown")


@dataclass(frozen=True, slots=True)
class ModelSample:
    """The verdict on one service's model.

    Attributes:
        namespace: the object's namespace.
        name: the object's name.
        status: "True", "False" or "Unknown".
        reason: the verdict's reason.
        rounds: how many rounds have ended since the first that failed.
        failed: how many of these did not find the model ready.
    """

    namespace: str
    name: str
    status: str
    reason: str
    rounds: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class EngineNumbers:
    """What the engine knows about itself at this moment.

    Attributes:
        in_flight: rounds under way.
        waiting: rounds that are due and wait for a place.
        connections: connections that are open.
        opened: connections opened so far.
        reused: requests sent on a connection that was open already.
        stalls: how often the loop was late.
        stalled: the seconds of the loop's lateness in all.
        collections: full garbage collections so far.
        collecting: seconds that they took in all.
        impaired: whether the watcher doubts its own network and holds verdicts back.
        cut: the namespaces whose models are Unknown since nobody there answers, each with the reason.
        oldest: seconds since the oldest round under way has started.
    """

    in_flight: int = 0
    waiting: int = 0
    connections: int = 0
    opened: int = 0
    reused: int = 0
    stalls: int = 0
    stalled: float = 0.0
    collections: int = 0
    collecting: float = 0.0
    impaired: bool = False
    cut: tuple[tuple[str, str], ...] = ()
    oldest: float = 0.0


class _Families(Collector):
    """Holds families of series, to be rendered by themselves."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families of series."""
        return self._families


class _Fleet:
    """Makes the series of the services at each scrape, in portions, since there are thousands."""

    def __init__(self, models: Callable[[], Iterable[ModelSample]], counts: Callable[[], Mapping[str, int]]) -> None:
        self._models = models
        self._counts = counts

    def portions(self) -> Iterator[bytes]:
        """The text of all series. All are of the same moment's services, though not all verdicts are of the same moment."""
        models: list[ModelSample] = []
        source = iter(self._models())
        while portion := list(islice(source, SLICE)):
            models += portion
            yield b""
        yield from _in_slices(_ready, models)
        yield from _in_slices(_unknown, models)
        yield generate_latest(_Families(self._targets()))
        yield from _in_slices(_rounds, models)
        yield from _in_slices(_failed, models)

    def _targets(self) -> Metric:
        targets = GaugeMetricFamily("isvcwatch_targets", "InferenceServices by what is done about them", labels=("state",))
        counts = self._counts()
        for state in ("probed", "skipped", "misconfigured"):
            targets.add_metric((state,), counts.get(state, 0))
        return targets


def _in_slices(family_of: Callable[[Sequence[ModelSample]], Metric], models: Sequence[ModelSample]) -> Iterator[bytes]:
    """The text of a family of all models' series, a slice of the models at a time."""
    yield generate_latest(_Families(family_of(())))
    for start in range(0, len(models), SLICE):
        _help, _type, lines = generate_latest(_Families(family_of(models[start : start + SLICE]))).split(b"\n", 2)
        yield lines


def _ready(models: Sequence[ModelSample]) -> Metric:
    family = GaugeMetricFamily(
        "isvcwatch_model_ready",
        "1 where the model answers that it is ready, 0 where it does not; absent while unknown",
        labels=("namespace", "name", "reason"),
    )
    for model in models:
        if model.status != "Unknown":
            family.add_metric((model.namespace, model.name, model.reason), float(model.status == "True"))
    return family


def _unknown(models: Sequence[ModelSample]) -> Metric:
    labels = ("namespace", "name", "reason")
    family = GaugeMetricFamily("isvcwatch_model_unknown", "1 where it can't be told whether the model is ready", labels=labels)
    for model in models:
        if model.status == "Unknown":
            family.add_metric((model.namespace, model.name, model.reason), 1.0)
    return family


def _counted(name: str, words: str, count: Callable[[ModelSample], int]) -> Callable[[Sequence[ModelSample]], Metric]:
    """Makes a family of counters, of the models of which a round has failed."""

    def family_of(models: Sequence[ModelSample]) -> Metric:
        family = CounterMetricFamily(name, words, labels=("namespace", "name"))
        for model in models:
            if model.failed:
                family.add_metric((model.namespace, model.name), count(model))
        return family

    return family_of


_rounds: Final = _counted("isvcwatch_model_rounds", "Rounds of each model since its first that failed", lambda model: model.rounds)
_failed: Final = _counted("isvcwatch_model_rounds_failed", "Rounds of these that did not find the model ready", lambda model: model.failed)


class _Engine(Collector):
    """Makes the series of the probing itself at each scrape."""

    def __init__(self, numbers: Callable[[], EngineNumbers]) -> None:
        self._numbers = numbers
        self.probes = Counts("isvcwatch_probes", "Requests to model servers by outcome", "outcome")
        self.seconds = Durations("isvcwatch_probe_duration_seconds", "Time that a request to a model server took", SECONDS)
        self.lateness = Durations("isvcwatch_probe_start_lateness_seconds", "Time from when a round was due to its start", SECONDS)
        self.discarded = Counts(
            "isvcwatch_rounds_discarded", "Rounds that were not judged, by why", "cause", ("late", "exhausted", "outdated")
        )

        self.looks = Counts("isvcwatch_discoveries", "Closer looks at servers, by what they turned out to be", "result", LOOKS)
        self.inquiries = 0

    def inquired(self) -> None:
        """Count a request of a closer look."""
        self.inquiries += 1

    def collect(self) -> Iterator[Metric]:
        """The families of series."""
        yield from (self.probes.family(), self.seconds.family(), self.lateness.family(), self.discarded.family(), self.looks.family())
        yield CounterMetricFamily(
            "isvcwatch_discovery_requests",
            "Requests of closer looks, and those that ask whether a server says yes to anything",
            self.inquiries,
        )
        numbers = self._numbers()
        yield GaugeMetricFamily("isvcwatch_rounds_in_flight", "Rounds under way", numbers.in_flight)
        yield GaugeMetricFamily("isvcwatch_rounds_waiting", "Rounds that are due and wait for a place", numbers.waiting)
        yield GaugeMetricFamily("isvcwatch_connections_open", "Connections to model servers", numbers.connections)
        yield CounterMetricFamily("isvcwatch_connections_opened", "Connections opened", numbers.opened)
        yield CounterMetricFamily("isvcwatch_connections_reused", "Requests on a connection that was open already", numbers.reused)
        yield CounterMetricFamily("isvcwatch_stalls", "Times that the event loop was late", numbers.stalls)
        yield CounterMetricFamily("isvcwatch_stalled_seconds", "Seconds by which it was", numbers.stalled)
        yield CounterMetricFamily("isvcwatch_garbage_collections", "Collections of garbage made at quiet moments", numbers.collections)
        yield CounterMetricFamily("isvcwatch_garbage_collection_seconds", "Seconds that they took", numbers.collecting)
        yield GaugeMetricFamily("isvcwatch_oldest_round_seconds", "Seconds since the oldest round under way has started", numbers.oldest)
        yield GaugeMetricFamily(
            "isvcwatch_watcher_impaired",
            "1 while most models, or the API server or the DNS, have fallen silent, and none is accused of that",
            numbers.impaired,
        )
        cut = GaugeMetricFamily(
            "isvcwatch_namespace_unreached",
            "1 for each namespace whose models are Unknown since nobody there answers the watcher",
            labels=("namespace", "reason"),
        )
        for namespace, reason in numbers.cut:
            cut.add_metric((namespace, reason), 1.0)
        yield cut


class Metrics:
    """All of the operator's metrics, in their own registry.

    Args:
        models: returns the verdict on each service's model; services may come and go while it is iterated over.
        counts: returns how many services are probed, skipped and misconfigured.
        numbers: returns what the engine knows about itself.
    """

    def __init__(
        self,
        models: Callable[[], Iterable[ModelSample]],
        counts: Callable[[], Mapping[str, int]],
        numbers: Callable[[], EngineNumbers] = EngineNumbers,
    ) -> None:
        self._registry = CollectorRegistry()
        self._fleet = _Fleet(models, counts)
        engine = _Engine(numbers)
        self._registry.register(engine)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._probes, self._seconds = engine.probes, engine.seconds
        self.started = engine.lateness.add
        """Counts a round that has started so many seconds after it was due."""
        self.discarded = engine.discarded.add
        """Counts a round that was not judged, by its cause: late, exhausted or outdated."""
        self.looked = engine.looks.add
        """Counts a closer look by its result: recognised, unknown, or declared if the container's own readiness route is used."""
        self.inquired = engine.inquired
        """Counts a request of a closer look."""
        self._writes = Counter("isvcwatch_status_writes", "Tries to write a status by result", ("result",), registry=self._registry)
        self._events = Counter("isvcwatch_events", "Events by reason and result", ("reason", "result"), registry=self._registry)
        self._turns = Counter(
            "isvcwatch_transitions", "Verdicts that have changed, by what they became", ("condition", "status"), registry=self._registry
        )
        self._failed = Counter("isvcwatch_object_failures", "Bugs that one object brought out; the log says which", registry=self._registry)
        self._watch_restarts = Counter(
            "isvcwatch_watch_restarts", "Watches of the API server that ended and began anew", registry=self._registry
        )
        self._resyncs = Counter("isvcwatch_resyncs", "Complete lists of what is watched", registry=self._registry)
        self._missed = Counter("isvcwatch_missed_changes", "Changes found by a list that no watch had told of", registry=self._registry)
        Info("isvcwatch_build", "The version that runs", registry=self._registry).info({"version": __version__})

    def watch_health(self, level: Callable[[], Level]) -> None:
        """Add a gauge of the process's health, which is read at each scrape."""
        gauge = Gauge(
            "isvcwatch_operator_health_status",
            "How well the operator is: 0 well, 1 something stands in its way, 2 not live; /livez?verbose says why",
            registry=self._registry,
        )
        gauge.set_function(lambda: float(level()))

    def edge(self, edge: Edge) -> None:
        """Count an edge: a verdict that has changed, or an unexpected exception at one service."""
        match edge:
            case Turned(condition=condition, after=after):
                self._turns.labels(condition, after.status).inc()
            case Failed():
                self._failed.inc()

    def watch_restarted(self) -> None:
        """Count one restart of the watch."""
        self._watch_restarts.inc()

    def resync(self, missed: int) -> None:
        """Count a complete list, and the number of changes in it that the watch had missed."""
        self._resyncs.inc()
        self._missed.inc(missed)

    def probe(self, outcome: str, seconds: float) -> None:
        """Count a request to a model server that has ended."""
        self._probes.add(outcome)
        self._seconds.add(seconds)

    def status_write(self, result: str) -> None:
        """Count a try to write a status by its result."""
        self._writes.labels(result).inc()

    def event(self, reason: str, result: str) -> None:
        """Count an Event by its result: created, repeated or lost."""
        self._events.labels(reason, result).inc()

    def portions(self) -> Iterator[bytes]:
        """All metrics in Prometheus' text format, a portion at a time; each takes the event loop only some milliseconds to make."""
        yield from self._fleet.portions()
        yield generate_latest(self._registry)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return b"".join(self.portions())
