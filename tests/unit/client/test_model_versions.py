"""A request's model version goes into the route, in both protocols."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isvcwatch.client import InferInput, InferRequest
from tests.unit.client.support import BASE, answering, saying

ANSWERS = {"v1": '{"predictions":[1]}', "v2": '{"outputs":[]}'}

VERSIONS: list[tuple[Any, str]] = [
    ("2", "/versions/2"),
    (2, "/versions/2"),
    ("0", "/versions/0"),
    (0, "/versions/0"),
    ("1/2?x", "/versions/1%2F2%3Fx"),
    ("..", "/versions/%2E%2E"),
    (None, ""),
    ("", ""),
]


def request(version: Any) -> InferRequest:  # noqa: ANN401 - of any type
    return InferRequest("m", [InferInput("x", [1], "INT8", [1])], "1", model_version=version)


@pytest.mark.parametrize(("version", "segment"), VERSIONS)
@pytest.mark.parametrize(("protocol", "verb"), [("v1", ":predict"), ("v2", "/infer")])
async def test_infer_asks_the_version_that_the_request_names(protocol: str, verb: str, version: Any, segment: str) -> None:  # noqa: ANN401 - of any type
    client, server = answering(saying(200, ANSWERS[protocol]), protocol=protocol)
    await client.infer(BASE, request(version), "a b")
    assert server.targets == [f"/{protocol}/models/a%20b{segment}{verb}"]


@pytest.mark.parametrize(("version", "segment"), VERSIONS)
async def test_explain_asks_the_version_that_the_request_names(version: Any, segment: str) -> None:  # noqa: ANN401 - of any type
    client, server = answering(saying(200, '{"explanations":[]}'))
    await client.explain(BASE, "a b", request(version))
    assert server.targets == [f"/v1/models/a%20b{segment}:explain"]
    assert json.loads(server.requests[0].content)["inputs"][0]["data"] == [1]


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_a_dict_names_no_version(protocol: str) -> None:
    client, server = answering(saying(200, ANSWERS[protocol]), protocol=protocol)
    await client.infer(BASE, {"inputs": []}, "m")
    assert "/versions/" not in server.targets[0]
