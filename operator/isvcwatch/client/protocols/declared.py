"""Asks by the readiness route that a container declares itself, for servers that are not recognised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, Question, Reading, Verdict
from isvcwatch.client.protocols.health import HealthRoutes, no
from isvcwatch.client.protocols.status import OK_BELOW, SERVER_ERROR_FROM

if TYPE_CHECKING:
    from isvcwatch.client.protocols.base import HealthProtocol

NAME: Final = "declared"

NO_SUCH_MODEL: Final = "isvcwatch-asks-for-a-model-that-can-not-exist"
"""The name of a model that can't exist. A server that calls it ready says yes to any name."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Asks by the path of a container's `readinessProbe.httpGet`.

    Attributes:
        ready: the path.
    """

    ready: str
    name: str = NAME

    @property
    def server_vouches(self) -> bool:
        """True, since the route tells about the whole container."""
        return True

    @property
    def asks_server_too(self) -> bool:
        """False, since the route tells about the whole container."""
        return False

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The declared route for each question; for the model that can't exist, a route that can't exist either."""
        del question
        return f"/{NO_SUCH_MODEL}" if model_name == NO_SUCH_MODEL else self.ready

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """The meaning of the answer: a server error means no, as for the kubelet; a 2xx means yes, unless its body says otherwise."""
        if answer.status >= SERVER_ERROR_FROM:
            return no(question, answer)
        reading = HealthRoutes(self.name, self.ready, self.ready).read(question, answer, model_name)
        if reading.verdict is Verdict.NO_ANSWER and reading.reason == reasons.UNEXPECTED_ANSWER and answer.status < OK_BELOW:
            return Reading(Verdict.YES, _YES[question], proves=False)  # any body counts, even an HTML page
        return replace(reading, proves=reading.verdict is not Verdict.YES)


_YES: Final = {
    Question.SERVER_LIVE: reasons.SERVER_LIVE,
    Question.SERVER_READY: reasons.SERVER_READY,
    Question.MODEL_READY: reasons.MODEL_READY,
}


def by_path(path: str) -> HealthProtocol:
    """The protocol that asks by this readiness route."""
    return Declared(path if path.startswith("/") else f"/{path}")
