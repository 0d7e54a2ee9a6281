"""A router's or a proxy's error is no model's: each as the program in question words it."""

from __future__ import annotations

import pytest

from isvcwatch.client.protocols import Answer, Question, Verdict, named
from isvcwatch.client.protocols.denial import denial

HTML = {"content-type": "text/html"}

FOREIGN_404 = {
    "FastAPI": Answer(404, b'{"detail":"Not Found"}'),
    "Triton's router": Answer(404, b'{"error":"Not Found"}'),
    "grpc-gateway": Answer(404, b'{"code":5,"message":"Not Found","details":[]}'),
    "axum": Answer(404),
    "Go's net/http": Answer(404, b"404 page not found\n"),
    "nginx": Answer(404, b"<html><head><title>404 Not Found</title></head></html>", HTML),
    "Flask": Answer(404, b"<!doctype html><title>404 Not Found</title>", HTML),
    "Express": Answer(404, b"<pre>Cannot GET /v1/models/iris</pre>", HTML),
    "Spring": Answer(404, b'{"timestamp":"2026","status":404,"error":"Not Found","path":"/v1/models/iris"}'),
    "llama.cpp": Answer(404, b'{"error":{"message":"File Not Found","type":"not_found_error","code":404}}'),
    "TorchServe": Answer(404, b'{"code":404,"type":"ResourceNotFoundException","message":"Requested resource is not found"}'),
    "Ray Serve": Answer(404, b"Path '/v1/models/iris' not found. Ping http://.../-/routes for available routes."),
    "a gateway that repeats the path": Answer(404, b'{"message":"no route for /v1/models/iris"}'),
}


@pytest.mark.parametrize("protocol", ["v1", "v2", "openai", "vllm", "ollama", "nim", "tgi", "caikit"])
@pytest.mark.parametrize("answer", FOREIGN_404.values(), ids=FOREIGN_404)
def test_a_404_of_a_router_says_nothing_about_a_model(protocol: str, answer: Answer) -> None:
    reading = named(protocol).read(Question.MODEL_READY, answer, "iris")
    assert (reading.verdict, reading.reason) == (Verdict.NO_ANSWER, "RouteNotFound")


OWN_404 = {
    "KServe": b'{"error":"Model with name iris does not exist."}',
    "MLServer": b'{"error":"Model iris not found"}',
    "TF Serving": b'{"error":"Could not find any versions of model iris"}',
    "TF Serving, a servable": b'{"error":"Servable not found for request: Latest(iris)"}',
    "OpenVINO Model Server": b'{"error":"Model with requested name is not found"}',
}


@pytest.mark.parametrize("protocol", ["v1", "v2"])
@pytest.mark.parametrize("body", OWN_404.values(), ids=OWN_404)
def test_a_404_in_a_model_servers_own_words_says_that_it_has_no_such_model(protocol: str, body: bytes) -> None:
    reading = named(protocol).read(Question.MODEL_READY, Answer(404, body), "iris")
    assert (reading.verdict, reading.reason) == (Verdict.NO, "ModelNotFound")


def test_kserve_of_old_says_it_in_html() -> None:
    page = b"<html><title>404: Model with name m does not exist.</title></html>"
    assert named("v1").read(Question.MODEL_READY, Answer(404, page, HTML), "m").verdict is Verdict.NO


FOREIGN_400 = {
    "OpenVINO Model Server": Answer(400, b'{"error":"Invalid request URL"}'),
    "TF Serving": Answer(400, b'{"error":"Malformed request: GET /v2/models/iris/ready"}'),
    "nginx": Answer(400, b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>", HTML),
    "Go's net/http": Answer(400, b"Client sent an HTTP request to an HTTPS server.\n"),
}


@pytest.mark.parametrize("answer", FOREIGN_400.values(), ids=FOREIGN_400)
@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_a_400_of_another_program_is_no_answer(protocol: str, answer: Answer) -> None:
    assert named(protocol).read(Question.MODEL_READY, answer, "iris").verdict is Verdict.NO_ANSWER


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "ModelNotReady"),
        (b'{"error":"Request for unknown model: \'iris\' is not found"}', "ModelNotFound"),
        (b'{"error":"Request for unknown model: \'iris\' has no available versions"}', "ModelNotReady"),
    ],
)
def test_tritons_400_tells_unknown_from_not_ready(body: bytes, reason: str) -> None:
    reading = named("v2").read(Question.MODEL_READY, Answer(400, body), "iris")
    assert (reading.verdict, reading.reason) == (Verdict.NO, reason)


def test_a_version_that_is_not_loaded_yet_is_loading() -> None:
    body = b'{"error":"Model with requested version is not loaded yet"}'
    assert named("v2").read(Question.MODEL_READY, Answer(404, body), "m").reason == "ModelLoading"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"status":"loading"}', "loading"),
        (b'{"status":"DOWN"}', "down"),
        (b"false", "false"),
        (b"not ready", "not ready"),
        (b"Not ready.\n", "not ready"),
        (b'{"ready":false}', "ready is false"),
        (b'{"ok":"False"}', "false"),
        (b'{"status":"ok"}', ""),
        (b'{"status":"alive"}', ""),
        (b"OK", ""),
        (b"", ""),
        (b"null", ""),
        (b"[]", ""),
        (b'{"status":{"a":1}}', ""),
        (b"\xff\x00", ""),
        (b"this page says not ready somewhere in a text that is longer than any such word would be", ""),
    ],
)
def test_a_body_can_deny_what_its_status_says(body: bytes, word: str) -> None:
    assert denial(body) == word


@pytest.mark.parametrize("protocol", ["v2", "tgi", "nim", "bentoml"])
@pytest.mark.parametrize("body", [b'{"status":"loading"}', b"not ready", b"false"])
def test_a_200_that_denies_itself_is_a_no(protocol: str, body: bytes) -> None:
    assert named(protocol).read(Question.MODEL_READY, Answer(200, body), "iris").verdict is Verdict.NO
