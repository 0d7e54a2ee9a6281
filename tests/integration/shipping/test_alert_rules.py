"""The alert rules by a real promtool; and that its tests would notice if the rules were other than they are."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.shipping import programs
from tests.shipping.shipped import ALERTS, one

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.real

CASES = ALERTS / "tests" / "alerts.yaml"

Rules = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def promtool() -> Path:
    try:
        return programs.promtool()
    except programs.CannotRunError as error:
        programs.required(error)


@pytest.fixture
def verdict(promtool: Path, tmp_path: Path) -> Callable[[dict[str, Any]], tuple[int, str]]:
    """What promtool says of the test cases with these groups as the plain rule file."""

    def judge(spec: dict[str, Any]) -> tuple[int, str]:
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
        shutil.copy(CASES, tmp_path)
        return programs.run(promtool, "test", "rules", CASES.name, cwd=tmp_path)

    return judge


def test_prometheus_takes_the_rules(promtool: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(one(ALERTS, "PrometheusRule")["spec"]))
    code, said = programs.run(promtool, "check", "rules", "--lint-fatal", tmp_path / "rules.yaml")
    assert code == 0, said
    assert "6 rules found" in said


def test_the_alerts_do_what_they_promise(verdict: Callable[[dict[str, Any]], tuple[int, str]]) -> None:
    code, said = verdict(one(ALERTS, "PrometheusRule")["spec"])
    assert code == 0, said
    assert "SUCCESS" in said


def at_once(rules: Rules) -> None:
    del rules["ModelUnready"]["for"]


def later(rules: Rules) -> None:
    rules["ModelUnready"]["for"] = "3m"


def ending_with_each_restart(rules: Rules) -> None:
    del rules["ModelUnready"]["keep_firing_for"]


def ending_much_later(rules: Rules) -> None:
    rules["ModelUnready"]["keep_firing_for"] = "10m"


def an_alert_for_each_reason(rules: Rules) -> None:
    rules["ModelUnready"]["expr"] = "min by (namespace, name, reason) (isvcwatch_model_ready) == 0"


def an_alert_for_each_pod(rules: Rules) -> None:
    rules["ModelUnready"]["expr"] = "isvcwatch_model_ready == 0"


def for_models_that_are_well(rules: Rules) -> None:
    rules["ModelUnready"]["expr"] = "min by (namespace, name) (isvcwatch_model_ready) <= 1"


def for_the_unknown_too(rules: Rules) -> None:
    rules["ModelUnready"]["expr"] += " or min by (namespace, name) (isvcwatch_model_unknown) == 1"


def without_its_reason(rules: Rules) -> None:
    rules["ModelUnready"]["annotations"]["reason"] = "unknown"


def blind_to_absence(rules: Rules) -> None:
    rules["IsvcwatchDown"]["expr"] = 'max(up{job="isvcwatch"}) == 0'


def blind_to_a_crash_loop(rules: Rules) -> None:
    rules["IsvcwatchDown"]["expr"] = 'absent(up{job="isvcwatch"} == 1)'


def at_a_roll_out(rules: Rules) -> None:
    rules["IsvcwatchDown"]["for"] = "15s"


def twice_for_one_outage(rules: Rules) -> None:
    rules["IsvcwatchDown"]["expr"] = 'absent(up{job="isvcwatch"} == 1) or avg_over_time(up{job="isvcwatch"}[15m]) < 0.5'


@pytest.mark.parametrize(
    "changed",
    [
        at_once,
        later,
        ending_with_each_restart,
        ending_much_later,
        an_alert_for_each_reason,
        an_alert_for_each_pod,
        for_models_that_are_well,
        for_the_unknown_too,
        without_its_reason,
        blind_to_absence,
        blind_to_a_crash_loop,
        at_a_roll_out,
        twice_for_one_outage,
    ],
)
def test_other_rules_would_be_noticed(verdict: Callable[[dict[str, Any]], tuple[int, str]], changed: Callable[[Rules], None]) -> None:
    spec = one(ALERTS, "PrometheusRule")["spec"]
    changed({rule["alert"]: rule for group in spec["groups"] for rule in group["rules"]})
    code, said = verdict(spec)
    assert code != 0
    assert "FAILED" in said
