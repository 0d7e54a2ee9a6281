"""The protocol of servers that have only health routes of their own: such a server, once ready, serves the model it was started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, Question, Reading, Verdict
from isvcwatch.client.protocols.denial import denial, is_loading
from isvcwatch.client.protocols.status import SERVICE_UNAVAILABLE, is_ok, no_answer, not_about_health
from isvcwatch.client.protocols.urls import escape_segment
from isvcwatch.client.protocols.words import is_markup, server_words

if TYPE_CHECKING:
    from collections.abc import Mapping

YES = {
    Question.SERVER_LIVE: reasons.SERVER_LIVE,
    Question.SERVER_READY: reasons.SERVER_READY,
    Question.MODEL_READY: reasons.MODEL_READY,
}
NO = {
    Question.SERVER_LIVE: reasons.SERVER_NOT_LIVE,
    Question.SERVER_READY: reasons.SERVER_NOT_READY,
    Question.MODEL_READY: reasons.MODEL_NOT_READY,
}


@dataclass(frozen=True, slots=True)
class HealthRoutes:
    """Asks by a route for the server's liveness and one for its readiness, which is also its model's.

    Attributes:
        name: the name that settings and annotations use.
        live: the route that tells whether the server lives.
        ready: the route that tells whether it is ready.
        says_no: the statuses that mean no; by default only 503.
        vouches: whether a ready server has all its models ready.
    """

    name: str
    live: str
    ready: str
    says_no: frozenset[int] = frozenset({SERVICE_UNAVAILABLE})
    vouches: bool = True

    @property
    def server_vouches(self) -> bool:
        """Whether a server that is ready has all its models ready."""
        return self.vouches

    @property
    def asks_server_too(self) -> bool:
        """False, since the question about the model already goes to the server's own route."""
        return False

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The question's route; None for the model if the server's readiness does not cover it."""
        if question is Question.SERVER_LIVE:
            return self.live
        if question is Question.MODEL_READY:
            escape_segment(model_name)  # raises ValueError for a name that can't be used
            return self.ready if self.vouches else None
        return self.ready

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """The meaning of the answer: the status decides, unless the body of a 200 says no."""
        del model_name
        if answer.status in self.says_no:
            return no(question, answer)
        if reading := not_about_health(answer):
            return reading
        if not is_ok(answer.status) or is_markup(answer.body, answer.headers.get("content-type", "")):
            reason = reasons.NOT_FOUND if answer.status == 404 else reasons.UNEXPECTED_ANSWER  # noqa: PLR2004
            return no_answer(reason, f"HTTP {answer.status} {server_words(answer.body)}")
        if question is not Question.SERVER_LIVE and denial(answer.body):
            return no(question, answer)
        return Reading(Verdict.YES, YES[question])


def no(question: Question, answer: Answer) -> Reading:
    """A reading that says no, with a reason that tells whether the model is still loading."""
    words = server_words(answer.body)
    loading = is_loading(denial(answer.body)) or is_loading(words.strip().strip(".").lower())
    reason = reasons.MODEL_LOADING if loading and question is Question.MODEL_READY else NO[question]
    return Reading(Verdict.NO, reason, words)


def text(value: Mapping[str, object], key: str) -> str:
    """The text at a key of a JSON object; empty if there is none."""
    found = value.get(key)
    return found if isinstance(found, str) else ""
