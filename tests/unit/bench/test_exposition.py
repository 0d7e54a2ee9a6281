"""What is read of `/metrics`, and the arithmetic on its histograms."""

from __future__ import annotations

import math

import pytest

from bench.exposition import Exposition, most, quantile

TEXT = """\
# HELP isvcwatch_targets InferenceServices by what is done about them
# TYPE isvcwatch_targets gauge
isvcwatch_targets{state="probed"} 10000.0
isvcwatch_targets{state="skipped"} 3.0
isvcwatch_model_ready{namespace="a",name="x",reason="ModelReady"} 1.0
isvcwatch_model_unknown{namespace="a",name="y",reason="Timeout"} 1.0
isvcwatch_resyncs_total 2.0
late_bucket{le="0.001"} 90.0
late_bucket{le="0.05"} 100.0
late_bucket{le="+Inf"} 100.0
late_count 100.0
"""


def test_series_are_summed_by_name_and_label_and_counted() -> None:
    said = Exposition(TEXT)
    assert said.total("isvcwatch_targets", 'state="probed"') == 10_000
    assert said.total("isvcwatch_targets") == 10_003
    assert said.total("isvcwatch_resyncs_total") == 2
    assert said.total("never_said") == 0
    assert said.count("isvcwatch_model_ready", "isvcwatch_model_unknown") == 2


def test_a_histogram_has_its_buckets() -> None:
    assert Exposition(TEXT).buckets("late") == {0.001: 90, 0.05: 100, math.inf: 100}


@pytest.mark.parametrize(("share", "value"), [(0.45, 0.0005), (0.9, 0.001), (0.95, 0.0255), (1.0, 0.05)])
def test_a_quantile_lies_on_a_line_between_two_bounds(share: float, value: float) -> None:
    assert quantile({}, Exposition(TEXT).buckets("late"), share) == pytest.approx(value)


def test_a_quantile_is_of_what_came_between_the_two_scrapes() -> None:
    old, new = {0.001: 90.0, 0.05: 100.0, math.inf: 100.0}, {0.001: 90.0, 0.05: 200.0, math.inf: 200.0}
    assert quantile(old, new, 0.5) == pytest.approx(0.0255)
    assert math.isnan(quantile(old, old, 0.99))


def test_what_lies_beyond_all_bounds_is_infinite() -> None:
    assert quantile({}, {0.05: 1.0, math.inf: 100.0}, 0.99) == math.inf


def test_the_highest_bucket_that_has_something_new_is_the_most() -> None:
    assert most({}, {0.001: 90.0, 0.05: 100.0, 0.1: 100.0, math.inf: 100.0}) == 0.05
    assert most({0.001: 1.0, 0.05: 2.0}, {0.001: 5.0, 0.05: 6.0}) == 0.001
    assert most({}, {}) == 0
