"""What can be set: by flag or by environment, each wrong value named with what to write instead."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from isvcwatch import settings
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.settings import RUN_OPTIONS, Settings, SettingsError


def flags(**given: str | list[str]) -> dict[str, list[str]]:
    return {key: [value] if isinstance(value, str) else value for key, value in given.items()}


def read(environment: dict[str, str] | None = None, **given: str | list[str]) -> Settings:
    return settings.read(RUN_OPTIONS, flags(**given), environment or {})


CERT, KEY = (Path(__file__).parent / "client" / "tls" / name for name in ("cert.pem", "key.pem"))


def read_flag(option: str, text: str) -> Settings:
    return settings.read(RUN_OPTIONS, {option.replace("-", "_"): [text]}, {})


def value_of(chosen: Settings, key: str) -> object:
    return getattr(chosen.policy, key) if hasattr(chosen.policy, key) else getattr(chosen, key)


# Option, text, field, value.
RIGHT: list[tuple[str, str, str, Any]] = [
    ("kubeconfig", "/a/b", "kubeconfig", "/a/b"),
    ("context", "kind", "context", "kind"),
    ("namespace", "models", "namespaces", ("models",)),
    ("period", "5", "period", 5.0),
    ("period", "0.5", "period", 0.5),
    ("period", ".5", "period", 0.5),
    ("period", "500ms", "period", 0.5),
    ("period", "2s", "period", 2.0),
    ("period", "1m", "period", 60.0),
    ("period", "1h", "period", 3600.0),
    ("period", " 7 ", "period", 7.0),
    ("timeout", "250ms", "timeout", 0.25),
    ("initial-delay", "0", "initial_delay", 0.0),
    ("failure-threshold", "1", "failure_threshold", 1),
    ("success-threshold", "1000", "success_threshold", 1000),
    ("startup-failure-threshold", "60", "startup_failure_threshold", 60),
    ("edge-period", "500ms", "edge_period", 0.5),
    ("slow-period", "5m", "slow_period", 300.0),
    ("resync", "2m", "resync", 120.0),
    ("write-rate", "7.5", "write_rate", 7.5),
    ("doubt-share", "0.7", "doubt_share", 0.7),
    ("pod", "isvcwatch-system/isvcwatch-7d9/f9e8", "pod", ("isvcwatch-system", "isvcwatch-7d9", "f9e8")),
    ("write-burst", "12", "write_burst", 12),
    ("unknown-conditions", "Omit", "unknown_conditions", "omit"),
    ("allow-cidr", "10.0.0.0/8", "allow_cidrs", (ip_network("10.0.0.0/8"),)),
    ("allow-cidr", "::1", "allow_cidrs", (ip_network("::1/128"),)),
    ("ca-bundle", str(CERT), "ca_bundles", (str(CERT),)),
    ("http-bind", "0.0.0.0:9090", "http_port", 9090),
    ("http-bind", "[::]:9090", "http_host", "::"),
    ("http-bind", ":9090", "http_host", ""),
    ("http-bind", "localhost:0", "http_host", "localhost"),
    ("log-format", "Console", "log_format", "console"),
    ("log-level", "DEBUG", "log_level", "debug"),
]


@pytest.mark.parametrize(("option", "text", "field", "value"), RIGHT)
def test_a_flag_sets_it(option: str, text: str, field: str, value: object) -> None:
    assert value_of(read_flag(option, text), field) == value


@pytest.mark.parametrize(("option", "text", "field", "value"), RIGHT)
def test_the_environment_sets_it(option: str, text: str, field: str, value: object) -> None:
    assert value_of(read({"ISVCWATCH_" + option.replace("-", "_").upper(): text}), field) == value


def test_every_option_is_tested_and_has_its_variable() -> None:
    assert {option.flag for option in RUN_OPTIONS} == {option for option, *_ in RIGHT}
    assert {option.variable for option in RUN_OPTIONS} >= {"ISVCWATCH_INITIAL_DELAY", "ISVCWATCH_HTTP_BIND"}


def test_without_any_the_kubelets_defaults_hold() -> None:
    assert read() == Settings()
    assert read().policy == ProbePolicy(10.0, 2.0, 0.0, 3, 1)
    assert (read().http_host, read().http_port) == ("127.0.0.1", 8080)


def test_a_flag_beats_the_environment() -> None:
    assert read({"ISVCWATCH_PERIOD": "7", "ISVCWATCH_TIMEOUT": "1"}, period="5").policy == ProbePolicy(period=5.0, timeout=1.0)


def test_a_flag_beats_even_a_wrong_value_in_the_environment() -> None:
    assert read({"ISVCWATCH_PERIOD": "soon"}, period="5").policy.period == 5.0


def test_an_empty_variable_is_none() -> None:
    assert read({"ISVCWATCH_PERIOD": "", "ISVCWATCH_NAMESPACE": " "}) == Settings()


def test_the_last_of_a_repeated_flag_counts() -> None:
    assert read(period=["5", "7"]).policy.period == 7.0


def test_what_may_be_repeated_is_kept_whole() -> None:
    assert read(namespace=["a", "b"]).namespaces == ("a", "b")
    assert read({"ISVCWATCH_NAMESPACE": "a, b,,"}).namespaces == ("a", "b")
    assert read({"ISVCWATCH_ALLOW_CIDR": "10.0.0.0/8,::1/128"}).allow_cidrs == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("option", "text", "advice"),
    [
        ("period", "soon", "write a number of seconds"),
        ("period", "", "write a number of seconds"),
        ("period", "-1", "write a number of seconds"),
        ("period", "1d", "write a number of seconds"),
        ("period", "nan", "write a number of seconds"),
        ("period", "1e3", "write a number of seconds"),
        ("period", "0", "write a time from 0.1 seconds to an hour"),
        ("period", "2h", "write a time from 0.1 seconds to an hour"),
        ("period", "9" * 400, "write a time from 0.1 seconds to an hour"),
        ("timeout", "0", "write a time from 0.001 seconds to an hour"),
        ("edge-period", "0", "write a time from 0.1 seconds to an hour"),
        ("slow-period", "2h", "write a time from 0.1 seconds to an hour"),
        ("initial-delay", "61m", "write a time from 0 seconds to an hour"),
        ("failure-threshold", "0", "write a whole number from 1 to 1000"),
        ("failure-threshold", "2.5", "write a whole number from 1 to 1000"),
        ("success-threshold", "1001", "write a whole number from 1 to 1000"),
        ("success-threshold", "-1", "write a whole number from 1 to 1000"),
        ("allow-cidr", "10.0.0.1/8", "write a range such as"),
        ("allow-cidr", "everything", "write a range such as"),
        ("ca-bundle", "/nowhere.pem", "write the path of a file with certificates of authorities in PEM (No such file or directory)"),
        ("ca-bundle", str(KEY), "write the path of a file with certificates of authorities in PEM (no certificate in PEM is in it)"),
        ("http-bind", "8080", "write HOST:PORT"),
        ("http-bind", "::1:8080", "write HOST:PORT"),
        ("http-bind", "h:65536", "write HOST:PORT"),
        ("http-bind", "h:http", "write HOST:PORT"),
        ("http-bind", "h:", "write HOST:PORT"),
        ("write-rate", "0", "write a number from 0.1 to 1000"),
        ("doubt-share", "0", "write a part from 0.1 to 1"),
        ("doubt-share", "half", "write a part from 0.1 to 1"),
        ("pod", "isvcwatch", "write NAMESPACE/NAME/UID"),
        ("write-rate", "many", "write a number from 0.1 to 1000"),
        ("write-burst", "0", "write a whole number from 1 to 1000"),
        ("namespace", "Models", "write a namespace's name"),
        ("namespace", "a/b", "write a namespace's name"),
        ("namespace", "a" * 64, "write a namespace's name"),
        ("log-format", "xml", "write one of json, console"),
        ("log-level", "loud", "write one of debug, info, warning, error"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(option: str, text: str, advice: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_flag(option, text)
    (problem,) = refusal.value.problems
    assert problem.startswith(f"--{option}={text}: ")
    assert advice in problem
    assert "\n" not in problem


def test_a_wrong_variable_is_named_as_it_is_written() -> None:
    with pytest.raises(SettingsError, match="ISVCWATCH_LOG_LEVEL=loud: write one of"):
        read({"ISVCWATCH_LOG_LEVEL": "loud"})


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        read({"ISVCWATCH_LOG_LEVEL": "loud", "ISVCWATCH_NAMESPACE": "A,b,C"}, period="soon", timeout="0")
    assert len(refusal.value.problems) == 5
    assert str(refusal.value) == "; ".join(refusal.value.problems)


def test_a_command_takes_only_its_own_options() -> None:
    assert settings.read(settings.POLICY_OPTIONS, {}, {"ISVCWATCH_LOG_LEVEL": "loud", "ISVCWATCH_PERIOD": "5"}).policy.period == 5.0
