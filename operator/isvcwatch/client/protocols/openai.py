"""Health routes of the servers that speak OpenAI's API: vLLM, and KServe's HuggingFace server.

Sources: vLLM's `/health` (200 empty; 503, in older releases 500, when its engine is dead) and `/v1/models` (a list); KServe's
HuggingFace server has `/openai/v1/models/{model}` (200, body `null`; 503 for unready and unknown alike). The latter can stay 200
after its engine died (KServe issue 6259).
"""

from __future__ import annotations

from dataclasses import dataclass

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, Question, Reading, Verdict
from isvcwatch.client.protocols.foreign import denies_the_model
from isvcwatch.client.protocols.status import NOT_FOUND, SERVICE_UNAVAILABLE, is_ok, no_answer, not_about_health
from isvcwatch.client.protocols.urls import escape_segment
from isvcwatch.client.protocols.words import is_markup, parse_json, server_words

_INTERNAL_ERROR = 500


@dataclass(frozen=True, slots=True)
class OpenAI:
    """Asks by `/health`, and for a model by its own route or by the list of models.

    Attributes:
        name: the name that settings use.
        model_listed: True to look for the model in `/v1/models` (vLLM), False to ask its own route (HuggingFace server).
    """

    name: str = "openai"
    model_listed: bool = False

    @property
    def server_vouches(self) -> bool:
        """True for vLLM, which serves one model by each name on its list; the HuggingFace server may serve several models."""
        return self.model_listed

    @property
    def asks_server_too(self) -> bool:
        """True for vLLM, whose list of models stays the same after its engine has died."""
        return self.model_listed

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The route that asks."""
        if question is not Question.MODEL_READY:
            return "/health"
        name = escape_segment(model_name)
        return "/v1/models" if self.model_listed else f"/openai/v1/models/{name}"

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """The meaning of the answer: the status decides; a list must also have the model's name."""
        on_health = question is not Question.MODEL_READY
        if answer.status == SERVICE_UNAVAILABLE or (on_health and answer.status == _INTERNAL_ERROR):
            return Reading(Verdict.NO, _NO[question], server_words(answer.body))
        if reading := not_about_health(answer):
            return reading
        if answer.status == NOT_FOUND and not (on_health or self.model_listed) and denies_the_model(answer, model_name):
            return Reading(Verdict.NO, reasons.MODEL_NOT_FOUND, server_words(answer.body))
        if not is_ok(answer.status) or is_markup(answer.body, answer.headers.get("content-type", "")):
            reason = reasons.NOT_FOUND if answer.status == NOT_FOUND else reasons.UNEXPECTED_ANSWER
            return no_answer(reason, f"HTTP {answer.status} {server_words(answer.body)}")
        if self.model_listed and not on_health:
            return _read_list(answer, model_name)
        return Reading(Verdict.YES, _YES[question], proves=on_health)


_YES = {
    Question.SERVER_LIVE: reasons.SERVER_LIVE,
    Question.SERVER_READY: reasons.SERVER_READY,
    Question.MODEL_READY: reasons.MODEL_READY,
}
_NO = {
    Question.SERVER_LIVE: reasons.SERVER_NOT_LIVE,
    Question.SERVER_READY: reasons.SERVER_NOT_READY,
    Question.MODEL_READY: reasons.MODEL_NOT_READY,
}


def _read_list(answer: Answer, model_name: str | None) -> Reading:
    value = parse_json(answer.body)
    models = value.get("data") if isinstance(value, dict) else None
    if not isinstance(models, list):
        return no_answer(reasons.UNEXPECTED_ANSWER, "the answer is no list of models")
    names = [model.get("id") for model in models if isinstance(model, dict)]
    if model_name in names:
        return Reading(Verdict.YES, reasons.MODEL_READY)
    return Reading(Verdict.NO, reasons.MODEL_NOT_FOUND, server_words(f"it serves {', '.join(map(str, names))}".encode()))
