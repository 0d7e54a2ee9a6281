"""NVIDIA NIM. Source: its API reference: `/v1/health/ready` is 200 `{"object": "health.response"}`, else 503 `{"object": "error"}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import HealthRoutes
from isvcwatch.client.protocols.interview import Recognised
from isvcwatch.client.protocols.words import parse_json

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps

NIM: Final = HealthRoutes("nim", "/v1/health/live", "/v1/health/ready")


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise NIM by the `object` in its readiness route's answer, whether ready or not; an embedding service adds `ready`."""
    answer = yield from interview.ask("/v1/health/ready")
    said = parse_json(answer.body) if answer is not None else None
    if not isinstance(said, dict):
        return None
    unready = said.get("object") == "error" and str(said.get("type", "")).startswith("ServiceUnavailable")
    if said.get("object") != "health.response" and not unready:
        return None
    return Recognised("NVIDIA NIM", (NIM.name,), (yield from interview.openai_models()))
