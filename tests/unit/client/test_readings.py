"""What answers mean: every server's way of saying yes and no, and what is neither."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.client.protocols import PROTOCOLS, Answer, Question, Reading, UnsupportedProtocol, Verdict, named, reasons

LIVE, READY, MODEL = Question.SERVER_LIVE, Question.SERVER_READY, Question.MODEL_READY
YES, NO, NO_ANSWER = Verdict.YES, Verdict.NO, Verdict.NO_ANSWER


def read(protocol: str, question: Question, status: int, body: bytes | str = b"", **headers: str) -> Reading:
    content = body.encode() if isinstance(body, str) else body
    return named(protocol).read(question, Answer(status, content, {k.replace("_", "-"): v for k, v in headers.items()}), "m")


RUN = "run and recorded"
TFS = "TensorFlow Serving, docs: 'RESTful API', model status API; get_model_status.proto for the states"
TORCH = "TorchServe, docs: 'Inference API', health check API"
VLLM = "vLLM, source: entrypoints/serve/instrumentator/health.py; docs: 'OpenAI-Compatible Server'"
HF = "KServe HuggingFace server, source: kserve/protocol/rest/openai/endpoints.py"
OLD = "KServe 0.11, source: kserve/protocol/rest/v2_datamodels.py (pydantic 1, ready: str)"


def tfs(*states: str, message: str = "") -> str:
    status = {"error_code": "UNKNOWN" if message else "OK", "error_message": message}
    return json.dumps({"model_version_status": [{"version": str(n + 1), "state": s, "status": status} for n, s in enumerate(states)]})


SERVERS: list[tuple[str, str, str, Question, int, str, Verdict, str]] = [
    # source, what it is, protocol, question, status, body, verdict, reason
    (RUN, "kserve live v1", "v1", LIVE, 200, '{"status":"alive"}', YES, reasons.SERVER_LIVE),
    (RUN, "kserve model v1", "v1", MODEL, 200, '{"name":"m","ready":true}', YES, reasons.MODEL_READY),
    (RUN, "kserve unready v1", "v1", MODEL, 503, '{"error":"Model with name m is not ready."}', NO, reasons.MODEL_NOT_READY),
    (RUN, "kserve unknown v1", "v1", MODEL, 404, '{"error":"Model with name m does not exist."}', NO, reasons.MODEL_NOT_FOUND),
    (RUN, "kserve live v2", "v2", LIVE, 200, '{"live":true}', YES, reasons.SERVER_LIVE),
    (RUN, "kserve ready v2", "v2", READY, 200, '{"ready":true}', YES, reasons.SERVER_READY),
    (RUN, "kserve model v2", "v2", MODEL, 200, '{"name":"m","ready":true}', YES, reasons.MODEL_READY),
    (RUN, "kserve unready v2", "v2", MODEL, 503, '{"error":"Model with name m is not ready."}', NO, reasons.MODEL_NOT_READY),
    (RUN, "kserve unknown v2", "v2", MODEL, 404, '{"error":"Model with name m does not exist."}', NO, reasons.MODEL_NOT_FOUND),
    (RUN, "mlserver model", "v2", MODEL, 200, "", YES, reasons.MODEL_READY),
    (RUN, "mlserver loading", "v2", MODEL, 400, "", NO, reasons.MODEL_NOT_READY),
    (RUN, "mlserver unknown", "v2", MODEL, 404, '{"error":"Model m not found"}', NO, reasons.MODEL_NOT_FOUND),
    (RUN, "mlserver not ready", "v2", READY, 400, "", NO, reasons.SERVER_NOT_READY),
    (RUN, "triton live", "v2", LIVE, 200, "", YES, reasons.SERVER_LIVE),
    (RUN, "triton unready or unknown", "v2", MODEL, 400, '{"error":"Model version not ready"}', NO, reasons.MODEL_NOT_READY),
    (RUN, "triton not ready", "v2", READY, 400, "", NO, reasons.SERVER_NOT_READY),
    (RUN, "no v1 on mlserver and triton", "v1", LIVE, 404, "", NO_ANSWER, reasons.NOT_FOUND),
    (OLD, "ready as a string", "v2", MODEL, 200, '{"name":"m","ready":"True"}', YES, reasons.MODEL_READY),
    (OLD, "not ready as a string", "v2", MODEL, 200, '{"name":"m","ready":"False"}', NO, reasons.MODEL_NOT_READY),
    (OLD, "not ready as a string v1", "v1", MODEL, 200, '{"name":"m","ready":"false"}', NO, reasons.MODEL_NOT_READY),
    (TFS, "available", "v1", MODEL, 200, tfs("AVAILABLE"), YES, reasons.MODEL_READY),
    (TFS, "one of two available", "v1", MODEL, 200, tfs("LOADING", "AVAILABLE"), YES, reasons.MODEL_READY),
    (TFS, "loading", "v1", MODEL, 200, tfs("LOADING"), NO, reasons.MODEL_LOADING),
    (TFS, "starting", "v1", MODEL, 200, tfs("START"), NO, reasons.MODEL_LOADING),
    (TFS, "failed", "v1", MODEL, 200, tfs("END", message="no such file"), NO, reasons.MODEL_NOT_READY),
    (TFS, "unloading", "v1", MODEL, 200, tfs("UNLOADING"), NO, reasons.MODEL_NOT_READY),
    (TFS, "no versions", "v1", MODEL, 200, '{"model_version_status":[]}', NO, reasons.MODEL_NOT_READY),
    (TFS, "odd versions", "v1", MODEL, 200, '{"model_version_status":[1,{"status":2}]}', NO, reasons.MODEL_LOADING),
    (TFS, "unknown", "v1", MODEL, 404, '{"error":"Could not find any versions of model m"}', NO, reasons.MODEL_NOT_FOUND),
    (TFS, "no route for live", "v1", LIVE, 404, "", NO_ANSWER, reasons.NOT_FOUND),
    (TORCH, "healthy", "v1", LIVE, 200, '{"status": "Healthy"}', YES, reasons.SERVER_LIVE),
    (TORCH, "partial", "v1", LIVE, 200, '{"status": "Partial Healthy"}', YES, reasons.SERVER_LIVE),
    (TORCH, "unhealthy with 200", "v1", LIVE, 200, '{"status": "Unhealthy"}', NO, reasons.SERVER_NOT_LIVE),
    (TORCH, "unhealthy with 200, model", "v1", MODEL, 200, '{"status": "Unhealthy"}', NO, reasons.MODEL_NOT_READY),
    (VLLM, "healthy", "openai", LIVE, 200, "", YES, reasons.SERVER_LIVE),
    (VLLM, "engine dead", "openai", READY, 503, "", NO, reasons.SERVER_NOT_READY),
    (VLLM, "engine dead, older", "openai", LIVE, 500, "Internal Server Error", NO, reasons.SERVER_NOT_LIVE),
    (VLLM, "model listed", "vllm", MODEL, 200, '{"object":"list","data":[{"id":"m"}]}', YES, reasons.MODEL_READY),
    (VLLM, "model not listed", "vllm", MODEL, 200, '{"object":"list","data":[{"id":"x"}]}', NO, reasons.MODEL_NOT_FOUND),
    (VLLM, "no list", "vllm", MODEL, 200, "{}", NO_ANSWER, reasons.UNEXPECTED_ANSWER),
    (VLLM, "no list at all", "vllm", MODEL, 200, "[]", NO_ANSWER, reasons.UNEXPECTED_ANSWER),
    (VLLM, "another server", "vllm", MODEL, 404, "", NO_ANSWER, reasons.NOT_FOUND),
    (HF, "model", "openai", MODEL, 200, "null", YES, reasons.MODEL_READY),
    (HF, "unready or unknown", "openai", MODEL, 503, '{"error":"Model with name m is not ready."}', NO, reasons.MODEL_NOT_READY),
    (HF, "no route for health", "openai", LIVE, 404, '{"detail":"Not Found"}', NO_ANSWER, reasons.NOT_FOUND),
    (HF, "no such route", "openai", MODEL, 404, '{"detail":"Not Found"}', NO_ANSWER, reasons.NOT_FOUND),
    (
        "OpenAI API reference, 'Retrieve model'",
        "unknown",
        "openai",
        MODEL,
        404,
        '{"error":{"message":"no m"}}',
        NO,
        reasons.MODEL_NOT_FOUND,
    ),
]


@pytest.mark.parametrize(
    ("protocol", "question", "status", "body", "verdict", "reason"), [row[2:] for row in SERVERS], ids=[f"{r[1]}, {r[2]}" for r in SERVERS]
)
def test_each_server_is_understood(protocol: str, question: Question, status: int, body: str, verdict: Verdict, reason: str) -> None:
    reading = read(protocol, question, status, body)
    assert (reading.verdict, reading.reason) == (verdict, reason)


NOT_ABOUT_HEALTH = [
    (401, reasons.UNAUTHORIZED),
    (403, reasons.FORBIDDEN),
    (407, reasons.UNAUTHORIZED),
    (429, reasons.TOO_MANY_REQUESTS),
    (301, reasons.REDIRECTED),
    (302, reasons.REDIRECTED),
    (304, reasons.REDIRECTED),
    (500, reasons.SERVER_ERROR),
    (501, reasons.SERVER_ERROR),
    (502, reasons.SERVER_ERROR),
    (504, reasons.SERVER_ERROR),
    (599, reasons.SERVER_ERROR),
    (101, reasons.UNEXPECTED_ANSWER),
    (405, reasons.UNEXPECTED_ANSWER),
    (421, reasons.UNEXPECTED_ANSWER),
]


@pytest.mark.parametrize(("status", "reason"), NOT_ABOUT_HEALTH)
@pytest.mark.parametrize("protocol", ["v1", "v2", "openai", "vllm"])
def test_a_status_that_is_not_about_health_is_no_answer(protocol: str, status: int, reason: str) -> None:
    reading = read(protocol, MODEL, status)
    assert (reading.verdict, reading.reason) == (NO_ANSWER, reason)


HTML = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>hello</body></html>"
ODD_BODIES: list[tuple[str, Question, str | bytes, Verdict]] = [
    ("v1", MODEL, "", NO_ANSWER),
    ("v1", MODEL, HTML, NO_ANSWER),
    ("v1", MODEL, "OK", NO_ANSWER),
    ("v1", MODEL, "true", NO_ANSWER),
    ("v1", MODEL, "[]", NO_ANSWER),
    ("v1", MODEL, "{}", NO_ANSWER),
    ("v1", MODEL, '{"ready": "perhaps"}', NO_ANSWER),
    ("v1", MODEL, '{"ready": null}', NO_ANSWER),
    ("v1", MODEL, '{"ready": 1}', YES),
    ("v1", MODEL, '{"model_version_status": 1}', NO_ANSWER),
    ("v1", MODEL, b"\x00\xff\xfe", NO_ANSWER),
    ("v1", MODEL, "[" * 100_000, NO_ANSWER),
    ("v1", LIVE, "{}", NO_ANSWER),
    ("v1", LIVE, '{"status": null}', NO_ANSWER),
    ("v1", LIVE, '{"status": "ALIVE"}', YES),
    ("v2", MODEL, HTML, NO_ANSWER),
    ("v2", MODEL, "OK", YES),
    ("v2", MODEL, "null", YES),
    ("v2", MODEL, "[]", YES),
    ("v2", MODEL, "{}", YES),
    ("v2", MODEL, '{"ready": [', YES),
    ("v2", MODEL, '{"ready": "perhaps"}', NO_ANSWER),
    ("v2", READY, '{"ready": false}', NO),
    ("v2", LIVE, '{"live": "FALSE"}', NO),
    ("v2", LIVE, '{"ready": false}', YES),
    ("v2", MODEL, b"\x00\xff\xfe", YES),
    ("openai", MODEL, HTML, NO_ANSWER),
    ("openai", LIVE, HTML, NO_ANSWER),
]


@pytest.mark.parametrize(("protocol", "question", "body", "verdict"), ODD_BODIES)
def test_a_200_with_an_odd_body_is_read_with_care(protocol: str, question: Question, body: str | bytes, verdict: Verdict) -> None:
    assert read(protocol, question, 200, body).verdict is verdict


def test_html_is_known_by_its_content_type_too() -> None:
    assert read("v2", MODEL, 200, "Please sign in", content_type="text/html; charset=utf-8").verdict is NO_ANSWER
    assert read("v2", MODEL, 200, "", content_type="text/html").verdict is YES


@pytest.mark.parametrize("question", [LIVE, READY])
def test_404_on_a_health_route_of_v2_says_that_it_is_another_server(question: Question) -> None:
    reading = read("v2", question, 404, '{"detail":"Not Found"}')
    assert reading == Reading(NO_ANSWER, reasons.NOT_FOUND, "HTTP 404 Not Found")


def test_an_unknown_client_error_is_a_no_in_v2_and_no_answer_in_v1() -> None:
    assert read("v2", MODEL, 412).verdict is NO
    assert read("v1", MODEL, 412) == Reading(NO_ANSWER, reasons.UNEXPECTED_ANSWER, "HTTP 412")


def test_503_says_no_whatever_its_body_is() -> None:
    for protocol in PROTOCOLS:
        assert read(protocol, MODEL, 503, HTML) == Reading(NO, reasons.MODEL_NOT_READY, "Sign in")
    assert read("v1", LIVE, 503).reason == reasons.SERVER_NOT_LIVE


def test_a_redirect_is_told_without_its_secrets() -> None:
    detail = read("v2", MODEL, 302, location="https://user:pw@login.example/in?token=1#x").detail
    assert detail == "HTTP 302 to https://login.example/in"
    assert read("v2", MODEL, 302, location="/in").detail == "HTTP 302 to /in"
    assert read("v2", MODEL, 302, location="http://[").detail == "HTTP 302"
    assert read("v2", MODEL, 302).detail == "HTTP 302"


def test_tf_servings_error_message_is_told() -> None:
    assert read("v1", MODEL, 200, tfs("END", message="no such file")).detail == "no such file: END"


PATHS = [
    ("v1", LIVE, "/"),
    ("v1", READY, None),
    ("v1", MODEL, "/v1/models/a%2Fb"),
    ("v2", LIVE, "/v2/health/live"),
    ("v2", READY, "/v2/health/ready"),
    ("v2", MODEL, "/v2/models/a%2Fb/ready"),
    ("openai", LIVE, "/health"),
    ("openai", READY, "/health"),
    ("openai", MODEL, "/openai/v1/models/a%2Fb"),
    ("vllm", MODEL, "/v1/models"),
]


@pytest.mark.parametrize(("protocol", "question", "path"), PATHS)
def test_each_protocol_asks_by_its_route(protocol: str, question: Question, path: str | None) -> None:
    assert named(protocol).path(question, "a/b") == path


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("model_name", [None, ""])
def test_a_model_cannot_be_asked_about_without_its_name(protocol: str, model_name: str | None) -> None:
    with pytest.raises(ValueError, match="model_name"):
        named(protocol).path(MODEL, model_name)


def test_protocols_are_found_by_name_in_any_case_and_unknown_ones_are_refused() -> None:
    assert named(" V2 ") is PROTOCOLS["v2"]
    with pytest.raises(UnsupportedProtocol, match=r"Unsupported protocol v3\. Supported here: v1, v2, openai, vllm, nim, tgi"):
        named("v3")


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["ready", "live", "status", "model_version_status", "error", "data"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(list(PROTOCOLS)),
    st.sampled_from(Question),
    st.integers(100, 599),
    st.binary(max_size=64) | JSON_VALUES.map(lambda value: json.dumps(value).encode()),
)
def test_whatever_a_server_answers_the_reading_is_one_line_of_bounded_length(
    protocol: str, question: Question, status: int, body: bytes
) -> None:
    reading = named(protocol).read(question, Answer(status, body), "m")
    assert reading.reason.isalpha()
    assert len(reading.detail) <= 256
    assert "\n" not in reading.detail
