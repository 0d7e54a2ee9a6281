"""Ray Serve. Source: `python/ray/serve/_private/proxy.py`: `/-/healthz` is the proxy's health; a replica that is dead is not seen there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.health import HealthRoutes
from isvcwatch.client.protocols.interview import Recognised

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps

RAYSERVE: Final = HealthRoutes("rayserve", "/-/healthz", "/-/healthz", vouches=False)


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise Ray Serve by its message about a route that it lacks, or by its table of routes."""
    answer = yield from interview.ask("/v2")
    said = answer.body[:512].decode("utf-8", errors="ignore") if answer is not None else ""
    if "/-/routes" not in said:
        return None
    return Recognised("Ray Serve", (RAYSERVE.name,))
