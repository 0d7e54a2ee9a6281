"""The errors of an exchange, each with the phase in which it failed.

WireError
├── NameNotFoundError     the host's name does not exist
├── ResolverError         names can't be looked up: the resolver failed, or hangs
├── RefusedAddressError   the guard does not allow the address
├── RefusedError          nothing listens at the address
├── UnreachableError      the network has no route to the address
├── TLSError              the TLS handshake failed
│   ├── UntrustedError          the server's certificate is not trusted, or is for another host
│   ├── AlertError              the server speaks TLS, and refused the handshake
│   └── CertificateWantedError  the server wants a certificate of its client
├── TimedOutError         the deadline has passed; `phase` says what was under way
├── LostError             the connection ended before the answer was complete
├── InvalidAnswerError    the answer is not HTTP, or exceeds a limit
├── ExhaustedError        we have run out of descriptors or ports: never the server's fault
└── CrashedError          a bug in isvcwatch
"""

from __future__ import annotations

import errno
import ssl
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """The phases of an exchange, in order."""

    NAME = "name"
    CONNECT = "connect"
    TLS = "tls"
    ANSWER = "answer"


class WireError(Exception):
    """An exchange has failed. The error's text is one line, without the URL and without secrets.

    Attributes:
        phase: the phase in which it failed.
    """

    def __init__(self, message: str, phase: Phase = Phase.ANSWER) -> None:
        super().__init__(message)
        self.phase = phase


class NameNotFoundError(WireError):
    """The host's name does not exist."""


class ResolverError(WireError):
    """Names can't be looked up."""


class RefusedAddressError(WireError):
    """The guard does not allow the address."""


class RefusedError(WireError):
    """Nothing listens at the address."""


class UnreachableError(WireError):
    """The network has no route to the address."""


class TLSError(WireError):
    """The TLS handshake failed."""


class UntrustedError(TLSError):
    """The server's certificate is not trusted, or is for another host."""


class AlertError(TLSError):
    """The server speaks TLS, and refused the handshake."""


class CertificateWantedError(TLSError):
    """The server wants a certificate of its client. With TLS 1.3 it says so only in place of an answer."""


class TimedOutError(WireError):
    """The deadline has passed."""


class LostError(WireError):
    """The connection ended before the answer was complete."""


class InvalidAnswerError(WireError):
    """The answer is not HTTP, or exceeds a limit."""


class ExhaustedError(WireError):
    """We have run out of descriptors, ports or buffers."""


class CrashedError(WireError):
    """A bug in isvcwatch ended the exchange; its exception is chained."""


EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN})
"""Error numbers of connecting that the server does not cause. EADDRNOTAVAIL means that no local port is left, EAGAIN that a queue in
the kernel is full."""

DEMANDS: Final = ("ALERT_CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE")
"""The ends of OpenSSL's names for alerts by which servers ask for a client's certificate. Go sends the second one with TLS 1.2."""

OUTSTANDING: Final = {
    Phase.NAME: "its name was not looked up in time",
    Phase.CONNECT: "no TCP connection within the timeout",
    Phase.TLS: "connected, but the TLS handshake did not end within the timeout",
    Phase.ANSWER: "connected, but no complete answer within the timeout",
}


def timed_out(phase: Phase) -> TimedOutError | ResolverError:
    """The error for a deadline that has passed. During the lookup of a name it is the resolver's fault, not the server's."""
    return (ResolverError if phase is Phase.NAME else TimedOutError)(OUTSTANDING[phase], phase)


def from_connecting(error: Exception, phase: Phase) -> WireError:
    """The error for an exception that was raised while connecting."""
    if isinstance(error, WireError):
        return error
    if isinstance(error, ssl.SSLError):
        return from_handshake(error, agreed=False)
    if isinstance(error, ConnectionRefusedError):
        return RefusedError("the connection was refused: nothing listens there", Phase.CONNECT)
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        return ExhaustedError(f"out of local resources: {error.strerror}", phase)
    if isinstance(error, (ConnectionError, EOFError)):
        said = "the connection was closed in the TLS handshake" if phase is Phase.TLS else "the connection was closed while connecting"
        return LostError(said, phase)
    said = getattr(error, "strerror", None) or type(error).__name__
    return UnreachableError(f"there is no way there: {said}", phase)


def from_handshake(error: ssl.SSLError, *, agreed: bool) -> TLSError:
    """The error for a TLS handshake that failed.

    Args:
        error: the error of OpenSSL.
        agreed: whether the server had agreed on a cipher before. If it ends the handshake after that, it wants a certificate of its client:
            OpenSSL and Envoy tell that by the same alert of TLS 1.2 (`handshake_failure`) as a lack of common ciphers.
    """
    said, reason = _words(error), error.reason or ""
    kind = TLSError
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = UntrustedError
    elif reason.endswith(DEMANDS) or (agreed and reason.endswith("ALERT_HANDSHAKE_FAILURE")):
        kind = CertificateWantedError
    elif "_ALERT_" in reason:
        kind = AlertError
    elif "wrong version number" in said or "record layer failure" in said:
        said = f"what answers there does not speak TLS ({said})"
    found = kind(said, Phase.TLS)
    found.__cause__ = error
    return found


def too_long(limit: int) -> InvalidAnswerError:
    """The error for a body of more than so many bytes."""
    return InvalidAnswerError(f"its body is longer than {limit // 1024} KiB")


def lost(error: Exception) -> LostError | CertificateWantedError:
    """The error for an exception that ended a connection before the answer was complete."""
    if isinstance(error, ssl.SSLError):
        kind = CertificateWantedError if (error.reason or "").endswith(DEMANDS) else LostError
        return kind(f"TLS failed before the answer was complete: {_words(error)}")
    return LostError("the connection was reset before the answer was complete")


def _words(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or (error.reason or "").replace("_", " ").lower() or "the handshake failed"
