"""The questions that one server can be asked, made ready once: bytes to send, and how to read what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from isvcwatch.client.protocols import Question, Verdict, named
from isvcwatch.client.protocols import reasons as words
from isvcwatch.client.protocols.urls import join_url, parse_base_url
from isvcwatch.client.transport import ExhaustedError, WireError
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import MEANINGS, Reason
from isvcwatch.probing import failures

if TYPE_CHECKING:
    from isvcwatch.client.protocols import Answer
    from isvcwatch.client.transport import Ask
    from isvcwatch.core.targets import Hop

DOWN: Final = frozenset({words.SERVER_ERROR})
"""Readings that are no answer about readiness, yet tell that the model does not answer: a client gets an error too."""

WELL: Final = {
    reason: Finding(Status.TRUE, reason, MEANINGS[reason]) for reason in (Reason.MODEL_READY, Reason.SERVER_READY, Reason.SERVER_LIVE)
}
"""What there is to find where all is well, made once."""


ASKED_AS_WELL: Final = frozenset({"vllm"})
"""Protocols whose list of models stays as it is when the engine has died: a listed model proves nothing without its server's health."""


class Asker(Protocol):
    """Who makes requests ready."""

    def ask(self, url: str, *, own_host: bool) -> Ask:
        """A request, to be sent as often as wanted."""


class Rung:
    """One question to one server.

    Attributes:
        url: what is asked.
        ask: the request; None where there is none to make, and `known` says why.
        known: what is found without asking.
    """

    __slots__ = ("_hop", "_protocol", "_question", "_well", "_well_words", "ask", "known", "url")

    def __init__(self, asker: Asker, hop: Hop, question: Question) -> None:
        self._hop = hop
        self._question = question
        self._protocol = named(hop.protocol)
        self._well_words: tuple[int, bytes, str] | None = None
        self._well = WELL[Reason.MODEL_READY]
        self.url = ""
        self.ask: Ask | None = None
        self.known: Finding | None = None
        try:
            route = self._protocol.path(question, hop.model_name)
            if route is None:
                self.known = Finding(Status.UNKNOWN, Reason.NO_SUCH_ROUTE, f"the {hop.protocol} protocol has no route that tells")
                return
            self.url = join_url(parse_base_url(hop.base_url), route)
            self.ask = asker.ask(self.url, own_host=hop.own_host)
        except WireError as error:
            self.known = failures.finding(error, self.url)
        except ValueError as error:
            self.known = Finding(Status.UNKNOWN, Reason.INVALID_ADDRESS, f"the {hop.component} can't be asked: {error}")

    def read(self, came: Answer | WireError) -> Finding | None:
        """What came back, as a finding; None where the watcher itself could not ask, which says nothing about the server.

        A server that is well says so in the same words each time: they are not parsed again.
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
        """Whatever is not an answer to the question is Unknown, but for errors that clients would get as well."""
        reading = self._protocol.read(self._question, answer, self._hop.model_name)
        reason = Reason(reading.reason)
        if reading.verdict is Verdict.YES:
            return WELL[reason]
        no = reading.verdict is Verdict.NO or reading.reason in DOWN
        said = f": {reading.detail}" if reading.detail else ""
        return Finding(Status.FALSE if no else Status.UNKNOWN, reason, f"{self.url} answered {answer.status}{said}")


class Ladder:
    """All that one server can be asked.

    Attributes:
        hop: the server.
        asked_as_well: a model that is ready proves nothing of its server.
        model: whether it can serve its model.
        explained: the reason of the model's failure that the server's own health was last asked for; empty where it was not.
        explained_at: when that was.
    """

    __slots__ = ("_asker", "_server", "asked_as_well", "explained", "explained_at", "hop", "model")

    def __init__(self, asker: Asker, hop: Hop) -> None:
        self._asker = asker
        self._server: tuple[Rung, Rung] | None = None
        self.hop = hop
        self.asked_as_well = hop.protocol in ASKED_AS_WELL
        self.model = Rung(asker, hop, Question.MODEL_READY)
        self.explained = ""
        self.explained_at = 0.0

    def server(self) -> tuple[Rung, Rung]:
        """Whether the server is live, and whether it is ready; made ready at the first failure, since most servers never see one."""
        if self._server is None:
            self._server = (
                Rung(self._asker, self.hop, Question.SERVER_LIVE),
                Rung(self._asker, self.hop, Question.SERVER_READY),
            )
        return self._server
