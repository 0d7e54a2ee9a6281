"""What a server is, by its own words: each is recognised, and nobody by a status alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.client.protocols import PROTOCOLS, Answer, Interview, Recognised, recognise
from isvcwatch.client.protocols.interview import MOST_INQUIRIES, MOST_SILENCES

NOT_FOUND = Answer(404, b'{"detail":"Not Found"}', {"content-type": "application/json"})


KEY_WANTED = Answer(401, b'{"error":"Unauthorized"}', {"content-type": "application/json"})


def js(value: Any, status: int = 200, **headers: str) -> Answer:  # noqa: ANN401 -- any JSON
    return Answer(status, json.dumps(value).encode(), {"content-type": "application/json", **headers})


def listed(*names: str, owner: str = "x") -> Answer:
    return js({"object": "list", "data": [{"id": name, "owned_by": owner} for name in names]})


def interviewed(routes: dict[str, Answer | None], otherwise: Answer | None = NOT_FOUND) -> tuple[Recognised | None, list[str]]:
    """What the server is, and what was asked."""
    asked: list[str] = []
    steps = recognise(Interview())
    try:
        inquiry = next(steps)
        while True:
            key = f"{inquiry.method} {inquiry.path}"
            asked.append(key)
            inquiry = steps.send(routes.get(key, otherwise))
    except StopIteration as stopped:
        return stopped.value, asked


SERVERS: list[tuple[str, dict[str, Answer | None], Answer, str, tuple[str, ...] | None]] = [
    ("kserve", {"GET /v2": js({"name": "kserve"}), "GET /v1/models": js({"models": ["a", "b"]})}, NOT_FOUND, "v1", ("a", "b")),
    ("kserve, none", {"GET /v2": js({"name": "kserve"}), "GET /v1/models": js({"models": []})}, NOT_FOUND, "v1", ()),
    ("mlserver", {"GET /v2": js({"name": "mlserver"}), "POST /v2/repository/index": js([{"name": "m"}])}, NOT_FOUND, "v2", ("m",)),
    ("triton", {"GET /v2": js({"name": "triton"}), "POST /v2/repository/index": js([])}, NOT_FOUND, "v2", ()),
    ("triton, no index", {"GET /v2": js({"name": "triton"})}, NOT_FOUND, "v2", None),
    ("ovms", {"GET /v2": js({"name": "OpenVINO Model Server"}), "GET /v1/config": js({"m": {}})}, NOT_FOUND, "v2", ("m",)),
    ("torchserve's V2", {"GET /v2": js({"name": "Torchserve"})}, NOT_FOUND, "torchserve", None),
    ("torchserve", {}, js({"code": 404, "type": "ResourceNotFoundException"}, 404), "torchserve", None),
    ("tf serving", {"GET /v1/models": js({"error": "Missing model name in request."}, 400)}, Answer(404, b"<html>"), "v1", None),
    ("an old kserve", {"GET /v1/models": js({"models": ["m"]})}, NOT_FOUND, "v1", ("m",)),
    ("llama.cpp", {"GET /v1/models": js({"object": "list", "data": [{"id": "m"}]}, server="llama.cpp")}, NOT_FOUND, "llamacpp", ("m",)),
    ("llama.cpp, loading", {}, js({"error": {"message": "Loading model"}}, 503, server="llama.cpp"), "llamacpp", None),
    ("nim", {"GET /v1/health/ready": js({"object": "health.response"}), "GET /v1/models": listed("m")}, NOT_FOUND, "nim", ("m",)),
    ("nim, not ready", {"GET /v1/health/ready": js({"object": "error", "type": "ServiceUnavailable"}, 503)}, NOT_FOUND, "nim", None),
    ("vllm", {"GET /v1/models": listed("m", "lora", owner="vllm")}, NOT_FOUND, "vllm", ("m", "lora")),
    (
        "vllm, behind an API key",
        {"GET /v1/models": KEY_WANTED, "GET /version": js({"version": "0.32.0"}), "GET /health": Answer(200)},
        NOT_FOUND,
        "vllm",
        None,
    ),
    (
        "vllm, behind an API key, its engine dead",
        {"GET /v1/models": KEY_WANTED, "GET /version": js({"version": "0.32.0"}), "GET /health": Answer(503)},
        NOT_FOUND,
        "vllm",
        None,
    ),
    ("tgi", {"GET /info": js({"model_id": "m", "router": "text-generation-router"})}, Answer(404), "tgi", ("m",)),
    ("tei", {"GET /info": js({"model_id": "m", "model_type": {"embedding": {}}})}, Answer(404), "tei", ("m",)),
    (
        "sglang",
        {"GET /model_info": js({"model_path": "p", "is_generation": True}), "GET /v1/models": listed("m")},
        NOT_FOUND,
        "sglang",
        ("m",),
    ),
    ("sglang, older", {"GET /get_model_info": js({"model_path": "p", "tokenizer_path": "p"})}, NOT_FOUND, "sglang", None),
    ("ollama", {"GET /": Answer(200, b"Ollama is running"), "GET /v1/models": listed("l:1")}, Answer(404), "ollama", ("l:1",)),
    (
        "ollama, none",
        {"GET /": Answer(200, b"Ollama is running"), "GET /v1/models": js({"object": "list", "data": None})},
        Answer(404),
        "ollama",
        (),
    ),
    ("caikit", {"GET /info/models": js({"models": [{"name": "m", "loaded": False}]})}, NOT_FOUND, "caikit", ("m",)),
    ("ray serve", {}, Answer(404, b"Path '/v2' not found. Ping http://.../-/routes for available routes."), "rayserve", None),
    ("bentoml", {"GET /schema.json": js({"name": "s", "type": "service", "routes": []})}, NOT_FOUND, "bentoml", None),
]


@pytest.mark.parametrize(("routes", "otherwise", "protocol", "models"), [row[1:] for row in SERVERS], ids=[row[0] for row in SERVERS])
def test_each_server_is_recognised_by_its_own_words(
    routes: dict[str, Answer | None], otherwise: Answer, protocol: str, models: tuple[str, ...] | None
) -> None:
    found, asked = interviewed(routes, otherwise)
    assert found is not None
    assert found.protocols[0] == protocol
    assert found.models == models
    assert len(asked) == len(set(asked)) <= MOST_INQUIRIES


def test_every_protocol_that_a_server_is_recognised_by_can_be_asked() -> None:
    assert {protocol for *_, protocol, _ in SERVERS} <= set(PROTOCOLS)


NOBODY = [
    NOT_FOUND,
    Answer(404),
    Answer(200),
    Answer(200, b"OK"),
    Answer(200, b"<html>hello</html>", {"content-type": "text/html"}),
    js({"status": "ok"}),
    js({"status": "Healthy"}),
    js({"name": "my-service"}),
    js([]),
    js({"error": "no"}, 400),
    js({"error": "broken"}, 500),
    Answer(503, b"no healthy upstream"),
    Answer(401),
]


@pytest.mark.parametrize("answer", NOBODY)
def test_nobody_is_recognised_by_what_anything_would_answer(answer: Answer) -> None:
    found, asked = interviewed({}, answer)
    assert found is None
    assert len(asked) <= MOST_INQUIRIES


@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"GET /version": js({"version": "1.0"})},
        {"GET /version": js({"version": "1.0"}), "GET /health": js({"status": "ok"})},
        {"GET /version": js({"version": "1.0", "commit": "abc"}), "GET /health": Answer(200)},
        {"GET /health": Answer(200)},
    ],
)
def test_a_guarded_list_alone_is_not_vllm(beside: dict[str, Answer | None]) -> None:
    found, _ = interviewed({"GET /v1/models": KEY_WANTED, **beside})
    assert found is None


def test_a_server_that_does_not_answer_is_left_in_peace() -> None:
    found, asked = interviewed({}, None)
    assert found is None
    assert len(asked) == MOST_SILENCES


@given(
    st.dictionaries(
        st.text(max_size=8), st.recursive(st.none() | st.booleans() | st.text(max_size=4), lambda x: st.lists(x, max_size=2), max_leaves=3)
    ),
    st.integers(200, 599),
)
def test_whatever_it_answers_the_interview_ends_within_its_bound(value: dict[str, Any], status: int) -> None:
    _, asked = interviewed({}, js(value, status))
    assert len(asked) <= MOST_INQUIRIES
