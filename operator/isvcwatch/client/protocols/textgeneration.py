"""Hugging Face's Text Generation Inference (TGI) and Text Embeddings Inference (TEI).

Sources: `router/src/server.rs` and `router/src/http/server.rs`: `/info` says what they are, `/health` is 503 when they can't serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import HealthRoutes, text
from isvcwatch.client.protocols.interview import Recognised

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps

TGI: Final = HealthRoutes("tgi", "/health", "/health")
TEI: Final = HealthRoutes("tei", "/health", "/health")


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise either by `/info`, in which TGI names its router and TEI the type of its model."""
    about = yield from interview.json("/info")
    if "model_id" not in about:
        return None
    names = tuple(filter(None, (text(about, "served_model_name") or text(about, "model_id"),)))
    if "model_type" in about:
        return Recognised(f"Text Embeddings Inference {text(about, 'version')}".strip(), (TEI.name,), names)
    if "router" in about or "max_concurrent_requests" in about or "model_pipeline_tag" in about:
        return Recognised(f"Text Generation Inference {text(about, 'version')}".strip(), (TGI.name,), names)
    return None
