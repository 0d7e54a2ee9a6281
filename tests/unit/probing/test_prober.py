"""One round: one request for a healthy model, the ladder to explain a failure."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest
from structlog.testing import capture_logs

from isvcwatch.client import transport as wire
from isvcwatch.client.protocols import Answer, Question
from isvcwatch.client.protocols.v2 import V2
from isvcwatch.client.transport import Phase, WireError
from isvcwatch.core.conditions import Status
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component
from isvcwatch.probing.failures import CAUSES, NOTHING_LISTENS, finding
from isvcwatch.probing.prober import EXPLAIN_EVERY, Plan, Prober
from isvcwatch.probing.rungs import ALL_WELL, Ladder, Rung
from tests.unit.builders import hop, target
from tests.unit.probing.fakes import OK, UNREADY, FakeMetrics, FakeTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isvcwatch.core.health import Round
    from isvcwatch.core.targets import Hop

pytestmark = pytest.mark.looptime

BASE = "http://iris.models.svc"
MODEL = "/v2/models/iris/ready"
READY = Answer(200, b'{"name":"iris","ready":true}')
ALIVE = Answer(200, b'{"status":"alive"}')

Answers = dict[str, Answer | WireError]


class Stage:
    """A prober over a fake wire, and one target."""

    def __init__(self, answers: Answers, hops: Sequence[Hop] = (), protocol: str = "v2", **takes: float) -> None:
        self.wire = FakeTransport(answers, takes)
        self.metrics = FakeMetrics()
        self.prober = Prober(self.wire, self.metrics, asyncio.get_running_loop().time)
        self.plan: Plan = self.prober.plan(target(hops=hops or [hop(BASE, protocol=protocol)]))
        self.plan.unsure = False
        self.doubts = 0

    async def outcome(self, doubt_after: float = float("inf")) -> Round | None:
        """Of one round."""
        future: asyncio.Future[Round | None] = asyncio.get_running_loop().create_future()
        self.prober.start(self.plan, future.set_result, doubt_after=doubt_after, doubt=self._doubt)
        assert not future.done()
        found = await future
        assert self.wire.open == []
        return found

    async def round(self) -> Round:
        found = await self.outcome()
        assert found is not None
        return found

    def _doubt(self) -> None:
        self.doubts += 1

    @property
    def asked(self) -> list[str]:
        return [url.removeprefix(BASE) for url in self.wire.asked]


async def round_of(answers: Answers, protocol: str = "v2") -> tuple[Round, list[str]]:
    stage = Stage(answers, protocol=protocol)
    return await stage.round(), stage.asked


def told(found: Round) -> list[tuple[Status, str]]:
    """What was found of live, ready and model; of what was asked."""
    return [(each.status, each.reason) for each in (found.server_live, found.server_ready, found.model_ready) if each]


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
    assert asked == ["/v1/models", "/health"]


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
        (Answer(404), Status.UNKNOWN, Reason.ROUTE_NOT_FOUND),
        (Answer(404, b'{"error":"Model iris not found"}'), Status.FALSE, Reason.MODEL_NOT_FOUND),
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


SECRET = b'{"error": "hunter2", "message": "hunter2"}'


@pytest.mark.parametrize("status", [401, 403, 302, 400, 404, 418, 429, 500, 503])
@pytest.mark.parametrize("asked", [replace(hop(BASE), own_host=False), replace(hop(BASE), protocol_certain=False)])
async def test_what_may_be_anybodys_answer_is_quoted_nowhere(status: int, asked: Hop) -> None:
    answer = Answer(status, b"hunter2" if status == 503 else SECRET, {"location": "http://hunter2.example/hunter2"})
    found = await Stage({"*": answer}, [asked]).round()
    assert "hunter2" not in str(found)


async def test_what_the_services_own_server_says_is_quoted() -> None:
    found = await Stage({"*": Answer(500, b'{"error": "out of memory"}')}, [hop(BASE)]).round()
    assert "out of memory" in found.model_ready.message


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 1000, b"a\nb\n" * 1000, b"[" * 10_000, "é\u202e".encode() * 500])
async def test_whatever_a_server_says_its_message_is_one_bounded_line(body: bytes) -> None:
    found, _ = await round_of({"*": Answer(503, body)})
    for each in (found.server_live, found.server_ready, found.model_ready):
        assert each is not None
        assert each.message.isprintable()
        assert len(each.message) < 600


# What the wire raised, and what it means.
FAILURES: list[tuple[WireError, Status, Reason]] = [
    (wire.NameNotFoundError("the name x does not exist", Phase.NAME), Status.FALSE, Reason.NAME_NOT_FOUND),
    (wire.ResolverError("no resolver answers", Phase.NAME), Status.UNKNOWN, Reason.RESOLVER_FAILED),
    (wire.TimedOutError("", Phase.NAME), Status.UNKNOWN, Reason.RESOLVER_FAILED),
    (wire.RefusedAddressError("127.0.0.1 is a loopback address", Phase.CONNECT), Status.UNKNOWN, Reason.TARGET_REFUSED),
    (wire.RefusedError("", Phase.CONNECT), Status.FALSE, Reason.CONNECTION_REFUSED),
    (wire.UnreachableError("no route to host", Phase.CONNECT), Status.FALSE, Reason.UNREACHABLE),
    (wire.TimedOutError("", Phase.CONNECT), Status.FALSE, Reason.CONNECTION_TIMED_OUT),
    (wire.TLSError("certificate has expired", Phase.TLS), Status.UNKNOWN, Reason.TLS_FAILED),
    (wire.UntrustedError("unable to get local issuer certificate", Phase.TLS), Status.UNKNOWN, Reason.TLS_FAILED),
    (wire.AlertError("tlsv1 alert protocol version", Phase.TLS), Status.UNKNOWN, Reason.TLS_FAILED),
    (wire.CertificateWantedError("", Phase.ANSWER), Status.UNKNOWN, Reason.MESH_TLS),
    (wire.TimedOutError("", Phase.TLS), Status.FALSE, Reason.TIMED_OUT),
    (wire.TimedOutError("", Phase.ANSWER), Status.FALSE, Reason.TIMED_OUT),
    (wire.LostError("", Phase.ANSWER), Status.FALSE, Reason.CONNECTION_LOST),
    (wire.InvalidAnswerError("illegal status line", Phase.ANSWER), Status.UNKNOWN, Reason.INVALID_ANSWER),
]


@pytest.mark.parametrize(("error", "status", "reason"), FAILURES)
def test_each_failure_of_the_wire_has_its_cause_and_names_what_was_asked(error: WireError, status: Status, reason: Reason) -> None:
    means = finding(error, "http://iris/x")
    assert (means.status, means.reason) == (status, reason)
    assert "http://iris/x" in means.message
    assert str(error) in means.message


def test_every_failure_of_the_wire_has_a_cause_but_our_own() -> None:
    assert {*CAUSES, wire.TimedOutError, wire.ExhaustedError} == {*WireError.__subclasses__(), *wire.TLSError.__subclasses__()}


@pytest.mark.parametrize(("error", "status", "reason"), [f for f in FAILURES if f[2] in NOTHING_LISTENS])
async def test_where_nothing_listens_one_request_says_it_all(error: WireError, status: Status, reason: Reason) -> None:
    found, asked = await round_of({"*": error})
    assert told(found) == [(status, reason)] * 3
    assert len(asked) == 1


@pytest.mark.parametrize(("error", "status", "reason"), [f for f in FAILURES if f[2] not in NOTHING_LISTENS])
async def test_a_model_that_does_not_answer_on_a_server_that_does(error: WireError, status: Status, reason: Reason) -> None:
    found, asked = await round_of({MODEL: error, "*": OK})
    assert told(found) == [*WELL[:2], (status, reason)]
    assert len(asked) == (5 if reason is Reason.CONNECTION_LOST else 3)  # once by TLS, and once more


class TestExplaining:
    """The server's own health, while its model's failure lasts."""

    async def test_a_failure_that_lasts_is_not_explained_again_at_each_turn(self) -> None:
        stage = Stage({MODEL: UNREADY, "*": OK})
        assert len(told(await stage.round())) == 3
        again = await stage.round()
        assert (again.server_live, again.server_ready) == (None, None)
        assert again.model_ready.reason == Reason.MODEL_NOT_READY
        assert len(stage.asked) == 4

    async def test_it_is_explained_again_after_a_while(self) -> None:
        stage = Stage({MODEL: UNREADY, "*": OK})
        await stage.round()
        await asyncio.sleep(EXPLAIN_EVERY)
        assert len(told(await stage.round())) == 3

    async def test_it_is_explained_again_where_the_cause_is_another(self) -> None:
        stage = Stage({MODEL: UNREADY, "*": OK})
        await stage.round()
        stage.wire.answers[MODEL] = Answer(404)
        assert len(told(await stage.round())) == 3

    async def test_it_is_explained_each_time_while_a_verdict_is_being_confirmed(self) -> None:
        stage = Stage({MODEL: UNREADY, "*": OK})
        stage.plan.unsure = True
        await stage.round()
        assert len(told(await stage.round())) == 3

    async def test_it_is_explained_anew_after_a_success(self) -> None:
        stage = Stage({MODEL: UNREADY, "*": OK})
        await stage.round()
        stage.wire.answers[MODEL] = OK
        assert await stage.round() is ALL_WELL
        stage.wire.answers[MODEL] = UNREADY
        assert len(told(await stage.round())) == 3

    async def test_it_begins_while_a_silent_model_is_still_waited_for(self) -> None:
        stage = Stage({"*": OK})
        stage.wire.takes["*"] = 99
        began = asyncio.get_running_loop().time()
        found = await stage.outcome(doubt_after=0.75)
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.75, abs=0.01)
        assert found is not None
        assert told(found) == [(Status.FALSE, Reason.TIMED_OUT)] * 3
        assert stage.doubts == 1

    async def test_an_answer_after_all_needs_none(self) -> None:
        stage = Stage({"*": OK})
        stage.wire.takes["*"] = 1.5
        assert await stage.outcome(doubt_after=0.75) is ALL_WELL
        assert stage.wire.cancelled == 2
        assert stage.doubts == 1

    async def test_a_quick_answer_raises_no_doubt(self) -> None:
        stage = Stage({"*": UNREADY})
        await stage.outcome(doubt_after=0.75)
        assert stage.doubts == 0

    async def test_a_listed_models_server_that_hangs_raises_doubt(self) -> None:
        listed = Answer(200, b'{"object":"list","data":[{"id":"iris"}]}')
        stage = Stage({"/v1/models": listed, "*": OK}, protocol="vllm")
        stage.wire.takes["/health"] = 99
        found = await stage.outcome(doubt_after=0.75)
        assert found is not None
        assert told(found) == [(Status.FALSE, Reason.TIMED_OUT)] * 3
        assert stage.doubts == 1


class TestHops:
    TRANSFORMER = hop("http://t.models.svc", Component.TRANSFORMER)
    PREDICTOR = hop("http://p.models.svc")
    BOTH = (TRANSFORMER, PREDICTOR)

    async def test_all_well_takes_one_request_each(self) -> None:
        stage = Stage({"*": OK}, self.BOTH)
        found = await stage.round()
        assert told(found) == WELL
        assert len(stage.asked) == 2
        assert stage.wire.own_hosts == {True}
        assert found.model_ready.message.startswith("every server")

    async def test_a_predictor_that_is_down_behind_a_transformer_that_is_well(self) -> None:
        found = await Stage({f"http://p.models.svc{MODEL}": wire.RefusedError(""), "*": OK}, self.BOTH).round()
        assert told(found) == [(Status.FALSE, Reason.CONNECTION_REFUSED)] * 3
        assert found.model_ready.message.startswith("predictor: http://p.models.svc")

    async def test_the_entry_is_named_first_where_both_are_down(self) -> None:
        found = await Stage({"*": wire.LostError("closed")}, self.BOTH).round()
        assert found.model_ready.message.startswith("transformer: ")

    async def test_what_is_well_is_not_named(self) -> None:
        found = await Stage({MODEL: UNREADY, "*": OK}, self.BOTH).round()
        assert found.server_live is not None
        assert "transformer" not in found.server_live.message
        assert found.model_ready.message.startswith("transformer: ")

    async def test_a_round_that_is_given_up_leaves_nothing_under_way(self) -> None:
        stage = Stage({"*": OK}, self.BOTH)
        stage.wire.takes["*"] = 1.0
        under_way = stage.prober.start(stage.plan, lambda _: pytest.fail("it was given up"))
        await asyncio.sleep(0.5)
        under_way.cancel()
        assert stage.wire.open == []
        await asyncio.sleep(5.0)


class TestCanary:
    STABLE = hop(BASE)
    CANARY = replace(hop("http://canary.models.svc"), canary="v2")
    DOWN: Answers = {f"http://canary.models.svc{MODEL}": wire.RefusedError(""), "*": OK}  # noqa: RUF012 -- never changed

    async def test_one_that_is_down_is_named_though_the_stable_predictor_is_well(self) -> None:
        found = await Stage(self.DOWN, (self.STABLE, self.CANARY)).round()
        assert told(found) == [(Status.FALSE, Reason.CONNECTION_REFUSED)] * 3
        assert found.model_ready.message.startswith("canary v2: http://canary.models.svc")

    async def test_one_that_is_starting_counts_once_its_time_is_over(self) -> None:
        stage = Stage(self.DOWN, (self.STABLE, replace(self.CANARY, grace=60.0)))
        assert told(await stage.round()) == WELL
        await asyncio.sleep(59.0)
        assert told(await stage.round()) == WELL
        await asyncio.sleep(1.0)
        assert told(await stage.round()) == [(Status.FALSE, Reason.CONNECTION_REFUSED)] * 3

    async def test_one_that_has_started_is_starting_no_more(self) -> None:
        stage = Stage({"*": OK}, (self.STABLE, replace(self.CANARY, grace=60.0)))
        assert told(await stage.round()) == WELL
        stage.wire.answers |= self.DOWN
        assert told(await stage.round()) == [(Status.FALSE, Reason.CONNECTION_REFUSED)] * 3

    async def test_a_stable_predictor_that_is_down_is_said_whatever_the_canary_is(self) -> None:
        answers: Answers = {f"{BASE}{MODEL}": wire.RefusedError(""), "*": OK}
        found = await Stage(answers, (self.STABLE, replace(self.CANARY, grace=60.0))).round()
        assert found.model_ready.message.startswith("predictor: ")


class TestOwnTrouble:
    @pytest.mark.parametrize("path", [MODEL, "/v2/health/live", "/v2/health/ready"])
    async def test_without_resources_nothing_is_found_whatever_was_asked(self, path: str) -> None:
        stage = Stage({MODEL: UNREADY, "*": OK} | {path: wire.ExhaustedError("too many open files")})
        with capture_logs() as lines:
            assert await stage.outcome() is None
        assert stage.metrics.probes["Exhausted"] == 1
        assert [line["why"] for line in lines] == ["too many open files"]

    async def test_without_resources_for_one_hop_nothing_is_found_of_the_other(self) -> None:
        stage = Stage({"*": wire.ExhaustedError("too many open files")}, TestHops.BOTH)
        stage.wire.takes[f"http://p.models.svc{MODEL}"] = 1.0
        assert await stage.outcome() is None

    async def test_a_bug_is_unknown_and_said_with_its_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(V2, "read", broken)
        with capture_logs() as lines:
            found, _ = await round_of({"*": OK})
        assert told(found) == [(Status.UNKNOWN, Reason.PROBE_FAILED)] * 3
        assert {line["event"] for line in lines} == {"probe_crashed"}


class TestABugInACallback:
    """It ends the round, which else would never end, so that its target would be asked no more."""

    UNLISTED = Answer(404, b'{"error":"Model with name iris does not exist."}')
    GUESSED = replace(hop(BASE), name_certain=False, protocol_certain=False)
    STARTS: ClassVar = [
        ("tempered", {"*": UNREADY}, [hop(BASE)]),
        ("wants_look", {"*": UNREADY}, [hop(BASE)]),
        ("guess", {"*": UNLISTED}, [GUESSED]),
        ("learn", {"*": UNLISTED}, [GUESSED]),
        ("well", {"*": READY}, [hop(BASE)]),
        ("is_well", {"*": READY}, [hop(BASE)]),
        ("server", {"*": UNREADY}, [hop(BASE)]),
        ("impossible", {"*": OK}, [GUESSED]),
        ("is_of_no_server", {"*": UNREADY}, [hop(BASE)]),
        ("is_starting", {"*": UNREADY}, [hop(BASE), hop(BASE, Component.TRANSFORMER)]),
    ]

    @pytest.mark.parametrize(("where", "answers", "hops"), STARTS)
    async def test_ends_the_round_as_crashed(self, monkeypatch: pytest.MonkeyPatch, where: str, answers: Answers, hops: list[Hop]) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        stage = Stage(answers, hops)
        monkeypatch.setattr(Ladder, where, broken)
        with capture_logs() as lines:
            found = await asyncio.wait_for(stage.round(), 60)
        assert found.model_ready.reason == Reason.PROBE_FAILED
        assert {line["event"] for line in lines if line["log_level"] == "error"} == {"probe_crashed"}
        if where != "is_starting":
            assert stage.metrics.probes[Reason.PROBE_FAILED] == 1

    async def test_ends_it_once_though_it_comes_after_its_end(self) -> None:
        stage = Stage({"*": READY})
        ends: list[Round | None] = []

        def done(found: Round | None) -> None:
            ends.append(found)
            raise ZeroDivisionError

        with capture_logs() as lines:
            stage.prober.start(stage.plan, done)
            await asyncio.sleep(1)
        assert len(ends) == 1
        assert [line["event"] for line in lines] == ["probe_crashed"]


async def test_every_request_is_counted_by_its_outcome_and_its_time() -> None:
    stage = Stage({"*": OK})
    stage.wire.takes["*"] = 1.0
    await stage.round()
    assert stage.metrics.probes == {"ModelReady": 1}
    assert stage.metrics.seconds == [pytest.approx(1.0, abs=0.01)]


async def test_a_question_that_a_protocol_has_no_route_for_is_known_without_asking() -> None:
    rung = Rung(FakeTransport(), hop(BASE, protocol="v1"), Question.SERVER_READY)
    assert rung.ask is None
    assert rung.known is not None
    assert (rung.known.status, rung.known.reason) == (Status.UNKNOWN, Reason.NO_SUCH_ROUTE)


async def test_a_host_that_is_not_ascii_is_known_without_asking() -> None:
    stage = Stage({}, [hop("http://bücher.invalid")])
    assert told(await stage.round()) == [(Status.FALSE, Reason.NAME_NOT_FOUND)] * 3
    assert stage.asked == []


async def test_a_name_that_is_no_text_is_unknown_and_no_crash() -> None:
    stage = Stage({}, [hop(BASE, model="\ud800")])
    assert told(await stage.round()) == [(Status.UNKNOWN, Reason.INVALID_ADDRESS)] * 3


def test_a_base_path_and_a_query_are_kept_and_a_name_is_escaped() -> None:
    rung = Rung(FakeTransport(), hop(f"{BASE}/base/?tenant=a", model="a/b c"), Question.MODEL_READY)
    assert rung.url == f"{BASE}/base/v2/models/a%2Fb%20c/ready?tenant=a"


def test_what_a_healthy_server_says_is_read_once_and_anything_else_anew() -> None:
    rung = Rung(FakeTransport(), hop(BASE), Question.MODEL_READY)
    first = rung.read(READY)
    assert rung.read(Answer(200, READY.body)) is first
    for other in (Answer(200, b'{"ready":false}'), Answer(200, READY.body, {"content-type": "text/html"}), Answer(503, READY.body)):
        unwell = rung.read(other)
        assert unwell is not None
        assert unwell.status is not Status.TRUE
    assert rung.read(READY) is first


class TestRollOut:
    """While a service is changed, the pods of before may serve: under another name, or at another address."""

    NEW, OLD = "/v2/models/iris/ready", "/v2/models/before/ready"
    UNKNOWN = Answer(404, b'{"error":"Model with name iris does not exist."}')
    UNREADY = Answer(503, b'{"error":"Model with name before is not ready."}')

    def stage(self, answers: Answers) -> Stage:
        stage = Stage(answers)
        stage.plan = stage.prober.plan(replace(target(hops=[hop(BASE)]), former=(replace(hop(BASE), model_name="before"),)))
        return stage

    async def test_where_the_new_name_is_not_known_yet_the_old_one_is_asked(self) -> None:
        stage = self.stage({self.NEW: self.UNKNOWN, self.OLD: READY, "*": ALIVE})
        found = await stage.round()
        assert found.by_former
        assert found.model_ready.status is Status.TRUE
        assert found.model_ready.message.startswith("the pods of before the last change still serve: ")
        assert {self.NEW, self.OLD} <= set(stage.asked)

    async def test_where_neither_answers_it_is_the_new_one_that_is_told_of(self) -> None:
        found = await self.stage({self.NEW: self.UNKNOWN, self.OLD: self.UNREADY, "*": ALIVE}).round()
        assert not found.by_former
        assert (found.model_ready.status, found.model_ready.reason) == (Status.FALSE, "ModelNotFound")

    async def test_once_the_new_name_has_answered_the_old_one_is_asked_no_more(self) -> None:
        stage = self.stage({self.NEW: READY, "*": self.UNKNOWN})
        assert not (await stage.round()).by_former
        stage.wire.answers[self.NEW] = self.UNKNOWN
        assert (await stage.round()).model_ready.status is Status.FALSE
        assert self.OLD not in stage.asked

    async def test_given_up_while_the_old_one_is_asked_nothing_is_left_open(self) -> None:
        stage = self.stage({self.NEW: self.UNKNOWN, "*": READY})
        stage.wire.takes[self.OLD] = 1.0
        under_way = stage.prober.start(stage.plan, lambda _: None)
        await asyncio.sleep(0.5)
        assert [exchange.ask.url for exchange in stage.wire.open] == [BASE + self.OLD]
        under_way.cancel()
        assert stage.wire.open == []
