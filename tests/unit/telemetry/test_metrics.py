"""Series as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from isvcwatch.telemetry.metrics import SLICE, EngineNumbers, Metrics, ModelSample
from isvcwatch.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fleet:
    def __init__(self, *models: ModelSample, numbers: EngineNumbers | None = None, **counts: int) -> None:
        self.models = list(models)
        self.counts: Mapping[str, int] = counts
        self.metrics = Metrics(lambda: self.models, lambda: self.counts, lambda: numbers or EngineNumbers())

    def samples(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """Every series by its name and the values of its labels, in the labels' order."""
        families = text_string_to_metric_families(self.metrics.exposition().decode())
        return {(s.name, tuple(s.labels[label] for label in sorted(s.labels))): s.value for family in families for s in family.samples}


READY = ModelSample("models", "iris", "True", "ModelReady")
UNREADY = ModelSample("models", "wine", "False", "ModelNotReady")
UNKNOWN = ModelSample("models", "cats", "Unknown", "Unauthorized")


def test_each_model_is_ready_or_not_or_unknown() -> None:
    samples = Fleet(READY, UNREADY, UNKNOWN).samples()
    assert samples["isvcwatch_model_ready", ("iris", "models", "ModelReady")] == 1
    assert samples["isvcwatch_model_ready", ("wine", "models", "ModelNotReady")] == 0
    assert samples["isvcwatch_model_unknown", ("cats", "models", "Unauthorized")] == 1
    assert ("isvcwatch_model_ready", ("cats", "models", "Unauthorized")) not in samples


def test_the_portions_of_many_models_make_one_text_in_which_each_family_is_said_once() -> None:
    statuses = ("True", "False", "Unknown")
    models = [ModelSample("models", f"m{number}", statuses[number % 3], "Reason", 5, number % 2) for number in range(2 * SLICE + 1)]
    fleet = Fleet(*models)
    assert max(portion.count(b"\n") for portion in fleet.metrics._fleet.portions()) <= SLICE
    samples = fleet.samples()
    assert sum(name in {"isvcwatch_model_ready", "isvcwatch_model_unknown"} for name, _ in samples) == len(models)
    assert sum(name == "isvcwatch_model_rounds_failed_total" for name, _ in samples) == SLICE
    lines = fleet.metrics.exposition().decode().splitlines()
    headers = [line for line in lines if line.startswith("# TYPE")]
    assert len(headers) == len(set(headers))


def test_a_series_goes_with_its_object() -> None:
    fleet = Fleet(READY, UNREADY)
    assert any("wine" in labels for _, labels in fleet.samples())
    fleet.models.remove(UNREADY)
    assert not any("wine" in labels for _, labels in fleet.samples())


def test_a_series_goes_with_its_reason() -> None:
    fleet = Fleet(UNREADY)
    fleet.samples()
    fleet.models[:] = [ModelSample("models", "wine", "True", "ModelReady")]
    assert [labels for name, labels in fleet.samples() if name == "isvcwatch_model_ready"] == [("wine", "models", "ModelReady")]


def test_targets_are_counted_also_where_there_are_none() -> None:
    samples = Fleet(probed=3, misconfigured=1).samples()
    assert [samples["isvcwatch_targets", (state,)] for state in ("probed", "skipped", "misconfigured")] == [3, 0, 1]


def test_requests_writes_and_events_are_counted() -> None:
    fleet = Fleet()
    fleet.metrics.probe("ModelReady", 0.003)
    fleet.metrics.probe("TimedOut", 2.0)
    fleet.metrics.status_write("written")
    fleet.metrics.event("ModelUnready", "created")
    samples = fleet.samples()
    assert samples["isvcwatch_probes_total", ("ModelReady",)] == 1
    assert samples["isvcwatch_probes_total", ("TimedOut",)] == 1
    assert samples["isvcwatch_probe_duration_seconds_bucket", ("0.005",)] == 1
    assert samples["isvcwatch_probe_duration_seconds_count", ()] == 2
    assert samples["isvcwatch_status_writes_total", ("written",)] == 1
    assert samples["isvcwatch_events_total", ("ModelUnready", "created")] == 1


def test_what_the_engine_knows_of_itself_is_told() -> None:
    numbers = EngineNumbers(
        in_flight=3, waiting=1, connections=7, opened=9, reused=100, stalls=2, stalled=1.5, collections=4, collecting=0.5
    )
    samples = Fleet(numbers=numbers).samples()
    assert samples["isvcwatch_rounds_in_flight", ()] == 3
    assert samples["isvcwatch_rounds_waiting", ()] == 1
    assert samples["isvcwatch_connections_open", ()] == 7
    assert samples["isvcwatch_connections_opened_total", ()] == 9
    assert samples["isvcwatch_connections_reused_total", ()] == 100
    assert (samples["isvcwatch_stalls_total", ()], samples["isvcwatch_stalled_seconds_total", ()]) == (2, 1.5)
    assert samples["isvcwatch_garbage_collections_total", ()] == 4
    assert samples["isvcwatch_garbage_collection_seconds_total", ()] == 0.5


def test_starts_and_discarded_rounds_are_counted_also_where_there_are_none() -> None:
    fleet = Fleet()
    fleet.metrics.started(0.02)
    fleet.metrics.started(60.0)
    fleet.metrics.discarded("late")
    samples = fleet.samples()
    assert [samples["isvcwatch_rounds_discarded_total", (cause,)] for cause in ("late", "exhausted", "outdated")] == [1, 0, 0]
    assert samples["isvcwatch_probe_start_lateness_seconds_bucket", ("0.01",)] == 0
    assert samples["isvcwatch_probe_start_lateness_seconds_bucket", ("0.025",)] == 1
    assert samples["isvcwatch_probe_start_lateness_seconds_bucket", ("10.0",)] == 1
    assert samples["isvcwatch_probe_start_lateness_seconds_bucket", ("+Inf",)] == 2
    assert samples["isvcwatch_probe_start_lateness_seconds_sum", ()] == 60.02


def test_the_version_and_the_process_are_told() -> None:
    samples = Fleet().samples()
    assert samples["isvcwatch_build_info", (__version__,)] == 1
    assert ("process_resident_memory_bytes", ()) in samples


def test_labels_of_any_text_are_escaped() -> None:
    odd = ModelSample("models", 'a"b\\c\nd', "True", "ModelReady")
    assert ("isvcwatch_model_ready", ('a"b\\c\nd', "models", "ModelReady")) in Fleet(odd).samples()


def test_two_sets_of_metrics_do_not_know_each_other() -> None:
    first, second = Fleet(), Fleet()
    first.metrics.status_write("written")
    assert ("isvcwatch_status_writes_total", ("written",)) not in second.samples()
