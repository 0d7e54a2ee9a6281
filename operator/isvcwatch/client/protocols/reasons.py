"""The vocabulary of readings: one CamelCase word for each thing that an answer can mean.

The same word is a condition's reason, an Event's reason and a metric's label; add here, not where it is used.
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
"""Registered and on its way: TensorFlow Serving answers 200 in this state."""
MODEL_NOT_FOUND: Final = "ModelNotFound"
"""The server answers, and knows no model of that name."""

NOT_FOUND: Final = "RouteNotFound"
"""The route is absent: another server, another protocol, or another base path."""
UNAUTHORIZED: Final = "Unauthorized"
FORBIDDEN: Final = "Forbidden"
REDIRECTED: Final = "Redirected"
TOO_MANY_REQUESTS: Final = "TooManyRequests"
SERVER_ERROR: Final = "ServerError"
UNEXPECTED_ANSWER: Final = "UnexpectedAnswer"
"""An answer that this protocol does not know: HTML, a broken body, an odd status."""
