"""`isvcwatch check`: asks one server what the operator would ask it, and reports what it is, which models it has, and its health."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from isvcwatch.client.protocols import Interview, Question, Recognised, declared, named, recognise
from isvcwatch.client.protocols.urls import join_url, parse_base_url
from isvcwatch.client.tls import trusting
from isvcwatch.client.transport import Transport, WireError
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import MEANINGS, Reason
from isvcwatch.core.targets import Component, Hop
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.discovery import REFUSALS, refusal
from isvcwatch.probing.rungs import Rung
from isvcwatch.sent_headers import EXAMPLE, SentHeaders
from isvcwatch.tables import table as format_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.client.protocols import Answer
    from isvcwatch.client.protocols.interview import Steps

T = TypeVar("T")

EXHAUSTED: Final = Finding(Status.UNKNOWN, Reason.PROBE_FAILED, "this machine has no file descriptor or port left to ask with")

RUNGS: Final = {Question.SERVER_LIVE: "server live", Question.SERVER_READY: "server ready", Question.MODEL_READY: "model ready"}

NO_HEADERS: Final = SentHeaders()

MOST_MODELS: Final = 16
"""How many of the server's models are asked about if the command names none."""


@dataclass(frozen=True, slots=True)
class Row:
    """The answer to one question.

    Attributes:
        question: what was asked.
        finding: what the answer means.
        seconds: how long it took; None where nothing was asked.
        model: the model it is about; empty for the server.
    """

    question: Question
    finding: Finding
    seconds: float | None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found out about a server.

    Attributes:
        url: the base URL.
        server: the server's product name; empty if it was not asked, or was not recognised.
        protocol: the protocol it was asked by; empty where there is none.
        models: the names of the models that it lists; None if it has no list.
        replies: each question's answer.
        note: advice on what to do, where no reply gives it.
    """

    url: str
    server: str = ""
    protocol: str = ""
    models: tuple[str, ...] | None = None
    replies: list[Row] = field(default_factory=list)
    note: str = ""

    def verdict(self) -> Status:
        """False if any answer is False, else the status of the last question that the protocol has a route for."""
        asked = [reply.finding for reply in self.replies if reply.finding.reason != Reason.NO_SUCH_ROUTE]
        if any(finding.status is Status.FALSE for finding in asked):
            return Status.FALSE
        return asked[-1].status if asked else Status.UNKNOWN

    def text(self) -> str:
        """The report as text for people."""
        head = [f"{self.url} is {self.server}, asked by {self.protocol}."] if self.server else []
        if self.models is not None:
            head.append(f"{'It' if self.server else self.url} lists {', '.join(self.models) or 'no model'}.")
        rows = [
            (
                RUNGS[r.question] + (f" {r.model}" if r.model and len(self.models or ()) > 1 else ""),
                r.finding.status,
                r.finding.reason,
                "-" if r.seconds is None else f"{r.seconds * 1000:.0f} ms",
                r.finding.message,
            )
            for r in self.replies
        ]
        parts = ["\n".join(head), format_table(("ASKED", "ANSWER", "REASON", "TOOK", "MESSAGE"), rows) if rows else "", self.note]
        return "\n\n".join(filter(None, parts))

    def json(self) -> str:
        """The report as JSON for programs."""
        return json.dumps(
            {
                "url": self.url,
                "server": self.server or None,
                "protocol": self.protocol or None,
                "models": None if self.models is None else list(self.models),
                "verdict": self.verdict(),
                "replies": [
                    {
                        "question": r.question.value,
                        "model": r.model or None,
                        "status": r.finding.status,
                        "reason": r.finding.reason,
                        "message": r.finding.message,
                        "seconds": r.seconds,
                    }
                    for r in self.replies
                ],
                "note": self.note or None,
            },
            indent=2,
        )


async def check(
    url: str,
    protocol: str | None,
    model: str | None,
    timeout: float,  # noqa: ASYNC109 -- for each request
    ca_bundles: Sequence[str] = (),
    headers: SentHeaders = NO_HEADERS,
) -> Report:
    """Ask a server all the questions that its protocol has.

    Args:
        url: the base URL.
        protocol: one of `protocols.PROTOCOLS`; None to find out what the server is.
        model: the model's name; None to ask about those that the server lists.
        timeout: seconds that each request may take.
        ca_bundles: files of certificates in PEM, of authorities that are trusted beside the system's.
        headers: sent with each request, all of which go to the URL's own host: no redirect is followed.

    Raises:
        ValueError: the URL or the protocol can't be used; says what to write instead.
    """
    base = parse_base_url(url)
    if base.userinfo:
        raise ValueError(f"write the URL without a user name or password, and credentials as a header: {EXAMPLE}")
    if model is not None:
        named(protocol or "v1").path(Question.MODEL_READY, model)  # raises ValueError for a name that can't be used
    if protocol is not None:
        named(protocol)
    transport = Transport(guard=AddressPolicy(anywhere=True).objection, tls=trusting(ca_bundles) if ca_bundles else None)
    checking = _Checking(transport, url, timeout, headers)
    try:
        if protocol is not None:
            report = await checking.by(named(protocol).name, model)
        else:
            report = await checking.found_out(model)
        return _without_values(report, headers)
    finally:
        await transport.aclose()


class _Checking:
    """One check of one server."""

    def __init__(self, transport: Transport, url: str, timeout: float, headers: SentHeaders) -> None:
        self._transport = transport
        self._url = url
        self._timeout = timeout
        self._headers = headers

    async def by(self, protocol: str, model: str | None, server: Recognised | None = None) -> Report:
        """Ask by the given protocol for the server's health, and for the model's or that of each model on its list."""
        spoken = named(protocol)
        by_list = model is None and spoken.asks_server_too
        listed = server.models if server else await self._listed() if by_list else None
        replies = [await self._reply(protocol, question) for question in (Question.SERVER_LIVE, Question.SERVER_READY)]
        if by_list and listed is None:
            replies.append(await self._hidden_list(protocol))
        else:
            names = (model,) if model is not None else (listed or ())[: 1 if spoken.server_vouches else MOST_MODELS]
            replies += [_sobered(await self._reply(protocol, Question.MODEL_READY, name), protocol, replies[1]) for name in names]
        return Report(self._url, server.server if server else "", protocol, listed, replies, self._advice(replies))

    async def found_out(self, model: str | None) -> Report:
        """Find out what the server is, and then ask it by the protocol that it speaks."""
        interview = Interview()
        server = await self._interviewed(interview)
        if server is not None:
            report = await self.by(server.protocols[0], model, server)
            if report.note or model is not None or server.models or named(server.protocols[0]).server_vouches:
                return report
            return replace(report, note=_unnamed(server))
        if not interview.heard:
            return Report(self._url, replies=[await self._reply("v1", Question.SERVER_LIVE)])
        unknown = Row(Question.SERVER_LIVE, _of_nobody(interview), None)
        note = f"It was asked {len(interview.answers)} questions. If you know what it speaks, say so by --protocol."
        return Report(self._url, replies=[unknown], note="\n".join(filter(None, (self._advice([unknown]), note))))

    def _advice(self, replies: Sequence[Row]) -> str:
        """What to do where the server wants a credential; empty where it wants none."""
        refused = [row for row in replies if row.finding.reason in REFUSALS.values()]
        if not refused:
            return ""
        if all(row.question is Question.MODEL_READY for row in refused):
            what = "It tells its own health to anyone, and its models only to who has a credential, such as its API key"
        elif refused[0].finding.reason == Reason.FORBIDDEN:
            what = "It, or a proxy before it, lets only some ask, by who they are or what credential they have"
        else:
            what = "It, or a proxy before it, wants a credential"
        given = "what --header gave is none that it takes" if self._headers.given else f"give one that it takes, such as {EXAMPLE}"
        return f"{what}: {given}."

    async def _listed(self) -> tuple[str, ...] | None:
        """The models on the server's list, in the format of OpenAI's API; None if it shows none."""
        return await self._interviewed_by(Interview().openai_models())

    async def _hidden_list(self, protocol: str) -> Row:
        """The answer of a list that can't be read, without which the server's health says nothing about a model."""
        row = await self._reply(protocol, Question.MODEL_READY, declared.NO_SUCH_MODEL)
        if row.finding.reason == Reason.MODEL_NOT_FOUND:
            finding = Finding(Status.UNKNOWN, Reason.MODEL_NAME_UNKNOWN, "its list of models can't be read: name one by --model")
            return replace(row, finding=finding, model="")
        return replace(row, model="")

    async def _interviewed(self, interview: Interview) -> Recognised | None:
        return await self._interviewed_by(recognise(interview))

    async def _interviewed_by(self, steps: Steps[T]) -> T:
        """What a recogniser concludes from the server's answers."""
        try:
            inquiry = next(steps)
            while True:
                answer = await self._answer(inquiry.path, inquiry.method, inquiry.body)
                inquiry = steps.send(None if isinstance(answer, WireError) else answer)
        except StopIteration as stopped:
            found: T = stopped.value
            return found

    async def _reply(self, protocol: str, question: Question, model: str = "") -> Row:
        """Ask one question."""
        rung = Rung(self._transport, Hop(Component.PREDICTOR, self._url, protocol, model, own_host=True), question)
        if rung.known is not None:
            return Row(question, rung.known, None, model)
        began = time.monotonic()
        came = await self._get(rung.url)
        return Row(question, rung.read(came) or EXHAUSTED, time.monotonic() - began, model)

    async def _answer(self, path: str, method: str, body: bytes) -> Answer | WireError:
        return await self._get(join_url(parse_base_url(self._url), path), method, body)

    async def _get(self, url: str, method: str = "GET", body: bytes = b"") -> Answer | WireError:
        try:
            return await self._transport.get(url, self._timeout, method=method, body=body, headers=self._headers.pairs)
        except WireError as error:
            return error


def _sobered(row: Row, protocol: str, ready: Row) -> Row:
    """The answer for a model, which a list that outlives its engine can't make better than its server's own."""
    if row.finding.status is Status.TRUE and named(protocol).asks_server_too and ready.finding.status is not Status.TRUE:
        return replace(row, finding=ready.finding)
    return row


def _of_nobody(interview: Interview) -> Finding:
    """The finding about a server that was not recognised: one that wants a credential may be any."""
    refused = refusal(interview)
    if refused is None:
        return Finding(Status.UNKNOWN, Reason.UNKNOWN_SERVER, MEANINGS[Reason.UNKNOWN_SERVER])
    path, reason = refused
    return Finding(Status.UNKNOWN, reason, f"{path} answered {MEANINGS[reason]}")


def _without_values(report: Report, headers: SentHeaders) -> Report:
    """The report without the values of the headers, which servers may repeat in what they say."""
    hidden = headers.hidden
    replies = [
        replace(row, finding=replace(row.finding, message=hidden(row.finding.message)), model=hidden(row.model)) for row in report.replies
    ]
    models = None if report.models is None else tuple(map(hidden, report.models))
    return replace(report, server=hidden(report.server), models=models, replies=replies)


def _unnamed(server: Recognised) -> str:
    if named(server.protocols[0]).path(Question.MODEL_READY, "a-model") is None:
        return f"{server.server} has no route that tells whether a model can serve."
    if server.models is None:
        return f"{server.server} has no list of its models: name one by --model."
    return "It has no model to ask about."
