"""vLLM.

Sources: its `/v1/models` (`owned_by: vllm`), `/version`, and `/health` (200 empty; 503, in older releases 500, when its engine is dead).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isvcwatch.client.protocols.health import text
from isvcwatch.client.protocols.interview import Recognised

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise vLLM by the owner of the models on its list."""
    listed = yield from interview.json("/v1/models")
    data = listed.get("data")
    models = [model for model in data if isinstance(model, dict)] if isinstance(data, list) else []
    if not any(model.get("owned_by") == "vllm" for model in models):
        return None
    version = text((yield from interview.json("/version")), "version")
    return Recognised(f"vLLM {version}".strip(), ("vllm",), (yield from interview.openai_models()))
