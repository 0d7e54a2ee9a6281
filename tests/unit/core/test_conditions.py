"""The shape of conditions that KServe can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.core.conditions import MESSAGE_LIMIT, Condition, is_timestamp, one_line, timestamp


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 11, 23, 18, 41, 59, tzinfo=UTC), "2026-11-23T18:41:59Z"),
        (datetime(2026, 11, 23, 18, 41, 59, 999999, tzinfo=UTC), "2026-11-23T18:41:59Z"),
        (datetime(2026, 11, 23, 18, 41, 59, tzinfo=timezone(timedelta(hours=2))), "2026-11-23T16:41:59Z"),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))), "2025-12-31T18:45:00Z"),
    ],
)
def test_a_moment_is_written_in_whole_seconds_of_utc(moment: datetime, written: str) -> None:
    assert timestamp(moment) == written


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30), timezones=offsets))  # noqa: DTZ001 -- bounds
def test_every_moment_is_written_in_the_one_safe_form(moment: datetime) -> None:
    assert is_timestamp(timestamp(moment))


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026-11-23", "2026-11-23T18:41:59", "2026-11-23T18:41:59.5Z", "2026-11-23T18:41:59+00:00",
        "2026-11-23t18:41:59z", " 2026-11-23T18:41:59Z", "2026-11-23T18:41:59Z\n", "2026-11-23T18:41:59ZZ",
    ],
)  # fmt: skip
def test_any_other_form_is_not_safe(text: str) -> None:
    assert not is_timestamp(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("as it is", "as it is"),
        ("  many   spaces\t", "many spaces"),
        ("two\nlines\r\nand a third", "two lines and a third"),
        ("a\x00bell\x07 and \x1b[31mred", "a bell and [31mred"),
        ("right\u202eleft", "right left"),
        ("naïve ✓", "naïve ✓"),
    ],
)
def test_a_message_is_one_printable_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_long_message_is_cut_and_shows_it() -> None:
    assert one_line("x" * 1000, 10) == "xxxxxxxxx…"
    assert one_line("x" * 10, 10) == "x" * 10


@given(st.text(), st.integers(1, 600))
def test_every_message_is_one_bounded_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert line.isprintable()
    assert one_line(line, limit) == line


def test_the_limit_of_messages_is_the_default() -> None:
    assert len(one_line("x" * 10_000)) == MESSAGE_LIMIT


def test_a_condition_is_written_with_nothing_that_kserves_crd_would_prune() -> None:
    assert Condition("ModelReady", "True", "ModelReady", "it is", "2026-11-23T18:41:59Z", "Info").to_dict() == {
        "type": "ModelReady",
        "status": "True",
        "severity": "Info",
        "lastTransitionTime": "2026-11-23T18:41:59Z",
        "reason": "ModelReady",
        "message": "it is",
    }
