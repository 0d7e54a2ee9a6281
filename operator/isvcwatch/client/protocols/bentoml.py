"""BentoML.

Sources: `_bentoml_impl/server/app.py`, `bentoml/_internal/server/base_app.py`: `/schema.json`, and `/readyz` with 503 while it can't serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import HealthRoutes, text
from isvcwatch.client.protocols.interview import Recognised

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps

BENTOML: Final = HealthRoutes("bentoml", "/livez", "/readyz", says_no=frozenset({500, 503}))


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise BentoML by its description of itself."""
    schema = yield from interview.json("/schema.json")
    if text(schema, "type") == "service" and isinstance(schema.get("routes"), list):
        return Recognised("BentoML", (BENTOML.name,))
    return None
