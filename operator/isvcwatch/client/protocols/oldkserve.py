"""KServe's older model servers, without `/v2`, and servers that speak as they do: they have a V1 list of models.

Source: kserve's `v1_endpoints.py`: `/v1/models` is `{"models": [names]}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isvcwatch.client.protocols.interview import Recognised, names

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise such a server by the format of its list."""
    listed = yield from interview.json("/v1/models")
    models = listed.get("models")
    if isinstance(models, list) and "data" not in listed and all(isinstance(model, str) for model in models):
        return Recognised("a model server with V1's list", ("v1",), names(models, ""))
    return None
