"""The JSON Patch that writes our conditions, and only ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from isvcwatch.core.conditions import Condition
from isvcwatch.kube.parse import inference_service
from isvcwatch.kube.sinks.patch import status_patch
from rig import kserve_status as kserve
from tests.unit.builders import NOT_READY, READY, condition, isvc

Json = Any
OURS = condition("ModelReady", NOT_READY)
LIVE = condition("ServerLive", READY)
STALE = condition("ModelReady", READY).to_dict()
KSERVES = kserve.condition("Ready", "True")


def applied(document: Json, patch: list[dict[str, Json]]) -> Json:
    """RFC 6902, as far as `add` and `replace` go."""
    document = copy.deepcopy(document)
    for operation in patch:
        *way, last = operation["path"].removeprefix("/").split("/")
        holder = document
        for step in way:
            holder = holder[int(step)] if isinstance(holder, list) else holder[step]
        if isinstance(holder, list) and last == "-":
            holder.append(operation["value"])
        elif isinstance(holder, list):
            assert operation["op"] == "replace"
            holder[int(last)] = operation["value"]
        else:
            assert operation["op"] == "add" or last in holder
            holder[last] = operation["value"]
    return document


def written(status: object, *conditions: Condition) -> Json:
    """The object after our conditions were written into it."""
    raw = kserve.isvc("iris", "models")
    raw["metadata"]["resourceVersion"] = "7"
    if status is not None:
        raw["status"] = status
    return applied(raw, status_patch(inference_service(raw), conditions))


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (None, {"conditions": [OURS.to_dict()]}),
        ({}, {"conditions": [OURS.to_dict()]}),
        ({"url": "http://x"}, {"url": "http://x", "conditions": [OURS.to_dict()]}),
        ({"conditions": None}, {"conditions": [OURS.to_dict()]}),
        ({"conditions": []}, {"conditions": [OURS.to_dict()]}),
        ({"conditions": [KSERVES]}, {"conditions": [KSERVES, OURS.to_dict()]}),
        ({"conditions": [STALE, KSERVES]}, {"conditions": [OURS.to_dict(), KSERVES]}),
        ({"conditions": [KSERVES, STALE]}, {"conditions": [KSERVES, OURS.to_dict()]}),
        ({"conditions": [None, "text", KSERVES, STALE]}, {"conditions": [None, "text", KSERVES, OURS.to_dict()]}),
        ({"conditions": [None, KSERVES]}, {"conditions": [None, KSERVES, OURS.to_dict()]}),
        ({"conditions": [{}, KSERVES, KSERVES]}, {"conditions": [{}, KSERVES, KSERVES, OURS.to_dict()]}),
        ({"conditions": [STALE, KSERVES, STALE]}, {"conditions": [OURS.to_dict(), KSERVES, STALE]}),
    ],
)
def test_our_condition_is_set_and_every_other_stays_at_its_place(status: object, after: Json) -> None:
    assert written(status, OURS)["status"] == after


def test_several_are_set_at_once() -> None:
    after = written({"conditions": [KSERVES, STALE]}, LIVE, OURS)["status"]["conditions"]
    assert after == [KSERVES, OURS.to_dict(), LIVE.to_dict()]


def test_the_first_of_two_is_the_one_that_is_read_and_written() -> None:
    first, second = {**STALE, "reason": "First"}, {**STALE, "reason": "Second"}
    raw = kserve.isvc("iris", "models", status={"conditions": [first, second]})
    found = inference_service(raw).condition("ModelReady")
    assert found is not None
    assert found.reason == "First"
    assert applied(raw | {"metadata": {"resourceVersion": ""}}, status_patch(inference_service(raw), [OURS]))["status"] == {
        "conditions": [OURS.to_dict(), second]
    }


def test_the_patch_fails_where_the_object_has_changed_since_it_was_read() -> None:
    raw = kserve.isvc("iris", "models")
    raw["metadata"]["resourceVersion"] = "7"
    assert status_patch(inference_service(raw), [OURS])[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_conditions_are_taken_away_from_the_last_to_the_first() -> None:
    ours, live = Condition("ModelReady", "True"), Condition("ServerLive", "True")
    there = (ours, Condition("Ready", "True"), None, live, Condition("ModelReady", "False"))
    patch = status_patch(isvc(conditions=there), (), ("ModelReady", "ServerLive"))
    assert patch[1:] == [{"op": "remove", "path": f"/status/conditions/{place}"} for place in (4, 3, 0)]
