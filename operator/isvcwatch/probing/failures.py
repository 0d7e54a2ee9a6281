"""Turns errors of the transport into findings, each with a reason that tells whether the server or the watcher failed."""

from __future__ import annotations

from typing import Final

from isvcwatch.client import transport
from isvcwatch.client.transport import Phase, WireError
from isvcwatch.core.conditions import Status, one_line
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import Reason

UNKNOWN: Final = frozenset(
    {
        Reason.TARGET_REFUSED,
        Reason.RESOLVER_FAILED,
        Reason.TLS_FAILED,
        Reason.MESH_TLS,
        Reason.INVALID_ANSWER,
        Reason.PROBE_FAILED,
    }
)
"""Reasons that don't tell whether the model would answer; all others mean that it does not answer."""

NOTHING_LISTENS: Final = frozenset(
    {
        Reason.CONNECTION_REFUSED,
        Reason.CONNECTION_TIMED_OUT,
        Reason.UNREACHABLE,
        Reason.NAME_NOT_FOUND,
        Reason.RESOLVER_FAILED,
        Reason.TARGET_REFUSED,
        Reason.TLS_FAILED,
        Reason.MESH_TLS,
    }
)
"""Failures before HTTP begins, which every route of the same server would have."""

OWN_LATENESS: Final = frozenset(
    {Reason.TIMED_OUT, Reason.CONNECTION_TIMED_OUT, Reason.CONNECTION_LOST, Reason.RESOLVER_FAILED, Reason.TLS_FAILED}
)
"""Failures that the watcher's own lateness can cause: a stalled process sees its deadlines pass before it reads the answers, and servers
close its connections."""

SILENT: Final = frozenset({Reason.TIMED_OUT, Reason.CONNECTION_TIMED_OUT})
"""Failures that are known only once the timeout has passed."""

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
    transport.UntrustedError: (Reason.TLS_FAILED, "TLS with {url} failed: {why}"),
    transport.AlertError: (Reason.TLS_FAILED, "TLS with {url} failed: {why}"),
    transport.CertificateWantedError: (
        Reason.MESH_TLS,
        "{url} wants a client certificate, as a mesh with mutual TLS does: take isvcwatch into it, or let plain HTTP through to this port",
    ),
    transport.LostError: (Reason.CONNECTION_LOST, "{url} closed the connection before its answer was complete"),
    transport.CrashedError: (Reason.PROBE_FAILED, "{url} was not asked: {why}"),
    transport.InvalidAnswerError: (Reason.INVALID_ANSWER, "{url} did not answer in HTTP: {why}"),
}
"""Reason and message for each error of the transport, except for those that depend on its phase."""

TIMED_OUT: Final[dict[Phase, tuple[Reason, str]]] = {
    Phase.NAME: (Reason.RESOLVER_FAILED, "{url} was not asked: its name was not resolved within the timeout"),
    Phase.CONNECT: (Reason.CONNECTION_TIMED_OUT, "no connection to {url} within the timeout"),
    Phase.TLS: (Reason.TIMED_OUT, "no TLS handshake with {url} within the timeout"),
    Phase.ANSWER: (Reason.TIMED_OUT, "no answer from {url} within the timeout"),
}
"""Reason and message for a timeout, by the phase that was under way."""

CRASHED: Final = Finding(Status.UNKNOWN, Reason.PROBE_FAILED, "the probe itself failed: a bug of isvcwatch, its log has the traceback")


def finding(error: WireError, url: str) -> Finding:
    """The finding for an error of the transport.

    Args:
        error: any error but `ExhaustedError`, which says nothing about the server.
        url: the URL that was asked, without credentials, for the message.
    """
    reason, words = TIMED_OUT[error.phase] if isinstance(error, transport.TimedOutError) else CAUSES[type(error)]
    message = words.format(url=url, why=one_line(str(error), 256))
    return Finding(Status.UNKNOWN if reason in UNKNOWN else Status.FALSE, reason, message)
