"""caikit's runtime. Source: `caikit/runtime/servicers/info_servicer.py`: `/info/models` lists its models and whether each is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, ByModel, Question, Reading, Verdict
from isvcwatch.client.protocols.health import YES, no
from isvcwatch.client.protocols.interview import Recognised, names
from isvcwatch.client.protocols.status import NOT_FOUND, SERVICE_UNAVAILABLE, is_ok, no_answer, not_about_health
from isvcwatch.client.protocols.truth import truth
from isvcwatch.client.protocols.urls import escape_segment
from isvcwatch.client.protocols.words import parse_json, server_words

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


@dataclass(frozen=True, slots=True)
class Caikit(ByModel):
    """Asks for the server by `/health`, which says OK whatever state its models are in, and for a model by the list of models."""

    name: str = "caikit"

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The route that asks."""
        if question is not Question.MODEL_READY:
            return "/health"
        escape_segment(model_name)  # raises ValueError for a name that can't be used
        return "/info/models"

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """What the answer means."""
        if answer.status == SERVICE_UNAVAILABLE:
            return no(question, answer)
        if reading := not_about_health(answer):
            return reading
        words = server_words(answer.body)
        if not is_ok(answer.status):
            reason = reasons.NOT_FOUND if answer.status == NOT_FOUND else reasons.UNEXPECTED_ANSWER
            return no_answer(reason, f"HTTP {answer.status} {words}")
        if question is Question.MODEL_READY:
            return _read_list(answer, model_name)
        if words.strip('"').lower() == "ok":
            return Reading(Verdict.YES, YES[question])
        return no_answer(reasons.UNEXPECTED_ANSWER, f"HTTP {answer.status} {words}")


def _read_list(answer: Answer, model_name: str | None) -> Reading:
    value = parse_json(answer.body)
    models = value.get("models") if isinstance(value, dict) else None
    if not isinstance(models, list):
        return no_answer(reasons.UNEXPECTED_ANSWER, "the answer is no list of models")
    model = next((m for m in models if isinstance(m, dict) and m.get("name") == model_name), None)
    if model is None:
        return Reading(
            Verdict.NO, reasons.MODEL_NOT_FOUND, server_words(f"it has {', '.join(names(models, 'name')) or 'no model'}".encode())
        )
    if truth(model.get("loaded")):
        return Reading(Verdict.YES, reasons.MODEL_READY)
    return Reading(Verdict.NO, reasons.MODEL_LOADING, "it is not loaded")


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise caikit by the format of its list of models."""
    listed = yield from interview.json("/info/models")
    models = listed.get("models")
    if not isinstance(models, list) or not all(isinstance(model, dict) and "loaded" in model for model in models):
        return None
    return Recognised("caikit", ("caikit",), names(models, "name"))
