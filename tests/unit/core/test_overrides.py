"""Our annotations: each right value is taken, each wrong one is refused with what to write instead."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.core import overrides
from isvcwatch.core.overrides import PREFIX, WrongValueError, base_url, rounds, seconds
from isvcwatch.core.policy import LONGEST, MOST_ROUNDS, SHORTEST_PERIOD
from tests.unit.builders import DEFAULTS


def test_without_annotations_the_defaults_hold() -> None:
    asked = overrides.read({}, DEFAULTS)
    assert (asked.url, asked.protocol, asked.model_name, asked.policy, asked.policy_fields, asked.unknown) == (
        "",
        "",
        "",
        DEFAULTS,
        frozenset(),
        (),
    )


def test_annotations_of_others_say_nothing_to_us() -> None:
    assert overrides.read({"example.com/period-seconds": "nonsense"}, DEFAULTS).policy == DEFAULTS


def test_an_annotation_of_ours_that_means_nothing_is_named() -> None:
    assert overrides.read({PREFIX + "perod-seconds": "5", PREFIX + "a": ""}, DEFAULTS).unknown == (PREFIX + "a", PREFIX + "perod-seconds")


@pytest.mark.parametrize(
    ("annotation", "text", "field", "value"),
    [
        ("url", "http://m.models.svc:8080", "url", "http://m.models.svc:8080"),
        ("url", " https://h/base/ \n", "url", "https://h/base/"),
        ("url", "http://[fd00::1]:80", "url", "http://[fd00::1]:80"),
        ("protocol", "v2", "protocol", "v2"),
        ("protocol", "V1", "protocol", "v1"),
        ("protocol", " OpenAI ", "protocol", "openai"),
        ("protocol", "vLLM", "protocol", "vllm"),
        ("model-name", "a/b c", "model_name", "a/b c"),
    ],
)
def test_a_right_value_is_taken(annotation: str, text: str, field: str, value: str) -> None:
    assert getattr(overrides.read({PREFIX + annotation: text}, DEFAULTS), field) == value


@pytest.mark.parametrize(
    ("annotation", "text", "field", "value"),
    [
        ("period-seconds", "1", "period", 1.0),
        ("period-seconds", "2.5", "period", 2.5),
        ("period-seconds", "3600", "period", 3600.0),
        ("startup-failure-threshold", "60", "startup_failure_threshold", 60),
        ("timeout-seconds", "0.001", "timeout", 0.001),
        ("initial-delay-seconds", "0", "initial_delay", 0.0),
        ("initial-delay-seconds", "90", "initial_delay", 90.0),
        ("failure-threshold", "1", "failure_threshold", 1),
        ("failure-threshold", "1000", "failure_threshold", 1000),
        ("success-threshold", "007", "success_threshold", 7),
    ],
)
def test_a_right_number_goes_into_the_policy(annotation: str, text: str, field: str, value: float) -> None:
    asked = overrides.read({PREFIX + annotation: text}, DEFAULTS)
    assert getattr(asked.policy, field) == value
    assert asked.policy_fields == {field}


@pytest.mark.parametrize(
    ("annotation", "text", "advice"),
    [
        ("url", "", "write a URL such as"),
        ("url", "iris.models.svc", "write a URL such as"),
        ("url", "ftp://h", "write a URL such as"),
        ("url", "http://", "write a URL such as"),
        ("url", "http://h:port", "write a URL such as"),
        ("url", "http://h:0", "write a URL such as"),
        ("url", "http://h:65536", "write a URL such as"),
        ("url", "http://[::1", "write a URL such as"),
        ("url", "http://a b", "write a URL such as"),
        ("url", "http://h/a\x00b", "write a URL such as"),
        ("url", "http://me:secret@h", "without a user name or password"),
        ("url", "http://h/a?token=hunter2", "without a query or fragment"),
        ("url", "http://h?", "without a query or fragment"),
        ("url", "http://h#hunter2", "without a query or fragment"),
        ("protocol", "", "write one of v1, v2, openai, vllm"),
        ("protocol", "grpc-v2", "write one of v1, v2, openai, vllm"),
        ("protocol", "v3", "write one of v1, v2, openai, vllm"),
        ("model-name", "", "write the model's name"),
        ("model-name", "  ", "write the model's name"),
        ("model-name", "a\x1bb", "write the model's name"),
        ("period-seconds", "", "write a number of seconds from 1 to 3600"),
        ("period-seconds", "0.5", "write a number of seconds from 1 to 3600"),
        ("period-seconds", "10s", "write a number of seconds from 1 to 3600"),
        ("period-seconds", "nan", "write a number of seconds from 1 to 3600"),
        ("period-seconds", "inf", "write a number of seconds from 1 to 3600"),
        ("period-seconds", "-10", "write a number of seconds from 1 to 3600"),
        ("period-seconds", "3601", "write a number of seconds from 1 to 3600"),
        ("timeout-seconds", "0", "write a number of seconds from 0.001 to 30"),
        ("timeout-seconds", "31", "write a number of seconds from 0.001 to 30"),
        ("timeout-seconds", "3600", "write a number of seconds from 0.001 to 30"),
        ("timeout-seconds", "11", "write at most the period, which is 10 s"),
        ("initial-delay-seconds", "-1", "write a number of seconds from 0 to 3600"),
        ("failure-threshold", "", "write a whole number from 1 to 1000"),
        ("failure-threshold", "0", "write a whole number from 1 to 1000"),
        ("failure-threshold", "1.5", "write a whole number from 1 to 1000"),
        ("failure-threshold", "-3", "write a whole number from 1 to 1000"),
        ("failure-threshold", "1001", "write a whole number from 1 to 1000"),
        ("failure-threshold", "٣", "write a whole number from 1 to 1000"),
        ("success-threshold", "9" * 10_000, "write a whole number from 1 to 1000"),
        ("success-threshold", "00100012345", "write a whole number from 1 to 1000"),
    ],
)
def test_a_wrong_value_is_refused_and_says_what_to_write(annotation: str, text: str, advice: str) -> None:
    with pytest.raises(WrongValueError) as refusal:
        overrides.read({PREFIX + annotation: text}, DEFAULTS)
    said = str(refusal.value)
    assert said.startswith(f"annotation {PREFIX}{annotation}: ")
    assert advice in said
    assert len(said) < 300
    assert said.isprintable()


def test_a_tenants_timeout_is_at_most_its_period_and_thirty_seconds() -> None:
    longer = {PREFIX + "period-seconds": "60", PREFIX + "timeout-seconds": "30"}
    assert overrides.read(longer, DEFAULTS).policy.timeout == 30.0
    assert overrides.read({PREFIX + "period-seconds": "1"}, DEFAULTS).policy.timeout == 1.0
    assert overrides.read({PREFIX + "timeout-seconds": "10"}, DEFAULTS).policy.timeout == 10.0
    lavish = replace(DEFAULTS, timeout=60.0)
    assert overrides.read({}, lavish).policy == lavish  # the operator's own setting


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@h",
        "http://me:hunter2/@h",
        "http://me:hunter2 @h",
        "ftp://hunter2@h",
        "http://h?hunter2",
        "http://h#hunter2",
        "http:/h?a=1&\nhunter2",
    ],
)
def test_a_secret_in_a_url_is_not_repeated(url: str) -> None:
    with pytest.raises(WrongValueError) as refusal:
        overrides.read({overrides.URL: url}, DEFAULTS)
    assert "hunter2" not in str(refusal.value)


@given(st.text(max_size=20))
def test_seconds_are_within_bounds_or_refused(text: str) -> None:
    with contextlib.suppress(WrongValueError):
        assert SHORTEST_PERIOD <= seconds(text, SHORTEST_PERIOD) <= LONGEST


@given(st.text("0123456789", max_size=12) | st.text(max_size=5))
def test_rounds_are_within_bounds_or_refused(text: str) -> None:
    with contextlib.suppress(WrongValueError):
        assert 1 <= rounds(text) <= MOST_ROUNDS


@given(st.text(max_size=40) | st.text(max_size=30).map("http://".__add__))
def test_a_base_url_is_taken_as_it_is_or_refused(text: str) -> None:
    with contextlib.suppress(WrongValueError):
        assert base_url(text) == text
