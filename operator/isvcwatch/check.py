"""`isvcwatch check`: the operator's own prober, for one server, by hand."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isvcwatch.client.protocols import Question, named
from isvcwatch.client.protocols.urls import parse_base_url
from isvcwatch.core.conditions import Status
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component, Hop
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.prober import Prober
from isvcwatch.probing.transport import Transport
from isvcwatch.tables import table as format_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.core.health import Finding

RUNGS = {Question.SERVER_LIVE: "server live", Question.SERVER_READY: "server ready", Question.MODEL_READY: "model ready"}


@dataclass(frozen=True, slots=True)
class Rung:
    """One question's answer.

    Attributes:
        question: what was asked.
        finding: what the answer means.
        seconds: how long it took.
    """

    question: Question
    finding: Finding
    seconds: float


async def climb(url: str, protocol: str, model: str | None, timeout: float) -> list[Rung]:  # noqa: ASYNC109 -- for each request
    """Ask all that there is to ask.

    Args:
        url: the base URL.
        protocol: one of `protocols.PROTOCOLS`.
        model: the model's name; None to ask about the server alone.
        timeout: seconds that each request may take.

    Raises:
        ValueError: the URL or the protocol can't be used; says what to write instead.
    """
    base = parse_base_url(url)
    if base.userinfo:
        raise ValueError("write the URL without a user name or password: check sends no credentials")
    hop = Hop(Component.PREDICTOR, url, named(protocol).name, model or "", own_host=True)
    transport = Transport(AddressPolicy(anywhere=True))
    try:
        prober = Prober(transport)
        rungs = []
        for question in RUNGS:
            if question is Question.MODEL_READY and model is None:
                continue
            began = time.monotonic()
            finding = await prober.ask(hop, question, timeout)
            rungs.append(Rung(question, finding, time.monotonic() - began))
        return rungs
    finally:
        await transport.aclose()


def verdict(rungs: Sequence[Rung]) -> Status:
    """True where the highest rung that can be asked is."""
    asked = [rung.finding for rung in rungs if rung.finding.reason != Reason.NO_SUCH_ROUTE]
    if any(finding.status is Status.FALSE for finding in asked):
        return Status.FALSE
    return asked[-1].status if asked else Status.UNKNOWN


def table(rungs: Sequence[Rung]) -> str:
    """The answers, for people."""
    rows = [(RUNGS[r.question], r.finding.status, r.finding.reason, f"{r.seconds * 1000:.0f} ms", r.finding.message) for r in rungs]
    return format_table(("ASKED", "ANSWER", "REASON", "TOOK", "MESSAGE"), rows)
