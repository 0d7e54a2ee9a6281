"""The vocabulary of readings: one CamelCase word for each thing that an answer can mean.

The same word is used as a condition's reason, an Event's cause and a metric's label, so a new one is added here first.
"""

from __future__ import annotations

from typing import Final

SERVER_LIVE: Final = "ServerLive"
SERVER_NOT_LIVE: Final = "ServerNotLive"
SERVER_READY: Final = "ServerReady"
SERVER_NOT_READY: Final = "ServerNotReady"
MODEL_READY: Final = "ModelReady"
MODEL_NOT_READY: Final = "ModelNotReady"
MODEL_LOADING: Final = "ModelLoading"
"""The model is registered and is being loaded; TensorFlow Serving answers 200 in this state."""
MODEL_NOT_FOUND: Final = "ModelNotFound"
"""The server answers, but has no model of that name."""

NOT_FOUND: Final = "RouteNotFound"
"""The route does not exist: the server, its protocol or its base path is another one."""
UNAUTHORIZED: Final = "Unauthorized"
FORBIDDEN: Final = "Forbidden"
REDIRECTED: Final = "Redirected"
TOO_MANY_REQUESTS: Final = "TooManyRequests"
SERVER_ERROR: Final = "ServerError"
UNEXPECTED_ANSWER: Final = "UnexpectedAnswer"
"""The answer does not follow the protocol: it is HTML, has a broken body, or has an unexpected status."""
