"""TorchServe itself, not KServe's wrapper around it.

Sources: "Inference API", health check; `InferenceRequestHandler.java`: `/ping` is `{"status": "Healthy"}`, 500 `{"status": "Unhealthy"}`
when workers are dead, and in older releases 200 with "Unhealthy" or "Partial Healthy". A model that was unregistered is not reported.
`HttpRequestHandler.java`: a route that it lacks is `ResourceNotFoundException`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import HealthRoutes, text
from isvcwatch.client.protocols.interview import Recognised
from isvcwatch.client.protocols.words import parse_json

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps

TORCHSERVE: Final = HealthRoutes("torchserve", "/ping", "/ping", says_no=frozenset({500, 503}))


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise TorchServe by its message about a route that it lacks."""
    answer = yield from interview.ask("/v2")
    said = parse_json(answer.body) if answer is not None else None
    if isinstance(said, dict) and text(said, "type") == "ResourceNotFoundException":
        return Recognised("TorchServe", (TORCHSERVE.name,))
    return None
