"""vLLM.

Sources: its `/v1/models` (`owned_by: vllm`), `/version`, and `/health` (200 empty; 503, in older releases 500, when its engine is dead).
Its `--api-key` guards `/v1` and `/v2` alone, with 401 `{"error": "Unauthorized"}`: the others are open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import text
from isvcwatch.client.protocols.interview import Recognised
from isvcwatch.client.protocols.words import parse_json

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


GUARDED: Final = {"error": "Unauthorized"}
"""What it says on a guarded route to who has no API key, or a wrong one."""

HEALTH: Final = frozenset({200, 500, 503})
"""The statuses of its `/health`."""


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise vLLM by the owner of the models on its list, or by the routes beside it where the list is behind an API key."""
    answer = yield from interview.ask("/v1/models")
    if answer is not None and answer.status == 401 and parse_json(answer.body) == GUARDED:  # noqa: PLR2004
        return (yield from _guarded(interview))
    listed = yield from interview.json("/v1/models")
    data = listed.get("data")
    models = [model for model in data if isinstance(model, dict)] if isinstance(data, list) else []
    if not any(model.get("owned_by") == "vllm" for model in models):
        return None
    return Recognised(_called(text((yield from interview.json("/version")), "version")), ("vllm",), (yield from interview.openai_models()))


def _guarded(interview: Interview) -> Steps[Recognised | None]:
    """Recognise vLLM behind an API key: `/version` has its version and no more, and `/health` has no words."""
    about = yield from interview.json("/version")
    version = text(about, "version")
    if not version or len(about) > 1:
        return None
    health = yield from interview.ask("/health")
    if health is None or health.status not in HEALTH or health.body.strip():
        return None
    return Recognised(_called(version), ("vllm",))


def _called(version: str) -> str:
    return f"vLLM {version}".strip()
