"""The Prometheus Operator's two objects: their shape, and that they fit the Service, the metrics and the docs."""

from __future__ import annotations

import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from isvcwatch.core.reasons import Reason
from isvcwatch.telemetry.metrics import EngineNumbers, Metrics, ModelSample
from isvcwatch.telemetry.vitals import Level
from tests.shipping.shipped import ALERTS, BASE, ROOT, kustomization, one

RULE = one(ALERTS, "PrometheusRule")
MONITOR = one(ALERTS, "ServiceMonitor")
ALERT_RULES = {rule["alert"]: rule for group in RULE["spec"]["groups"] for rule in group["rules"]}

DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h|d|w|y))+$"}
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}


def strict(**properties: object) -> dict[str, Any]:
    """An object with these fields and no other: a misspelt field is dropped by the API server, and the alert never comes."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def optional(schema: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {**schema, "required": [field for field in schema["required"] if field not in fields]}


# The fields used here, as the API reference of monitoring.coreos.com/v1 has them; the CRDs can't be had from a package registry.
METADATA = strict(name={"type": "string"}, labels=STRINGS)
ALERT = optional(
    strict(
        alert={"type": "string"},
        expr={"type": "string"},
        **{"for": DURATION},
        keep_firing_for=DURATION,
        labels=STRINGS,
        annotations=STRINGS,
    ),
    "keep_firing_for",
)
SCHEMAS = {
    "PrometheusRule": strict(groups={"type": "array", "items": strict(name={"type": "string"}, rules={"type": "array", "items": ALERT})}),
    "ServiceMonitor": strict(
        selector=strict(matchLabels=STRINGS),
        endpoints={
            "type": "array",
            "items": strict(port={"type": "string"}, path={"type": "string"}, interval=DURATION, honorLabels={"type": "boolean"}),
        },
    ),
}


def check(item: dict[str, Any]) -> None:
    shape = strict(apiVersion={"const": "monitoring.coreos.com/v1"}, kind={}, metadata=METADATA, spec=SCHEMAS[item["kind"]])
    jsonschema.validate(item, shape)


@pytest.mark.parametrize("item", [RULE, MONITOR], ids=lambda item: item["kind"])
def test_it_has_the_shape_that_the_prometheus_operator_reads(item: dict[str, Any]) -> None:
    check(item)


def test_a_misspelt_field_is_noticed() -> None:
    wrong = {**MONITOR, "spec": {**MONITOR["spec"], "endpoints": [{**MONITOR["spec"]["endpoints"][0], "honourLabels": True}]}}
    with pytest.raises(jsonschema.ValidationError, match="honourLabels"):
        check(wrong)


def test_the_monitor_chooses_the_service_and_a_port_that_it_has() -> None:
    service = one(BASE, "Service")
    assert MONITOR["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = MONITOR["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert kustomization(ALERTS)["namespace"] == kustomization(BASE)["namespace"]


def test_a_metrics_namespace_stays_the_models() -> None:
    assert MONITOR["spec"]["endpoints"][0]["honorLabels"] is True


def test_the_job_that_the_watchdog_looks_for_is_the_services_name() -> None:
    # What the Prometheus Operator calls a job where the monitor has no jobLabel.
    assert "jobLabel" not in MONITOR["spec"]
    assert set(re.findall(r'job="([^"]*)"', ALERT_RULES["IsvcwatchDown"]["expr"])) == {one(BASE, "Service")["metadata"]["name"]}


def test_every_metric_and_label_in_the_rules_is_one_that_the_operator_has() -> None:
    numbers = EngineNumbers(cut=(("shop", "NeverReached"),))
    metrics = Metrics(lambda: [ModelSample("shop", "ranker", "False", "ModelNotReady")], dict, lambda: numbers)
    metrics.watch_health(lambda: Level.WARNING)
    served = metrics.exposition().decode()
    text = str(RULE["spec"])
    named = set(re.findall(r"\bisvcwatch_\w+", text))
    assert named == {
        "isvcwatch_model_ready",
        "isvcwatch_namespace_unreached",
        "isvcwatch_watcher_impaired",
        "isvcwatch_operator_health_status",
    }
    assert 'isvcwatch_namespace_unreached{namespace="shop",reason="NeverReached"} 1.0' in served
    assert set(re.findall(r'reason="(\w+)"', text)) <= set(Reason)
    assert "isvcwatch_watcher_impaired 0.0" in served
    assert "isvcwatch_operator_health_status 1.0" in served
    assert 'isvcwatch_model_ready{name="ranker",namespace="shop",reason="ModelNotReady"} 0.0' in served


@pytest.mark.parametrize("rule", ALERT_RULES.values(), ids=ALERT_RULES)
def test_every_alert_has_a_severity_a_summary_and_a_page_to_read(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    assert (ROOT / rule["annotations"]["runbook"]).is_file()


def test_the_reason_is_no_label_of_the_alert() -> None:
    # As a label, each change of it would end one alert and begin another.
    assert set(ALERT_RULES["ModelUnready"]["labels"]) == {"severity"}
    assert "by (namespace, name)" in ALERT_RULES["ModelUnready"]["expr"]
    assert "reason" in ALERT_RULES["ModelUnready"]["annotations"]
