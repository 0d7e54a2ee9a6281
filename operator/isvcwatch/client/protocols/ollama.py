"""Ollama.

Sources: `server/routes.go`, `openai/openai.go`: `/` is "Ollama is running" whatever it has; `/v1/models/m` is 404 for a model it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, ByModel, Question, Reading, Verdict
from isvcwatch.client.protocols.foreign import denies_the_model
from isvcwatch.client.protocols.health import YES, no
from isvcwatch.client.protocols.interview import Recognised
from isvcwatch.client.protocols.status import NOT_FOUND, SERVICE_UNAVAILABLE, is_ok, no_answer, not_about_health
from isvcwatch.client.protocols.urls import escape_segment
from isvcwatch.client.protocols.words import parse_json, server_words

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


@dataclass(frozen=True, slots=True)
class Ollama(ByModel):
    """Asks by `/` and `/v1/models/{model}`: a model that exists is loaded when it is first used."""

    name: str = "ollama"

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The route that asks."""
        return f"/v1/models/{escape_segment(model_name)}" if question is Question.MODEL_READY else "/"

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """The meaning of the answer: `/` must have Ollama's own words, and the model's route the model's name."""
        if answer.status == SERVICE_UNAVAILABLE:
            return no(question, answer)
        if reading := not_about_health(answer):
            return reading
        words = server_words(answer.body)
        if question is Question.MODEL_READY:
            if answer.status == NOT_FOUND and denies_the_model(answer, model_name):
                return Reading(Verdict.NO, reasons.MODEL_NOT_FOUND, words)
            value = parse_json(answer.body)
            said_yes = isinstance(value, dict) and value.get("id") == model_name
        else:
            said_yes = "ollama is running" in words.lower()
        if is_ok(answer.status) and said_yes:
            return Reading(Verdict.YES, YES[question])
        reason = reasons.NOT_FOUND if answer.status == NOT_FOUND else reasons.UNEXPECTED_ANSWER
        return no_answer(reason, f"HTTP {answer.status} {words}")


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise Ollama by its own words on `/`."""
    answer = yield from interview.ask("/")
    if answer is None or b"ollama is running" not in answer.body.lower():
        return None
    return Recognised("Ollama", ("ollama",), (yield from interview.openai_models()))
