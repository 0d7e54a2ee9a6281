"""Every line, ours and the libraries': one format, one line each."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from isvcwatch.kube import watch
from isvcwatch.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def lines(capsys: Out) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_our_own_line_is_one_line_of_json(capsys: Out) -> None:
    logs.configure("json", "info")
    structlog.get_logger("isvcwatch.test").warning("transition", name="iris", message="a\nb")
    (line,) = lines(capsys)
    assert line["timestamp"].endswith("Z")
    assert {key: line[key] for key in ("event", "level", "logger", "name", "message")} == {
        "event": "transition",
        "level": "warning",
        "logger": "isvcwatch.test",
        "name": "iris",
        "message": "a\nb",
    }


def test_a_librarys_line_is_the_same(capsys: Out) -> None:
    logs.configure("json", "info")
    logging.getLogger("library").warning("%s went\nwrong", "something")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("something went\nwrong", "warning", "library")


def test_kopfs_record_tells_which_object_and_none_of_its_settings(capsys: Out) -> None:
    logs.configure("json", "info")
    extra = {"k8s_ref": {"namespace": "models", "name": "iris", "uid": "u"}, "settings": watch.settings()}
    logging.getLogger("kopf.objects").error("Handler failed", extra=extra)
    (line,) = lines(capsys)
    assert set(line) == {"event", "level", "logger", "timestamp", "namespace", "name"}
    assert (line["namespace"], line["name"]) == ("models", "iris")


def test_exceptions_are_rendered_on_the_same_line(capsys: Out) -> None:
    logs.configure("json", "info")
    try:
        _ = {"": ""}["a bug"]
    except KeyError:
        structlog.get_logger("ours").exception("probe_crashed")
        logging.getLogger("theirs").exception("failed")
    ours, theirs = lines(capsys)
    for line in (ours, theirs):
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("KeyError: 'a bug'")


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_holds_for_ours_and_theirs(capsys: Out, level: str, heard: int) -> None:
    logs.configure("json", level)
    for log in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        log.debug("x")
        log.info("x")
        log.warning("x")
        log.error("x")
    assert len(lines(capsys)) == 2 * heard


@pytest.mark.parametrize("name", [*logs.QUIET, "httpcore.http11"])
def test_libraries_that_would_say_a_line_for_each_request_are_quiet_at_any_level(capsys: Out, name: str) -> None:
    logs.configure("json", "debug")
    logging.getLogger(name).info("GET /")
    logging.getLogger(name).debug("receive_response_headers.complete")
    assert lines(capsys) == []


def test_configured_twice_a_line_is_said_once(capsys: Out) -> None:
    logs.configure("json", "info")
    logs.configure("json", "info")
    structlog.get_logger().info("once")
    assert len(lines(capsys)) == 1


def test_the_console_is_for_people(capsys: Out) -> None:
    logs.configure("console", "info")
    structlog.get_logger("ours").info("watching", name="iris")
    said = capsys.readouterr().err
    assert "watching" in said
    assert "name=iris" in said
    assert not said.startswith("{")
