"""KServe's model server from before it had `/v2` in every release, and what speaks as it does: a V1 list of models.

Source: kserve's `v1_endpoints.py`: `/v1/models` is `{"models": [names]}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isvcwatch.client.protocols.interview import Recognised, names

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """By the shape of its list."""
    listed = yield from interview.json("/v1/models")
    models = listed.get("models")
    if isinstance(models, list) and "data" not in listed and all(isinstance(model, str) for model in models):
        return Recognised("a model server with V1's list", ("v1",), names(models, ""))
    return None
