"""What can go wrong before there is an answer: each a named cause, and whether it speaks of the server or of the watcher."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

import httpcore

from isvcwatch.core.conditions import Status, one_line
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import Reason

UNKNOWN: Final = frozenset({Reason.TARGET_REFUSED, Reason.RESOLVER_FAILED, Reason.TLS_FAILED, Reason.INVALID_ANSWER, Reason.PROBE_FAILED})
"""Causes that don't tell whether the model would answer; all others mean that it does not."""

NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

UNREACHABLE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EHOSTDOWN, errno.ENETDOWN})


class ProbeError(Exception):
    """A probe that got no answer.

    Attributes:
        reason: the cause.
        message: one line for people.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def finding(self) -> Finding:
        """What it means for a condition."""
        return Finding(Status.UNKNOWN if self.reason in UNKNOWN else Status.FALSE, self.reason, self.message)


def translate(error: Exception, url: str) -> ProbeError:  # noqa: PLR0911 -- a table
    """The named cause of what the transport raised.

    Args:
        error: from httpcore, ssl or asyncio.
        url: what was asked, for the message; without credentials.
    """
    if isinstance(error, ProbeError):
        return error
    if isinstance(error, (TimeoutError, httpcore.TimeoutException)):
        return ProbeError(Reason.TIMED_OUT, f"no answer from {url} within the timeout")
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError):
            said = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "handshake failed"
            return ProbeError(Reason.TLS_FAILED, f"TLS with {url} failed: {one_line(str(said), 128)}")
        if isinstance(cause, ConnectionRefusedError):
            return ProbeError(Reason.CONNECTION_REFUSED, f"{url} refused the connection: nothing listens there")
        if isinstance(cause, OSError) and cause.errno in UNREACHABLE:
            return ProbeError(Reason.UNREACHABLE, f"there is no way to {url}: {cause.strerror}")
    if isinstance(error, httpcore.RemoteProtocolError) and "Server disconnected" not in str(error) and "peer closed" not in str(error):
        return ProbeError(Reason.INVALID_ANSWER, f"{url} did not answer in HTTP: {one_line(str(error), 128)}")
    return ProbeError(Reason.CONNECTION_LOST, f"{url} closed the connection before its answer was complete")


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what caused it: the transport wraps the system's own."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain
