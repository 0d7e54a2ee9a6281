"""The Open Inference Protocol's (V2) health routes: Triton, MLServer, KServe's ModelServer.

Source: the protocol's `specification/protocol/inference_rest.md`: "a 200 status code indicates true and a 4xx status code indicates
false. The HTTP response body should be empty." KServe answers JSON, and 503 for a model that is not ready.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, ByModel, Question, Reading, Verdict
from isvcwatch.client.protocols.denial import denial_in, is_loading
from isvcwatch.client.protocols.foreign import denies_the_model, is_of_a_router
from isvcwatch.client.protocols.status import NOT_FOUND, SERVICE_UNAVAILABLE, is_ok, no_answer, not_about_health
from isvcwatch.client.protocols.truth import truth
from isvcwatch.client.protocols.urls import escape_segment
from isvcwatch.client.protocols.words import is_markup, parse_json, says_not_ready, server_words

_YES: Final = {
    Question.SERVER_LIVE: reasons.SERVER_LIVE,
    Question.SERVER_READY: reasons.SERVER_READY,
    Question.MODEL_READY: reasons.MODEL_READY,
}
_NO: Final = {
    Question.SERVER_LIVE: reasons.SERVER_NOT_LIVE,
    Question.SERVER_READY: reasons.SERVER_NOT_READY,
    Question.MODEL_READY: reasons.MODEL_NOT_READY,
}


@dataclass(frozen=True, slots=True)
class V2(ByModel):
    """Asks by `/v2/health/live`, `/v2/health/ready` and `/v2/models/{model}/ready`."""

    name: str = "v2"

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The route that asks."""
        if question is Question.SERVER_LIVE:
            return "/v2/health/live"
        if question is Question.SERVER_READY:
            return "/v2/health/ready"
        return f"/v2/models/{escape_segment(model_name)}/ready"

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """The meaning of the answer: the status decides, unless the body says otherwise or does not come from a model server.

        Triton answers 400 for an unready and for an unknown model; MLServer 400 for a loading and 404 for an unknown one; KServe 503 and
        404 for these; OpenVINO Model Server 404 for both.
        """
        if reading := not_about_health(answer):
            return reading
        if is_ok(answer.status):
            return _read_ok(question, answer, model_name)
        return _read_error(question, answer, model_name)


def _read_error(question: Question, answer: Answer, model_name: str | None) -> Reading:
    words = server_words(answer.body)
    of_model = question is Question.MODEL_READY
    if answer.status == NOT_FOUND and not (of_model and denies_the_model(answer, model_name)):
        return no_answer(reasons.NOT_FOUND, f"HTTP 404 {words}")
    if answer.status != SERVICE_UNAVAILABLE and is_of_a_router(answer):
        return no_answer(reasons.UNEXPECTED_ANSWER, f"HTTP {answer.status} {words}")
    if of_model and "not loaded yet" in words:
        return Reading(Verdict.NO, reasons.MODEL_LOADING, words)
    if of_model and (answer.status == NOT_FOUND or _UNKNOWN.search(words)):
        return Reading(Verdict.NO, reasons.MODEL_NOT_FOUND, words)
    return Reading(Verdict.NO, _NO[question], words, knows_model=of_model and says_not_ready(words, model_name))


_UNKNOWN: Final = re.compile(r"unknown model.* is not found", re.IGNORECASE)
"""Triton's message for an unknown model, with a status of 400."""


def _read_ok(question: Question, answer: Answer, model_name: str | None) -> Reading:
    if is_markup(answer.body, answer.headers.get("content-type", "")):
        return no_answer(reasons.UNEXPECTED_ANSWER, f"HTTP {answer.status} with markup: {server_words(answer.body)}")
    value = parse_json(answer.body)
    key = "live" if question is Question.SERVER_LIVE else "ready"
    if isinstance(value, dict) and key in value:
        said = truth(value[key])
        if said is None:
            return no_answer(reasons.UNEXPECTED_ANSWER, f"the answer's `{key}` is neither true nor false")
        if not said:
            knows = question is Question.MODEL_READY and value.get("name") == model_name
            return Reading(Verdict.NO, _NO[question], server_words(answer.body), knows_model=knows)
    if question is not Question.SERVER_LIVE and (said_no := denial_in(value, answer.body)):
        reason = reasons.MODEL_LOADING if question is Question.MODEL_READY and is_loading(said_no) else _NO[question]
        return Reading(Verdict.NO, reason, server_words(answer.body))
    proves = question is not Question.MODEL_READY or (isinstance(value, dict) and value.get("name") == model_name)
    return Reading(Verdict.YES, _YES[question], proves=proves)
