"""`isvcwatch check`: the operator's own questions and readings, for one server, by hand."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols import Question, named
from isvcwatch.client.protocols.urls import parse_base_url
from isvcwatch.client.tls import trusting
from isvcwatch.client.transport import Transport, WireError
from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component, Hop
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.rungs import Rung
from isvcwatch.tables import table as format_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.client.protocols import Answer

EXHAUSTED: Final = Finding(Status.UNKNOWN, Reason.PROBE_FAILED, "this machine has no file descriptor or port left to ask with")

RUNGS: Final = {Question.SERVER_LIVE: "server live", Question.SERVER_READY: "server ready", Question.MODEL_READY: "model ready"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One question's answer.

    Attributes:
        question: what was asked.
        finding: what the answer means.
        seconds: how long it took.
    """

    question: Question
    finding: Finding
    seconds: float


async def climb(
    url: str,
    protocol: str,
    model: str | None,
    timeout: float,  # noqa: ASYNC109 -- for each request
    ca_bundles: Sequence[str] = (),
) -> list[Reply]:
    """Ask all that there is to ask.

    Args:
        url: the base URL.
        protocol: one of `protocols.PROTOCOLS`.
        model: the model's name; None to ask about the server alone.
        timeout: seconds that each request may take.
        ca_bundles: files of certificates in PEM, of authorities that are trusted beside the system's.

    Raises:
        ValueError: the URL or the protocol can't be used; says what to write instead.
    """
    base = parse_base_url(url)
    if base.userinfo:
        raise ValueError("write the URL without a user name or password: check sends no credentials")
    if model is not None:
        named(protocol).path(Question.MODEL_READY, model)  # says what is wrong with the name
    hop = Hop(Component.PREDICTOR, url, named(protocol).name, model or "", own_host=True)
    transport = Transport(guard=AddressPolicy(anywhere=True).objection, tls=trusting(ca_bundles) if ca_bundles else None)
    try:
        return [
            await _ask(transport, hop, question, timeout) for question in RUNGS if question is not Question.MODEL_READY or model is not None
        ]
    finally:
        await transport.aclose()


async def _ask(transport: Transport, hop: Hop, question: Question, timeout: float) -> Reply:  # noqa: ASYNC109
    """One question, and what came of it."""
    rung = Rung(transport, hop, question)
    began = time.monotonic()
    if rung.known is not None:
        return Reply(question, rung.known, 0.0)
    try:
        came: Answer | WireError = await transport.get(rung.url, timeout, own_host=hop.own_host)
    except WireError as error:
        came = error
    return Reply(question, rung.read(came) or EXHAUSTED, time.monotonic() - began)


def verdict(replies: Sequence[Reply]) -> Status:
    """True where the highest rung that can be asked is."""
    asked = [reply.finding for reply in replies if reply.finding.reason != Reason.NO_SUCH_ROUTE]
    if any(finding.status is Status.FALSE for finding in asked):
        return Status.FALSE
    return asked[-1].status if asked else Status.UNKNOWN


def table(replies: Sequence[Reply]) -> str:
    """The answers, for people."""
    rows = [(RUNGS[r.question], r.finding.status, r.finding.reason, f"{r.seconds * 1000:.0f} ms", r.finding.message) for r in replies]
    return format_table(("ASKED", "ANSWER", "REASON", "TOOK", "MESSAGE"), rows)
