"""Finds out where and how a server answers that gives no answer as it was asked: by TLS, or at another base URL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from isvcwatch.client.protocols import Inquiry, Question, declared, named
from isvcwatch.client.protocols.foreign import wants_tls
from isvcwatch.client.transport import AlertError, CertificateWantedError, Phase, UntrustedError, WireError
from isvcwatch.core.derive.address import over_tls
from isvcwatch.core.reasons import Reason
from isvcwatch.probing import failures

if TYPE_CHECKING:
    from collections.abc import Generator

    from isvcwatch.client.protocols import Answer, HealthProtocol
    from isvcwatch.core.health import Finding
    from isvcwatch.core.targets import Hop

MOST_PLACES: Final = 3
"""The most other base URLs that are tried."""

PLAIN: Final = "http"

MAY_MEAN_TLS: Final = frozenset({Reason.CONNECTION_LOST, Reason.TLS_REQUIRED})
"""Findings from a plain connection that may mean that the port takes TLS alone."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a closer look.

    Attributes:
        base_url: the base URL that the request's path is appended to.
        inquiry: the request.
        verified: whether the server's certificate must be trusted.
    """

    base_url: str
    inquiry: Inquiry
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a server is asked.

    Attributes:
        hop: the hop with the base URL at which it is asked.
        answer: its answer to the question for the model there; None if none came, or none was asked for.
        note: why it is asked there, for messages; empty if nothing speaks for another place than the derived one.
        doubt: the finding to report if the server speaks TLS, but not with the watcher; else None.
        asked: how many requests that took.
    """

    hop: Hop
    answer: Answer | None = None
    note: str = ""
    doubt: Finding | None = None
    asked: int = 0


Placing: TypeAlias = "Generator[Call, Answer | WireError, Whereabouts]"


def protocol_of(hop: Hop) -> HealthProtocol:
    """The protocol that the hop's server is asked by."""
    return declared.by_path(hop.ready_path) if hop.protocol == declared.NAME else named(hop.protocol)


def may_speak_tls(hop: Hop, found: Finding) -> bool:
    """Whether a finding leaves it open that the server answers by TLS, perhaps with a certificate that is not trusted."""
    if urlsplit(hop.base_url).scheme == PLAIN:
        return found.reason in MAY_MEAN_TLS
    return hop.tls_by_spec and hop.verified and found.reason == Reason.TLS_FAILED


def by_tls(hop: Hop) -> Placing:
    """Ask the hop's port by TLS, and once more without a look at the certificate if that is not trusted.

    A whole request is sent and not only a handshake made, since a server with TLS 1.3 asks for a client certificate only after it.
    """
    there = replace(hop, base_url=over_tls(hop.base_url), other_urls=())
    came = yield _question(there)
    asked = 1
    if isinstance(came, UntrustedError):
        there = replace(there, verified=False)
        came = yield _question(there)
        asked += 1
    if isinstance(came, CertificateWantedError | AlertError):
        return Whereabouts(hop, doubt=failures.finding(came, there.base_url), asked=asked)
    if isinstance(came, WireError) and came.phase is not Phase.ANSWER:
        return Whereabouts(hop, asked=asked)
    note = f"asked at {there.base_url}, since the port speaks TLS"
    return Whereabouts(there, None if isinstance(came, WireError) else came, note, asked=asked)


def elsewhere(hop: Hop) -> Placing:
    """Ask at the hop's other base URLs, until one answers."""
    urls = hop.other_urls[:MOST_PLACES]
    for asked, url in enumerate(urls, 1):
        there = replace(hop, base_url=url, verified=True, address_certain=True, other_urls=())
        came = yield _question(there)
        if not isinstance(came, WireError) and not wants_tls(came):
            return Whereabouts(there, came, f"asked at {url}, since nothing answers at {hop.base_url}", asked=asked)
    return Whereabouts(hop, asked=len(urls))


def _question(hop: Hop) -> Call:
    return Call(hop.base_url, Inquiry(protocol_of(hop).path(Question.MODEL_READY, hop.model_name) or "/"), hop.verified)
