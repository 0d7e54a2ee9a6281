"""What can go wrong on the wire, and how far the exchange had come.

WireError
├── NameNotFoundError     the host's name does not exist
├── ResolverError         names can't be looked up: the resolver failed, or hangs
├── RefusedAddressError   the guard lets nobody connect there
├── RefusedError          nothing listens there
├── UnreachableError      there is no way there
├── TLSError              the handshake failed
├── TimedOutError         the deadline has passed; `phase` says in what
├── LostError             the connection ended before the answer was complete
├── InvalidAnswerError    what came is not HTTP, or more than is read
├── ExhaustedError        we have run out of descriptors or ports: never the server's fault
└── CrashedError          a bug of ours
"""

from __future__ import annotations

import errno
import ssl
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """How far an exchange had come."""

    NAME = "name"
    CONNECT = "connect"
    TLS = "tls"
    ANSWER = "answer"


class WireError(Exception):
    """An exchange that brought no answer. Its text is one line, without the URL and without secrets.

    Attributes:
        phase: how far it had come.
    """

    def __init__(self, message: str, phase: Phase = Phase.ANSWER) -> None:
        super().__init__(message)
        self.phase = phase


class NameNotFoundError(WireError):
    """The host's name does not exist."""


class ResolverError(WireError):
    """Names can't be looked up."""


class RefusedAddressError(WireError):
    """The guard lets nobody connect there."""


class RefusedError(WireError):
    """Nothing listens there."""


class UnreachableError(WireError):
    """There is no way there."""


class TLSError(WireError):
    """The handshake failed."""


class TimedOutError(WireError):
    """The deadline has passed."""


class LostError(WireError):
    """The connection ended before the answer was complete."""


class InvalidAnswerError(WireError):
    """What came is not HTTP, or is more than is read."""


class ExhaustedError(WireError):
    """We have run out of descriptors, ports or buffers."""


class CrashedError(WireError):
    """A bug of ours; the cause is chained."""


EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN})
"""Errors of connecting that are our own: EADDRNOTAVAIL is no local port left, and EAGAIN a full queue in the kernel."""

OUTSTANDING: Final = {
    Phase.NAME: "its name was not looked up in time",
    Phase.CONNECT: "no TCP connection within the timeout",
    Phase.TLS: "connected, but the TLS handshake did not end within the timeout",
    Phase.ANSWER: "connected, but no complete answer within the timeout",
}


def timed_out(phase: Phase) -> TimedOutError | ResolverError:
    """The deadline has passed; a name that is still being looked up is the resolver's trouble, not the server's."""
    return (ResolverError if phase is Phase.NAME else TimedOutError)(OUTSTANDING[phase], phase)


def from_connecting(error: Exception, phase: Phase) -> WireError:
    """What connecting raised, by its cause."""
    if isinstance(error, WireError):
        return error
    if isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", "") or (error.reason or "").replace("_", " ").lower() or "the handshake failed"
        if "wrong version number" in said or "record layer failure" in said:
            said = f"what answers there does not speak TLS ({said})"
        return TLSError(said, Phase.TLS)
    if isinstance(error, ConnectionRefusedError):
        return RefusedError("the connection was refused: nothing listens there", Phase.CONNECT)
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        return ExhaustedError(f"out of local resources: {error.strerror}", phase)
    if isinstance(error, (ConnectionError, EOFError)):
        said = "the connection was closed in the TLS handshake" if phase is Phase.TLS else "the connection was closed while connecting"
        return LostError(said, phase)
    said = getattr(error, "strerror", None) or type(error).__name__
    return UnreachableError(f"there is no way there: {said}", phase)
