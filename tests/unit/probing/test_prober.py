"""One round: one request for a healthy model, the ladder to explain a failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from isvcwatch.client.protocols import Answer, Question
from isvcwatch.core.conditions import Status
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component
from isvcwatch.probing.failures import UNKNOWN, ProbeError
from isvcwatch.probing.prober import NOTHING_LISTENS, Prober
from tests.unit.builders import hop, target

if TYPE_CHECKING:
    from isvcwatch.core.health import Finding, Round

BASE = "http://iris.models.svc"
OK = Answer(200)
READY = Answer(200, b'{"name":"iris","ready":true}')
UNREADY = Answer(503, b'{"error":"Model with name iris is not ready."}')
ALIVE = Answer(200, b'{"status":"alive"}')


@dataclass
class FakeTransport:
    """Answers by path, or by the whole URL."""

    answers: dict[str, Answer | ProbeError]
    asked: list[str] = field(default_factory=list)
    own_hosts: set[bool] = field(default_factory=set)

    async def get(self, url: str, timeout: float, *, own_host: bool) -> Answer:  # noqa: ASYNC109 -- the seam
        assert timeout == 2.0
        await asyncio.sleep(0)
        self.asked.append(url)
        self.own_hosts.add(own_host)
        answer = self.answers.get(url) or self.answers.get("/" + url.split("/", 3)[3]) or self.answers["*"]
        if isinstance(answer, ProbeError):
            raise answer
        return answer


async def round_of(answers: dict[str, Answer | ProbeError], protocol: str = "v2") -> tuple[Round, list[str]]:
    transport = FakeTransport(answers)
    found = await Prober(transport).round(target(hops=[hop(BASE, protocol=protocol)]))
    return found, [url.removeprefix(BASE) for url in transport.asked]


def told(found: Round) -> list[tuple[Status, str]]:
    return [(finding.status, finding.reason) for finding in (found.server_live, found.server_ready, found.model_ready)]


WELL = [(Status.TRUE, "ServerLive"), (Status.TRUE, "ServerReady"), (Status.TRUE, "ModelReady")]


@pytest.mark.parametrize(
    ("protocol", "answer", "path"),
    [
        ("v2", OK, "/v2/models/iris/ready"),
        ("v2", READY, "/v2/models/iris/ready"),
        ("v1", READY, "/v1/models/iris"),
        ("openai", OK, "/openai/v1/models/iris"),
    ],
)
async def test_a_healthy_model_costs_one_request(protocol: str, answer: Answer, path: str) -> None:
    found, asked = await round_of({"*": answer}, protocol)
    assert told(found) == WELL
    assert asked == [path]


async def test_a_listed_model_of_vllm_proves_nothing_without_its_servers_health() -> None:
    listed = Answer(200, b'{"object":"list","data":[{"id":"iris"}]}')
    found, asked = await round_of({"/v1/models": listed, "/health": OK}, "vllm")
    assert told(found) == WELL
    assert asked == ["/v1/models", "/health", "/health"]


@pytest.mark.parametrize("status", [500, 503])
async def test_a_dead_engine_of_vllm_makes_its_listed_model_unready(status: int) -> None:
    listed = Answer(200, b'{"object":"list","data":[{"id":"iris"}]}')
    found, _ = await round_of({"/v1/models": listed, "/health": Answer(status)}, "vllm")
    assert [status for status, _ in told(found)] == [Status.FALSE] * 3


async def test_a_model_that_is_not_ready_on_a_live_server() -> None:
    found, asked = await round_of({"/v2/models/iris/ready": UNREADY, "*": OK})
    assert told(found) == [(Status.TRUE, "ServerLive"), (Status.TRUE, "ServerReady"), (Status.FALSE, "ModelNotReady")]
    assert "Model with name iris is not ready." in found.model_ready.message
    assert asked == ["/v2/models/iris/ready", "/v2/health/live", "/v2/health/ready"]


async def test_v1_has_no_route_for_the_servers_readiness_and_a_live_server_counts_as_ready() -> None:
    found, asked = await round_of({"/v1/models/iris": UNREADY, "/": ALIVE}, "v1")
    assert told(found) == [(Status.TRUE, "ServerLive"), (Status.TRUE, "ServerReady"), (Status.FALSE, "ModelNotReady")]
    assert asked == ["/v1/models/iris", "/"]


async def test_a_v1_server_that_is_not_live_is_not_ready() -> None:
    found, _ = await round_of({"*": Answer(503)}, "v1")
    assert [status for status, _ in told(found)] == [Status.FALSE] * 3


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Answer(401), Status.UNKNOWN, Reason.UNAUTHORIZED),
        (Answer(403), Status.UNKNOWN, Reason.FORBIDDEN),
        (Answer(302, headers={"location": "https://login.example/?token=x"}), Status.UNKNOWN, Reason.REDIRECTED),
        (Answer(429), Status.UNKNOWN, Reason.TOO_MANY_REQUESTS),
        (Answer(404), Status.FALSE, Reason.MODEL_NOT_FOUND),
        (Answer(400), Status.FALSE, Reason.MODEL_NOT_READY),
        (Answer(500), Status.FALSE, Reason.SERVER_ERROR),
        (Answer(502, b"<html><title>Bad Gateway</title></html>"), Status.FALSE, Reason.SERVER_ERROR),
        (Answer(200, b"<html>portal</html>", {"content-type": "text/html"}), Status.UNKNOWN, Reason.UNEXPECTED_ANSWER),
        (Answer(200, b'{"ready":"False"}'), Status.FALSE, Reason.MODEL_NOT_READY),
        (Answer(418), Status.FALSE, Reason.MODEL_NOT_READY),
    ],
)
async def test_what_an_answer_means_for_the_condition(answer: Answer, status: Status, reason: Reason) -> None:
    found, _ = await round_of({"*": answer})
    assert told(found)[2] == (status, reason)
    assert f"{BASE}/v2/models/iris/ready answered {answer.status}" in found.model_ready.message
    assert "token=x" not in found.model_ready.message


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 1000, b"a\nb\n" * 1000, b"[" * 10_000, "é\u202e".encode() * 500])
async def test_whatever_a_server_says_its_message_is_one_bounded_line(body: bytes) -> None:
    found, _ = await round_of({"*": Answer(503, body)})
    for finding in (found.server_live, found.server_ready, found.model_ready):
        assert finding.message.isprintable()
        assert len(finding.message) < 600


@pytest.mark.parametrize("reason", sorted(NOTHING_LISTENS))
async def test_where_nothing_listens_one_request_says_it_all(reason: Reason) -> None:
    found, asked = await round_of({"*": ProbeError(reason, "why")})
    status = Status.UNKNOWN if reason in UNKNOWN else Status.FALSE
    assert told(found) == [(status, reason)] * 3
    assert len(asked) == 1


@pytest.mark.parametrize("reason", [Reason.TIMED_OUT, Reason.CONNECTION_LOST, Reason.INVALID_ANSWER])
async def test_a_model_that_does_not_answer_on_a_server_that_does(reason: Reason) -> None:
    found, asked = await round_of({"/v2/models/iris/ready": ProbeError(reason, "why"), "*": OK})
    assert told(found)[:2] == WELL[:2]
    assert told(found)[2][1] == reason
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.CONNECTION_REFUSED, Status.FALSE),
        (Reason.CONNECTION_LOST, Status.FALSE),
        (Reason.TIMED_OUT, Status.FALSE),
        (Reason.UNREACHABLE, Status.FALSE),
        (Reason.NAME_NOT_FOUND, Status.FALSE),
        (Reason.RESOLVER_FAILED, Status.UNKNOWN),
        (Reason.TARGET_REFUSED, Status.UNKNOWN),
        (Reason.TLS_FAILED, Status.UNKNOWN),
        (Reason.INVALID_ANSWER, Status.UNKNOWN),
        (Reason.PROBE_FAILED, Status.UNKNOWN),
    ],
)
def test_what_does_not_tell_whether_the_model_would_answer_is_unknown(reason: Reason, status: Status) -> None:
    finding: Finding = ProbeError(reason, "why").finding()
    assert (finding.status, finding.reason, finding.message) == (status, reason, "why")


class TestHops:
    TRANSFORMER = hop("http://t.models.svc", Component.TRANSFORMER)
    PREDICTOR = hop("http://p.models.svc")
    BOTH = target(hops=[TRANSFORMER, PREDICTOR])

    async def test_all_well_takes_one_request_each(self) -> None:
        transport = FakeTransport({"*": OK})
        found = await Prober(transport).round(self.BOTH)
        assert told(found) == WELL
        assert len(transport.asked) == 2
        assert transport.own_hosts == {True}
        assert found.model_ready.message.startswith("every server")

    async def test_a_predictor_that_is_down_behind_a_transformer_that_is_well(self) -> None:
        answers: dict[str, Answer | ProbeError] = {
            "http://p.models.svc/v2/models/iris/ready": ProbeError(Reason.CONNECTION_REFUSED, "refused"),
            "*": OK,
        }
        found = await Prober(FakeTransport(answers)).round(self.BOTH)
        assert told(found) == [(Status.FALSE, Reason.CONNECTION_REFUSED)] * 3
        assert found.model_ready.message == "predictor: refused"

    async def test_the_entry_is_named_first_where_both_are_down(self) -> None:
        found = await Prober(FakeTransport({"*": ProbeError(Reason.TIMED_OUT, "late")})).round(self.BOTH)
        assert found.model_ready.message == "transformer: late"

    async def test_what_is_well_is_not_named(self) -> None:
        found = await Prober(FakeTransport({"/v2/models/iris/ready": UNREADY, "*": OK})).round(self.BOTH)
        assert "transformer" not in found.server_live.message
        assert found.model_ready.message.startswith("transformer: ")


async def test_every_request_is_counted_by_its_outcome_and_its_time() -> None:
    counted: Counter[tuple[str, float]] = Counter()

    class Metrics:
        def probe(self, outcome: str, seconds: float) -> None:
            counted[outcome, seconds] += 1

    ticks = iter(range(100))
    prober = Prober(FakeTransport({"*": OK}), Metrics(), lambda: float(next(ticks)))
    await prober.round(target(hops=[hop(BASE)]))
    assert counted == {("ModelReady", 1.0): 1}


async def test_a_question_that_a_protocol_has_no_route_for_is_not_asked() -> None:
    transport = FakeTransport({})
    finding = await Prober(transport).ask(hop(BASE, protocol="v1"), Question.SERVER_READY, 2.0)
    assert (finding.status, finding.reason) == (Status.UNKNOWN, Reason.NO_SUCH_ROUTE)
    assert transport.asked == []


async def test_a_base_path_and_a_query_are_kept_and_a_name_is_escaped() -> None:
    transport = FakeTransport({"*": OK})
    await Prober(transport).ask(hop(f"{BASE}/base/?tenant=a", model="a/b c"), Question.MODEL_READY, 2.0)
    assert transport.asked == [f"{BASE}/base/v2/models/a%2Fb%20c/ready?tenant=a"]
