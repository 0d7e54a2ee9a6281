"""TensorFlow Serving: V1 without a list of its models.

Source: its `model_servers/http_rest_api_handler.cc`: `/v1/models` is 400 "Missing model name in request.".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isvcwatch.client.protocols.interview import Recognised
from isvcwatch.client.protocols.words import server_words

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise TensorFlow Serving by its answer to a request for a list of models."""
    answer = yield from interview.ask("/v1/models")
    if answer is not None and answer.status == 400 and "missing model name" in server_words(answer.body).lower():  # noqa: PLR2004
        return Recognised("TensorFlow Serving", ("v1",))
    return None
