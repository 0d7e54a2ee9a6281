"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isvcwatch import settings
from isvcwatch.client.protocols import named
from isvcwatch.core import overrides
from isvcwatch.core.reasons import MEANINGS, EventReason, Reason
from isvcwatch.telemetry.metrics import Metrics
from isvcwatch.telemetry.vitals import Level

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
CONDITIONS = (ROOT / "docs" / "conditions.md").read_text()
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text()
REASONS = CONDITIONS[CONDITIONS.index("## Reasons") :]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_row_that_says_what_it_means(reason: Reason) -> None:
    rows = [line for line in REASONS.splitlines() if line.startswith(f"| `{reason}` |")]
    assert len(rows) == 1
    assert MEANINGS[reason] in rows[0]


@pytest.mark.parametrize("reason", EventReason)
def test_every_event_has_a_row(reason: EventReason) -> None:
    assert f"| `{reason}` |" in CONDITIONS


def test_no_row_is_about_a_reason_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", REASONS, re.MULTILINE)) == {str(reason) for reason in Reason}


@pytest.mark.parametrize("option", settings.RUN_OPTIONS, ids=lambda option: option.flag)
def test_every_flag_stands_in_the_readme_with_its_variable(option: settings.Option) -> None:
    assert f"| `--{option.flag} {option.metavar}` | `{option.variable}` |" in README


@pytest.mark.parametrize("annotation", sorted(overrides.KNOWN))
def test_every_annotation_stands_in_the_readme(annotation: str) -> None:
    assert annotation in README or annotation.removeprefix(overrides.PREFIX) in README


@pytest.mark.parametrize("protocol", overrides.PROTOCOLS)
def test_every_protocol_has_a_row_that_says_how_it_is_asked(protocol: str) -> None:
    servers = CONDITIONS[CONDITIONS.index("## Servers") : CONDITIONS.index("## Events")]
    (row,) = [line for line in servers.splitlines() if line.startswith("|") and f"`{protocol}`" in line.split("|")[1]]
    vouches = named(protocol).server_vouches
    assert row.split("|")[4].strip() == ("yes" if vouches else "no")


def test_every_metric_of_ours_stands_in_the_readme() -> None:
    metrics = Metrics(list, dict)
    metrics.watch_health(lambda: Level.WELL)
    exposed = metrics.exposition().decode()
    families = re.findall(r"^# TYPE (isvcwatch_\w+) (\w+)", exposed, re.MULTILINE)
    assert families
    for name, kind in families:
        if not (kind == "gauge" and name.endswith("_created")):
            assert name in README, name


def test_the_defaults_in_the_readme_are_the_settings_defaults() -> None:
    policy = settings.Settings().policy
    for flag, value in (
        ("period", policy.period),
        ("timeout", policy.timeout),
        ("initial-delay", policy.initial_delay),
        ("failure-threshold", policy.failure_threshold),
        ("success-threshold", policy.success_threshold),
        ("edge-period", policy.edge_period),
        ("slow-period", policy.slow_period),
    ):
        row = next(line for line in README.splitlines() if line.startswith(f"| `--{flag} "))
        assert f" | {value:g} | " in row


def measured(figure: str) -> float:
    """A figure's value in the table of docs/performance.md."""
    rows = [[cell.strip() for cell in line.split("|")] for line in PERFORMANCE.splitlines() if line.startswith(f"| {figure} ")]
    (value,) = {row[3] for row in rows}
    return float(value.replace(",", ""))


def test_what_the_readme_says_it_costs_is_what_was_measured() -> None:
    said = re.search(
        r"cost its engine ([\d.]+) % of a core and (\d+) MiB, and the whole operator ([\d.]+) % and (\d+) MiB", " ".join(README.split())
    )
    assert said is not None
    assert said.groups() == (
        f"{measured('fleet_10k_cores') * 100:.2g}",
        f"{measured('fleet_10k_rss'):.0f}",
        f"{measured('operator_cores') * 100:.2g}",
        f"{measured('operator_rss'):.0f}",
    )
