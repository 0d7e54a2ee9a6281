"""Prepares the questions to one server once, as bytes to send, and reads the answers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from isvcwatch.client.protocols import Question, Verdict, declared
from isvcwatch.client.protocols import reasons as words
from isvcwatch.client.protocols.foreign import wants_tls
from isvcwatch.client.protocols.urls import join_url, parse_base_url
from isvcwatch.client.transport import ExhaustedError, WireError
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.reasons import MEANINGS, Reason
from isvcwatch.probing import failures
from isvcwatch.probing.discovery import Learned, contradicts, tempered
from isvcwatch.probing.places import protocol_of

if TYPE_CHECKING:
    from isvcwatch.client.protocols import Answer, Reading
    from isvcwatch.client.transport import Ask
    from isvcwatch.core.targets import Hop

DOWN: Final = frozenset({words.SERVER_ERROR})
"""Readings that are no answer about readiness, but mean False all the same, since clients of the model get the error too."""

WELL: Final = {
    reason: Finding(Status.TRUE, reason, MEANINGS[reason]) for reason in (Reason.MODEL_READY, Reason.SERVER_READY, Reason.SERVER_LIVE)
}
"""The findings of servers and models that are well, made once."""

SERVES: Final = (
    Finding(Status.TRUE, Reason.SERVER_LIVE, "the server answers"),
    Finding(Status.TRUE, Reason.SERVER_READY, "the server serves its model"),
)
"""The findings about a server that follow from a ready model."""

ALL_WELL: Final = Round(*SERVES, WELL[Reason.MODEL_READY])
"""The round in which all is well, made once."""


UNVERIFIED: Final = "its certificate is not verified"
"""The note in messages about a server whose certificate need not be trusted."""

LOOK_AGAIN: Final = 300.0
"""Seconds between two closer looks at a server whose answers go on contradicting a guess; doubled each time."""

LOOK_AT_LAST: Final = 3600.0
"""The most seconds between two closer looks."""

LOOK_AT_NEWS: Final = 30.0
"""Seconds after a closer look before another one at a model that was ready in between, since its pods may have changed."""


class Asker(Protocol):
    """Prepares requests."""

    def ask(
        self,
        url: str,
        *,
        own_host: bool,
        method: str = "GET",
        body: bytes = b"",
        verified: bool = True,
        at: tuple[str, int] | None = None,
        routed: bool = False,
    ) -> Ask:
        """Prepare a request, which can be sent many times; `verified` is whether the server's certificate must be trusted.

        With `at`, an IP address and port, it is sent there, and once.
        """


class Rung:
    """One question to one server.

    Attributes:
        url: the URL that is asked.
        ask: the request; None if there is none to send, for the reason in `known`.
        known: the finding if nothing can be asked; else None.
        proves: whether the latest yes is one that only this kind of server gives.
        knows_model: whether a no has named the model, so that the server has it by the name that it was asked for.
    """

    __slots__ = ("_hop", "_note", "_protocol", "_question", "_well", "_well_words", "ask", "known", "knows_model", "proves", "url")

    def __init__(self, asker: Asker, hop: Hop, question: Question, note: str = "", at: tuple[str, int] | None = None) -> None:
        self._hop = hop
        notes = "; ".join(filter(None, (note, "" if hop.verified else UNVERIFIED)))
        self._note = f" ({notes})" if notes else ""
        self._question = question
        self._protocol = protocol_of(hop)
        self._well_words: tuple[int, bytes, str] | None = None
        self._well = WELL[Reason.MODEL_READY]
        self.proves = True
        self.knows_model = False
        self.url = ""
        self.ask: Ask | None = None
        self.known: Finding | None = None
        try:
            route = self._protocol.path(question, hop.model_name)
            if route is None:
                self.known = Finding(Status.UNKNOWN, Reason.NO_SUCH_ROUTE, f"the {hop.protocol} protocol has no route that tells")
                return
            self.url = join_url(parse_base_url(hop.base_url), route)
            self.ask = asker.ask(self.url, own_host=hop.own_host, verified=hop.verified, at=at, routed=hop.routed)
        except WireError as error:
            self.known = failures.finding(error, self.url)
        except ValueError as error:
            self.known = Finding(Status.UNKNOWN, Reason.INVALID_ADDRESS, f"the {hop.part} can't be asked: {error}")

    def read(self, came: Answer | WireError) -> Finding | None:
        """The finding from an answer or error; None if the watcher itself could not ask, which says nothing about the server.

        A server that is well gives the same answer each time, which is not parsed again.
        """
        if isinstance(came, WireError):
            return None if isinstance(came, ExhaustedError) else failures.finding(came, self.url)
        said = (came.status, came.body, came.headers.get("content-type", ""))
        if said == self._well_words:
            return self._well
        finding = self._meaning(came)
        if finding.status is Status.TRUE:
            self._well_words, self._well = said, finding
        return finding

    def _meaning(self, answer: Answer) -> Finding:
        """The finding from an answer. One that does not fit the question is Unknown, except for errors that clients would get as well."""
        if wants_tls(answer):
            return Finding(Status.UNKNOWN, Reason.TLS_REQUIRED, f"{self.url} answered {answer.status}: it takes HTTPS alone{self._note}")
        reading = self._protocol.read(self._question, answer, self._hop.model_name)
        reason = Reason(reading.reason)
        if reading.verdict is Verdict.YES:
            self.proves = reading.proves
            return Finding(Status.TRUE, reason, MEANINGS[reason] + self._note) if self._note else WELL[reason]
        self.knows_model = self.knows_model or reading.knows_model
        no = reading.verdict is Verdict.NO or reading.reason in DOWN
        said = f": {words}" if (words := self._quotable(answer, reading)) else ""
        return Finding(Status.FALSE if no else Status.UNKNOWN, reason, f"{self.url} answered {answer.status}{said}{self._note}")

    def _quotable(self, answer: Answer, reading: Reading) -> str:
        """What the server said, if it is the service's own and known to be a model server; else nothing, since it may be anybody's."""
        recognised = self._hop.protocol_certain or reading.knows_model
        return reading.detail.removeprefix(f"HTTP {answer.status}").strip() if self._hop.own_host and recognised else ""


class Ladder:
    """All questions to one server, and what was learned about it.

    Attributes:
        derived: the hop as derived from the specification.
        hop: the hop as it is known by now.
        models: the question for the model, or one for each model if it is not known which one is the service's.
        asked_as_well: whether the server's own health is always asked for, since a ready model proves nothing about it.
        proof: whether the server says no for a model that can't exist, so that a yes counts; None until that is known.
        note: how the hop was found, for messages; empty if it is as derived.
        looker: the round whose closer look is under way; None if none is.
        explained: the reason of the model's failure for which the server's own health was last asked for; empty if it was not.
        explained_at: the time of that request.
    """

    __slots__ = (
        "_asker",
        "_doubt",
        "_look_due",
        "_looked_at",
        "_pace",
        "_server",
        "_since",
        "_was_well",
        "_well",
        "asked_as_well",
        "derived",
        "explained",
        "explained_at",
        "hop",
        "looker",
        "models",
        "note",
        "proof",
    )

    def __init__(self, asker: Asker, hop: Hop) -> None:
        self._asker = asker
        self._server: tuple[Rung, Rung] | None = None
        self._well: Round | None = None
        self._look_due = self._looked_at = -math.inf
        self._pace = LOOK_AGAIN
        self._was_well = False
        self._since: float | None = None
        self.looker: object = None
        self.derived = self.hop = hop
        self.proof: bool | None = None
        self.explained = ""
        self.explained_at = 0.0
        self._adopt(Learned((hop,)))

    def server(self) -> tuple[Rung, Rung]:
        """The questions for the server's liveness and readiness. They are prepared at the first failure, since most servers never fail."""
        if self._server is None:
            self._server = (
                Rung(self._asker, self.hop, Question.SERVER_LIVE),
                Rung(self._asker, self.hop, Question.SERVER_READY),
            )
        return self._server

    def impossible(self) -> Rung:
        """The question for a model that can't exist, to see whether the server says yes to it."""
        return Rung(self._asker, replace(self.hop, model_name=declared.NO_SUCH_MODEL), Question.MODEL_READY)

    def of_replica(self, address: str, port: int) -> Rung:
        """The question for the model to one replica, by the way that has proved right for the service."""
        return Rung(self._asker, self.hop, Question.MODEL_READY, self.note, (address, port))

    def well(self, model: Finding) -> Round:
        """The round with this finding about a ready model; the same object each time, so that a repeated result is recognised quickly."""
        if self._well is None or self._well.model_ready is not model:
            self._well = ALL_WELL if model is WELL[Reason.MODEL_READY] else Round(*SERVES, model)
        return self._well

    def is_starting(self, now: float) -> bool:
        """Whether the server may still be starting: it was never ready since it was first asked, and its grace period is not over."""
        if self._since is None:
            self._since = now
        return not self._was_well and now - self._since < self.derived.grace

    def is_well(self) -> None:
        """Take note that the model has proved to be ready, so that its name and protocol are certain from now on."""
        if self._was_well:
            return
        self._was_well = True
        if self.proof is None or not (self.hop.name_certain and self.hop.protocol_certain):
            self.proof = True
            self.hop = replace(self.hop, name_certain=True, protocol_certain=True)

    def guess(self) -> Hop:
        """The hop to start a closer look from: as derived, but at the address that answers."""
        places = (self.derived.base_url, *self.derived.other_urls)
        elsewhere = tuple(url for url in places if url != self.hop.base_url)
        return replace(self.derived, base_url=self.hop.base_url, verified=self.hop.verified, other_urls=elsewhere)

    def wants_look(self, found: Finding, now: float) -> bool:
        """Whether a finding calls for a closer look, and enough time has passed since the last one."""
        if self.looker is not None or not contradicts(self.derived, self.hop, found):
            return False
        return now >= self._look_due or (self._was_well and now - self._looked_at >= LOOK_AT_NEWS)

    def learn(self, learned: Learned, now: float) -> None:
        """Ask by what a closer look has found out from now on."""
        self._looked_at = now
        if self._was_well:
            self._pace = LOOK_AGAIN
        self._look_due = now + self._pace
        self._pace = min(2 * self._pace, LOOK_AT_LAST)
        self._was_well = False
        self._adopt(learned)

    def name_is_known(self) -> None:
        """Take note that the server has the model by the name that it is asked for, so that its no is about this model."""
        if not self.hop.name_certain:
            self.hop = replace(self.hop, name_certain=True)

    def tempered(self, found: Finding) -> Finding:
        """The finding to report, given what is certain so far."""
        return tempered(self.hop, found, self._doubt)

    def is_of_no_server(self, found: Finding) -> bool:
        """Whether the finding says that the server was not recognised, so that its own health can't be asked for either."""
        return found is self._doubt and not self.hop.protocol_certain

    def _adopt(self, learned: Learned) -> None:
        self.hop = learned.hops[0]
        self.note = learned.note
        self.models = tuple(Rung(self._asker, hop, Question.MODEL_READY, learned.note) for hop in learned.hops)
        self.asked_as_well = protocol_of(self.hop).asks_server_too
        self.proof = True if self.hop.protocol_certain else None
        self._doubt = learned.doubt
        self._well = None
        self._server = None
