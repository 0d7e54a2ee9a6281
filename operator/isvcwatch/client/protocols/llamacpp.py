"""llama.cpp's server. Sources: `tools/server/server-http.cpp`: every answer has `Server: llama.cpp`; all routes are 503 while it loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import HealthRoutes
from isvcwatch.client.protocols.interview import Recognised

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps

LLAMACPP: Final = HealthRoutes("llamacpp", "/health", "/health")


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise llama.cpp by its Server header, which it also sends while it loads."""
    answer = yield from interview.ask("/v1/models")
    if answer is None or not answer.headers.get("server", "").lower().startswith("llama.cpp"):
        return None
    return Recognised("llama.cpp", (LLAMACPP.name,), (yield from interview.openai_models()))
