"""SGLang.

Source: `python/sglang/srt/entrypoints/http_server.py`: `/model_info` (older: `/get_model_info`), `/health` (503 while it warms up).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import HealthRoutes
from isvcwatch.client.protocols.interview import Recognised

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps

SGLANG: Final = HealthRoutes("sglang", "/health", "/health")


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise SGLang by its description of its model."""
    for path in ("/model_info", "/get_model_info"):
        about = yield from interview.json(path)
        if "model_path" in about and ("is_generation" in about or "tokenizer_path" in about):
            return Recognised("SGLang", (SGLANG.name,), (yield from interview.openai_models()))
    return None
