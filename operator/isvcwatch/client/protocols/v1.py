"""The V1 protocol's health routes: KServe's ModelServer, TensorFlow Serving, TorchServe behind KServe's wrapper.

Sources: KServe's "V1 inference protocol" (`/` answers `{"status": "alive"}`, `/v1/models/m` answers `{"name", "ready"}`, 503 when not
ready, 404 when unknown); TensorFlow Serving's "RESTful API" (`/v1/models/m` answers `model_version_status`, with 200 while loading).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from isvcwatch.client.protocols import reasons
from isvcwatch.client.protocols.base import Answer, ByModel, Question, Reading, Verdict
from isvcwatch.client.protocols.foreign import denies_the_model
from isvcwatch.client.protocols.status import NOT_FOUND, SERVICE_UNAVAILABLE, is_ok, no_answer, not_about_health
from isvcwatch.client.protocols.truth import truth
from isvcwatch.client.protocols.urls import escape_segment
from isvcwatch.client.protocols.words import NOT_JSON, parse_json, says_not_ready, server_words

_ALIVE: Final = frozenset({"alive", "healthy", "partial healthy"})
_DEAD: Final = frozenset({"dead", "not alive", "unhealthy"})
"""Words for a server that is not live. KServe says `alive` if it is; TorchServe's ping may say `Unhealthy` with a status of 200."""

_COMING: Final = frozenset({"START", "LOADING", "UNKNOWN"})
"""States of TF Serving's `ModelVersionStatus.State` before AVAILABLE; UNLOADING and END come after it."""


@dataclass(frozen=True, slots=True)
class V1(ByModel):
    """Asks by `/` and `/v1/models/{model}`; V1 has no route for the server's readiness."""

    name: str = "v1"

    def path(self, question: Question, model_name: str | None = None) -> str | None:
        """The question's route; None for the server's readiness."""
        if question is Question.SERVER_LIVE:
            return "/"
        if question is Question.MODEL_READY:
            return f"/v1/models/{escape_segment(model_name)}"
        return None

    def read(self, question: Question, answer: Answer, model_name: str | None = None) -> Reading:
        """The meaning of the answer. A 200 without a JSON object does not count, since any web server could have sent it."""
        live = question is Question.SERVER_LIVE
        if reading := not_about_health(answer):
            return reading
        if answer.status == SERVICE_UNAVAILABLE:
            reason = reasons.SERVER_NOT_LIVE if live else reasons.MODEL_NOT_READY
            words = server_words(answer.body)
            return Reading(Verdict.NO, reason, words, knows_model=not live and says_not_ready(words, model_name))
        if answer.status == NOT_FOUND and not live and denies_the_model(answer, model_name):
            return Reading(Verdict.NO, reasons.MODEL_NOT_FOUND, server_words(answer.body))
        if not is_ok(answer.status):
            reason = reasons.NOT_FOUND if answer.status == NOT_FOUND else reasons.UNEXPECTED_ANSWER
            return no_answer(reason, f"HTTP {answer.status} {server_words(answer.body)}")
        value = parse_json(answer.body)
        if not isinstance(value, dict):
            kind = "no JSON" if value is NOT_JSON else "no JSON object"
            return no_answer(reasons.UNEXPECTED_ANSWER, f"HTTP {answer.status} with {kind}: {server_words(answer.body)}")
        return _read_live(value) if live else _read_model(value, model_name)


def _read_live(value: dict[str, object]) -> Reading:
    status = value.get("status")
    said = status.strip().lower() if isinstance(status, str) else ""
    if said in _ALIVE:
        return Reading(Verdict.YES, reasons.SERVER_LIVE)
    if said in _DEAD:
        return Reading(Verdict.NO, reasons.SERVER_NOT_LIVE, f"status is {said}")
    return no_answer(reasons.UNEXPECTED_ANSWER, "the answer has no status that V1 knows")


def _read_model(value: dict[str, object], model_name: str | None) -> Reading:
    if "ready" in value:
        ready = truth(value["ready"])
        if ready is None:
            return no_answer(reasons.UNEXPECTED_ANSWER, "the answer's `ready` is neither true nor false")
        return (
            Reading(Verdict.YES, reasons.MODEL_READY, proves=value.get("name") == model_name)
            if ready
            else Reading(Verdict.NO, reasons.MODEL_NOT_READY, knows_model=value.get("name") == model_name)
        )
    if isinstance(versions := value.get("model_version_status"), list):
        return _read_versions(versions)
    if isinstance(status := value.get("status"), str) and status.strip().lower() == "unhealthy":
        return Reading(Verdict.NO, reasons.MODEL_NOT_READY, "status is unhealthy")
    return no_answer(reasons.UNEXPECTED_ANSWER, "the answer has neither `ready` nor `model_version_status`")


def _read_versions(versions: list[object]) -> Reading:
    """The meaning of TensorFlow Serving's answer: the model is ready if at least one version is AVAILABLE."""
    known = [version for version in versions if isinstance(version, dict)]
    states = [str(version.get("state", "UNKNOWN")).upper() for version in known]
    if "AVAILABLE" in states:
        return Reading(Verdict.YES, reasons.MODEL_READY)
    words = next(filter(None, (_version_words(version) for version in known)), "")
    detail = f"{words or 'no version is AVAILABLE'}{': ' + ', '.join(sorted(set(states))) if states else ''}"
    reason = reasons.MODEL_LOADING if _COMING.intersection(states) else reasons.MODEL_NOT_READY
    return Reading(Verdict.NO, reason, server_words(detail.encode()))


def _version_words(version: dict[str, object]) -> str:
    status = version.get("status")
    message = status.get("error_message") if isinstance(status, dict) else None
    return message if isinstance(message, str) else ""
