"""What can go wrong before there is an answer: each a named cause, and whether it speaks of the server or of the watcher."""

from __future__ import annotations

from typing import Final

from isvcwatch.client import transport
from isvcwatch.client.transport import Phase, WireError
from isvcwatch.core.conditions import Status, one_line
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import Reason

UNKNOWN: Final = frozenset({Reason.TARGET_REFUSED, Reason.RESOLVER_FAILED, Reason.TLS_FAILED, Reason.INVALID_ANSWER, Reason.PROBE_FAILED})
"""Causes that don't tell whether the model would answer; all others mean that it does not."""

NOTHING_LISTENS: Final = frozenset(
    {
        Reason.CONNECTION_REFUSED,
        Reason.CONNECTION_TIMED_OUT,
        Reason.UNREACHABLE,
        Reason.NAME_NOT_FOUND,
        Reason.RESOLVER_FAILED,
        Reason.TARGET_REFUSED,
        Reason.TLS_FAILED,
    }
)
"""Failures below HTTP: another route of the same server would say the same."""

OWN_LATENESS: Final = frozenset(
    {Reason.TIMED_OUT, Reason.CONNECTION_TIMED_OUT, Reason.CONNECTION_LOST, Reason.RESOLVER_FAILED, Reason.TLS_FAILED}
)
"""What the watcher's own lateness can look like: a stopped process hears its deadlines before its answers, and is given up by others."""

SILENT: Final = frozenset({Reason.TIMED_OUT, Reason.CONNECTION_TIMED_OUT})
"""Failures that take as long as the timeout allows."""

CAUSES: Final[dict[type[WireError], tuple[Reason, str]]] = {
    transport.NameNotFoundError: (Reason.NAME_NOT_FOUND, "{url} was not asked: {why}"),
    transport.ResolverError: (Reason.RESOLVER_FAILED, "{url} was not asked: {why}"),
    transport.RefusedAddressError: (
        Reason.TARGET_REFUSED,
        "{url} was not asked: {why}; where that is meant to be, start isvcwatch with --allow-cidr for its range",
    ),
    transport.RefusedError: (Reason.CONNECTION_REFUSED, "{url} refused the connection: nothing listens there"),
    transport.UnreachableError: (Reason.UNREACHABLE, "there is no way to {url}: {why}"),
    transport.TLSError: (Reason.TLS_FAILED, "TLS with {url} failed: {why}"),
    transport.LostError: (Reason.CONNECTION_LOST, "{url} closed the connection before its answer was complete"),
    transport.CrashedError: (Reason.PROBE_FAILED, "{url} was not asked: {why}"),
    transport.InvalidAnswerError: (Reason.INVALID_ANSWER, "{url} did not answer in HTTP: {why}"),
}
"""Cause and message of each error of the transport, but for those that take its phase to tell."""

TIMED_OUT: Final[dict[Phase, tuple[Reason, str]]] = {
    Phase.NAME: (Reason.RESOLVER_FAILED, "{url} was not asked: its name was not resolved within the timeout"),
    Phase.CONNECT: (Reason.CONNECTION_TIMED_OUT, "no connection to {url} within the timeout"),
    Phase.TLS: (Reason.TIMED_OUT, "no TLS handshake with {url} within the timeout"),
    Phase.ANSWER: (Reason.TIMED_OUT, "no answer from {url} within the timeout"),
}
"""What was outstanding when the time was up."""

CRASHED: Final = Finding(Status.UNKNOWN, Reason.PROBE_FAILED, "the probe itself failed: a bug of isvcwatch, its log has the traceback")


def finding(error: WireError, url: str) -> Finding:
    """What an error of the transport means for a condition.

    Args:
        error: any but `ExhaustedError`, which is the watcher's own trouble and says nothing.
        url: what was asked, for the message; without credentials.
    """
    reason, words = TIMED_OUT[error.phase] if isinstance(error, transport.TimedOutError) else CAUSES[type(error)]
    message = words.format(url=url, why=one_line(str(error), 192))
    return Finding(Status.UNKNOWN if reason in UNKNOWN else Status.FALSE, reason, message)
