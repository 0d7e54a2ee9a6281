"""The errors that the client raises.

Exception
├── ValueError
│   ├── UnsupportedProtocol      the protocol is unknown, or has no such call; nothing was sent
│   └── InvalidInput             data that can't be sent, or an answer that can't be read
│       └── InvalidTensor        a tensor whose shape, datatype or bytes don't fit each other
├── RuntimeError
│   └── InferenceError           KServe's name for tensor errors; InvalidTensor is one too
├── httpx.InvalidURL             a base URL without http:// or https://, or with no host; nothing was sent
└── httpx.HTTPError
    ├── httpx.HTTPStatusError    the server answered with a status that is an error, with the server's own message
    └── httpx.TransportError     no answer: ConnectError, ReadTimeout and so on
"""

from __future__ import annotations

import httpx

from isvcwatch.client.protocols import UnsupportedProtocol
from isvcwatch.client.protocols.urls import without_secrets
from isvcwatch.client.protocols.words import server_words

__all__ = ["InferenceError", "InvalidInput", "InvalidTensor", "UnsupportedProtocol", "status_error"]

MESSAGE_LIMIT = 512
"""The most characters of a server's message in an error: enough for the last lines of a stack trace, but not for a whole page."""


class InvalidInput(ValueError):  # noqa: N818 - the name that KServe's SDK gave it
    """Data that can't be sent, or an answer that can't be read.

    Attributes:
        reason: the message, as KServe's SDK has it.
    """

    def __init__(self, reason: str) -> None:
        """Stores the message."""
        self.reason = reason
        super().__init__(reason)


class InferenceError(RuntimeError):
    """The error that KServe's SDK raises for invalid tensors. This client raises its subclass `InvalidTensor`.

    Attributes:
        reason: the message.
        status: a status to prefix to it, or None.
        debug_details: anything for debugging, or None.
    """

    def __init__(self, reason: str, status: str | None = None, debug_details: object = None) -> None:
        """Stores the message and the details."""
        self.reason = reason
        self.status = status
        self.debug_details = debug_details
        super().__init__(reason if status is None else f"[{status}] {reason}")


class InvalidTensor(InvalidInput, InferenceError):  # noqa: N818 - as its parent
    """A tensor whose shape, datatype or bytes don't fit each other. It is a subclass of both of KServe's error classes."""

    def __init__(self, reason: str) -> None:
        """Stores the message."""
        InferenceError.__init__(self, reason)


def status_error(response: httpx.Response) -> httpx.HTTPStatusError:
    """The error for a response, with the server's own message, whatever format its body has, and without the URL's credentials.

    Args:
        response: a response whose body has been read.
    """
    words = server_words(response.content, MESSAGE_LIMIT)
    where = without_secrets(str(response.request.url))
    code = f"{response.status_code} {response.reason_phrase}".rstrip()
    message = f"{words}, '{code}' for url '{where}'" if words else f"'{code}' for url '{where}'"
    return httpx.HTTPStatusError(message, request=response.request, response=response)
