"""An answer that contradicts a guess is looked into: what is found is asked from then on; what is not is Unknown, never an accusation."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from isvcwatch.client import transport as wire
from isvcwatch.client.protocols import Answer
from isvcwatch.client.protocols.declared import NO_SUCH_MODEL
from isvcwatch.client.protocols.interview import MOST_INQUIRIES
from isvcwatch.client.transport import Phase, WireError
from isvcwatch.core.conditions import Status
from isvcwatch.probing.prober import Plan, Prober
from isvcwatch.probing.rungs import LOOK_AGAIN, LOOK_AT_NEWS
from tests.unit.builders import hop, target
from tests.unit.probing.fakes import FakeMetrics, FakeTransport

if TYPE_CHECKING:
    from isvcwatch.core.health import Finding, Round
    from isvcwatch.core.targets import Hop

pytestmark = pytest.mark.looptime

BASE = "http://iris.models.svc"
Answers = dict[str, Answer | WireError]


def js(value: Any, status: int = 200) -> Answer:  # noqa: ANN401 -- any JSON
    return Answer(status, json.dumps(value).encode())


ROUTE_MISSING = js({"detail": "Not Found"}, 404)
UNKNOWN = js({"error": "Model with name iris does not exist."}, 404)
UNREADY = js({"error": "Model is not ready."}, 503)
REFUSED = wire.RefusedError("the connection was refused", Phase.CONNECT)


def ready(name: str) -> Answer:
    return js({"name": name, "ready": True})


def kserve(*names: str, **models: Answer) -> Answers:
    """KServe's own server: its models by name."""
    routes = {f"/v1/models/{name}": answer for name, answer in models.items()}
    return {"/v2": js({"name": "kserve", "version": "0.21.0"}), "/v1/models": js({"models": list(names)}), **routes, "*": UNKNOWN}


def guessed(protocol: str = "v1", **fields: Any) -> Hop:  # noqa: ANN401 -- any field
    return replace(hop(BASE, protocol=protocol), **{"name_certain": False, "protocol_certain": False, **fields})


class Stage:
    """A prober over a fake wire, and one target of which something is only guessed."""

    def __init__(self, answers: Answers, what: Hop | None = None) -> None:
        self.wire = FakeTransport({"*": ROUTE_MISSING, **answers})
        self.metrics = FakeMetrics()
        self.prober = Prober(self.wire, self.metrics, asyncio.get_running_loop().time)
        self.plan: Plan = self.prober.plan(target(hops=[what or guessed()]))
        self.plan.unsure = False

    async def round(self) -> Round:
        future: asyncio.Future[Round | None] = asyncio.get_running_loop().create_future()
        self.prober.start(self.plan, future.set_result)
        found = await future
        assert found is not None
        assert self.wire.open == []
        return found

    async def model(self) -> Finding:
        """What the next round finds of the model."""
        return (await self.round()).model_ready

    async def after(self, seconds: float) -> Finding:
        await asyncio.sleep(seconds)
        return await self.model()

    def asked_since(self, before: int) -> list[str]:
        return [url.removeprefix(BASE) for url in self.wire.asked[before:]]


def told(found: Finding) -> tuple[Status, str]:
    return found.status, found.reason


async def test_a_guess_that_holds_costs_one_request() -> None:
    stage = Stage({"/v1/models/iris": ready("iris")})
    for _ in range(3):
        assert told(await stage.model()) == (Status.TRUE, "ModelReady")
    assert stage.asked_since(0) == ["/v1/models/iris"] * 3
    assert stage.metrics.inquiries == 0


async def test_what_a_yes_without_a_name_means_is_asked_once_and_counted_as_no_answer_of_the_model() -> None:
    stage = Stage({"/v2/models/iris/ready": Answer(200, b""), f"/v2/models/{NO_SUCH_MODEL}/ready": UNKNOWN}, guessed("v2"))
    for _ in range(3):
        assert told(await stage.model()) == (Status.TRUE, "ModelReady")
    assert stage.asked_since(0).count(f"/v2/models/{NO_SUCH_MODEL}/ready") == 1
    assert (dict(stage.metrics.probes), stage.metrics.inquiries) == ({"ModelReady": 3}, 1)


async def test_a_server_that_lists_one_model_has_it_asked_by_that_name_from_then_on() -> None:
    stage = Stage(kserve("mnist", mnist=ready("mnist")))
    found = await stage.model()
    assert told(found) == (Status.TRUE, "ModelReady")
    assert "asked as `mnist`, the one model the server lists" in found.message
    assert stage.metrics.looks == {"recognised": 1}
    before = len(stage.wire.asked)
    assert told(await stage.model()) == (Status.TRUE, "ModelReady")
    assert stage.asked_since(before) == ["/v1/models/mnist"]


async def test_what_was_learned_is_certain_enough_to_accuse_by() -> None:
    stage = Stage(kserve("mnist", mnist=UNREADY))
    found = await stage.model()
    assert told(found) == (Status.FALSE, "ModelNotReady")
    assert "/v1/models/mnist answered 503" in found.message


@pytest.mark.parametrize("names", [("hunter2",), ("hunter2", "hunter2-too")])
@pytest.mark.parametrize("answer", [UNKNOWN, ready("hunter2"), Answer(503, b"hunter2"), Answer(500, b"hunter2"), Answer(200, b""), REFUSED])
async def test_what_a_host_lists_that_may_be_anybodys_is_quoted_nowhere(names: tuple[str, ...], answer: Answer) -> None:
    routes = kserve(*names) | {f"/v1/models/{name}": answer for name in names}
    stage = Stage(routes, guessed(own_host=False))
    with capture_logs() as lines:
        for _ in range(5):
            assert "hunter2" not in str(await stage.after(100))
    assert "/v1/models/hunter2" in stage.asked_since(0)
    assert "hunter2" not in str(lines)


async def test_a_guessed_name_that_the_server_lists_is_certain() -> None:
    stage = Stage(kserve("iris", "other", iris=UNREADY))
    assert told(await stage.model()) == (Status.FALSE, "ModelNotReady")


async def test_of_several_models_all_must_be_ready() -> None:
    stage = Stage(kserve("a", "b", a=ready("a"), b=ready("b")))
    assert told(await stage.model()) == (Status.TRUE, "ModelReady")
    stage.wire.answers["/v1/models/b"] = UNREADY
    found = await stage.model()
    assert told(found) == (Status.UNKNOWN, "ModelsDisagree")
    stage.wire.answers["/v1/models/a"] = UNREADY
    assert told(await stage.model()) == (Status.FALSE, "ModelNotReady")


async def test_too_many_models_to_ask_for_each_are_a_name_to_be_told() -> None:
    found = await Stage(kserve(*(f"m{n}" for n in range(20)))).model()
    assert told(found) == (Status.UNKNOWN, "ModelNameUnknown")
    assert "isvcwatch.dev/model-name" in found.message


async def test_a_server_that_lists_none_has_lost_its_model() -> None:
    found = await Stage(kserve()).model()
    assert told(found) == (Status.FALSE, "ModelNotFound")
    assert "lists no model" in found.message


async def test_a_server_that_was_given_no_model_is_not_accused_of_having_none() -> None:
    found = await Stage(kserve(), guessed(has_model=False)).model()
    assert told(found) == (Status.UNKNOWN, "ModelNameUnknown")
    assert "TrainedModels" in found.message


async def test_a_certain_name_that_the_server_does_not_know_is_an_accusation() -> None:
    stage = Stage(kserve("other"), guessed(name_certain=True))
    assert told(await stage.model()) == (Status.FALSE, "ModelNotFound")
    assert stage.metrics.inquiries == 0


@pytest.mark.parametrize(
    ("protocol", "path", "answer"),
    [
        ("v2", "/v2/models/iris/ready", js({"error": "Model with name iris is not ready."}, 503)),
        ("v2", "/v2/models/iris/ready", js({"name": "iris", "ready": False})),
        ("v1", "/v1/models/iris", js({"error": "Model with name iris is not ready."}, 503)),
        ("v1", "/v1/models/iris", js({"name": "iris", "ready": "False"})),
    ],
)
async def test_a_no_that_names_the_model_is_about_it_also_where_its_name_was_a_guess(protocol: str, path: str, answer: Answer) -> None:
    stage = Stage({path: answer}, guessed(protocol))
    assert told(await stage.model()) == (Status.FALSE, "ModelNotReady")
    assert stage.metrics.inquiries == 0


@pytest.mark.parametrize("words", ["Model version not ready", "Model with name my-iris is not ready.", ""])
async def test_a_no_that_names_another_or_none_leads_to_a_closer_look(words: str) -> None:
    stage = Stage({"/v2/models/iris/ready": js({"error": words}, 503)}, guessed("v2"))
    await stage.model()
    assert stage.metrics.inquiries > 0


async def test_a_server_without_a_list_can_not_be_asked_for_its_own_name() -> None:
    answers: Answers = {
        "/v1/models": js({"error": "Missing model name in request."}, 400),
        "/v1/models/iris": js({"error": "Could not find any versions of model iris"}, 404),
    }
    found = await Stage(answers).model()
    assert told(found) == (Status.UNKNOWN, "ModelNameUnknown")


async def test_another_dialect_is_found_and_asked_from_then_on() -> None:
    nim: Answers = {"/v1/health/ready": js({"object": "health.response", "message": "Service is ready."})}
    stage = Stage(nim, guessed("v2"))
    assert told(await stage.model()) == (Status.TRUE, "ModelReady")
    before = len(stage.wire.asked)
    await stage.model()
    assert stage.asked_since(before) == ["/v1/health/ready"]
    stage.wire.answers["/v1/health/ready"] = js({"object": "error", "message": "Service is not ready.", "type": "ServiceUnavailable"}, 503)
    assert told(await stage.model()) == (Status.FALSE, "ModelNotReady")


async def test_a_server_that_nobody_knows_is_unknown_with_what_to_do() -> None:
    stage = Stage({})
    found = await stage.round()
    assert told(found.model_ready) == (Status.UNKNOWN, "UnknownServer")
    assert "isvcwatch.dev/protocol" in found.model_ready.message
    assert found.server_live == found.server_ready == found.model_ready
    assert stage.metrics.looks == {"unknown": 1}
    assert stage.metrics.inquiries <= MOST_INQUIRIES


async def test_an_unknown_server_is_looked_at_once_and_then_at_a_slow_pace() -> None:
    stage = Stage({})
    await stage.model()
    asked = stage.metrics.inquiries
    for _ in range(20):
        found = await stage.after(10.0)
        assert told(found) == (Status.UNKNOWN, "UnknownServer")
    assert stage.metrics.inquiries == asked
    await stage.after(LOOK_AGAIN)
    assert stage.metrics.inquiries == 2 * asked
    await stage.after(LOOK_AGAIN)
    assert stage.metrics.inquiries == 2 * asked
    await stage.after(LOOK_AGAIN)
    assert stage.metrics.inquiries == 3 * asked


async def test_a_model_that_was_ready_is_looked_at_again_when_that_ends() -> None:
    stage = Stage(kserve("mnist", mnist=ready("mnist")))
    await stage.model()
    await stage.after(LOOK_AT_NEWS)
    stage.wire.answers = kserve("digits", digits=ready("digits"))
    assert told(await stage.model()) == (Status.TRUE, "ModelReady")
    assert stage.asked_since(0)[-1] == "/v1/models/digits"


@pytest.mark.parametrize("answer", [UNREADY, Answer(502), Answer(503, b"no healthy upstream")])
async def test_where_every_route_is_an_error_clients_get_no_answer_either(answer: Answer) -> None:
    found = await Stage({"*": answer}).model()
    assert found.status is Status.FALSE


@pytest.mark.parametrize(
    "body",
    [b"stream error: stream ID 1; INTERNAL_ERROR; received from peer", b"upstream connect error or reset. reset reason: protocol error"],
)
async def test_a_proxy_that_says_that_its_server_speaks_http2_alone_tells_of_grpc(body: bytes) -> None:
    found = await Stage({"*": Answer(502, body)}).model()
    assert told(found) == (Status.UNKNOWN, "UnsupportedProtocol")


async def test_an_error_of_one_route_alone_is_no_evidence_under_a_guessed_protocol() -> None:
    found = await Stage({"/v1/models/iris": Answer(500)}).model()
    assert told(found) == (Status.UNKNOWN, "UnknownServer")


async def test_a_look_that_gets_no_answer_accuses_nobody() -> None:
    lost = wire.LostError("closed", Phase.ANSWER)
    found = await Stage({"*": lost, "/v1/models/iris": UNKNOWN}).model()
    assert found.status is Status.UNKNOWN


async def test_where_the_protocol_is_annotated_no_other_is_looked_for() -> None:
    stage = Stage({}, guessed(protocol_certain=True, name_certain=True))
    assert told(await stage.model()) == (Status.UNKNOWN, "RouteNotFound")
    assert stage.metrics.inquiries == 0


KEY_WANTED = js({"error": "Unauthorized"}, 401)
GUARDED_VLLM: Answers = {
    "/v2": KEY_WANTED,
    "/v1/models": KEY_WANTED,
    "/v1/health/ready": KEY_WANTED,
    "/version": js({"version": "0.32.0"}),
    "/health": Answer(200),
}


class TestServersThatWantACredential:
    @pytest.mark.parametrize(
        ("answers", "reason"),
        [
            ({"/v1/models": js({"detail": "Not authenticated"}, 401)}, "Unauthorized"),
            ({"/v1/models": js({"detail": "Not authenticated"}, 403)}, "Forbidden"),
            ({"/v2": Answer(401, b"<html>401 Authorization Required</html>")}, "Unauthorized"),
            ({"/v2": Answer(403, b"RBAC: access denied")}, "Forbidden"),
            ({"/info": js({"error": "unauthorized", "error_type": "authentication"}, 401)}, "Unauthorized"),
        ],
    )
    async def test_one_that_may_be_any_is_not_called_unknown(self, answers: Answers, reason: str) -> None:
        found = await Stage(answers, guessed("openai")).model()
        assert told(found) == (Status.UNKNOWN, reason)
        assert next(iter(answers)) in found.message

    @pytest.mark.parametrize("protocol", ["v1", "v2", "openai"])
    async def test_where_the_route_of_the_model_itself_does_nothing_is_looked_for(self, protocol: str) -> None:
        stage = Stage({"*": KEY_WANTED}, guessed(protocol))
        assert told(await stage.model()) == (Status.UNKNOWN, "Unauthorized")
        assert stage.metrics.inquiries == 0

    async def test_vllm_is_known_by_its_open_routes(self) -> None:
        stage = Stage(GUARDED_VLLM, guessed("openai"))
        found = await stage.round()
        assert told(found.model_ready) == (Status.UNKNOWN, "Unauthorized")
        assert found.server_ready is not None
        assert told(found.server_ready) == (Status.TRUE, "ServerReady")
        assert stage.metrics.looks == {"recognised": 1}

    async def test_a_guessed_name_stays_a_guess_until_the_list_is_shown(self) -> None:
        stage = Stage(GUARDED_VLLM, guessed("openai"))
        await stage.model()
        stage.wire.answers["/v1/models"] = js({"object": "list", "data": [{"id": "tiny", "owned_by": "vllm"}]})
        assert told(await stage.model()) == (Status.UNKNOWN, "ModelNameUnknown")
        assert told(await stage.after(LOOK_AGAIN)) == (Status.TRUE, "ModelReady")

    async def test_ones_own_readiness_route_is_asked_all_the_same(self) -> None:
        stage = Stage({"/v1/models": KEY_WANTED, "/ok": Answer(200, b"fine")}, guessed("openai", ready_path="/ok"))
        assert told(await stage.model()) == (Status.TRUE, "ModelReady")


class TestOwnRoute:
    async def test_a_containers_own_readiness_route_is_asked_where_nothing_else_is_known(self) -> None:
        stage = Stage({"/ok": Answer(200, b"fine")}, guessed(ready_path="/ok"))
        found = await stage.model()
        assert told(found) == (Status.TRUE, "ModelReady")
        assert "readinessProbe, /ok" in found.message
        assert stage.metrics.looks == {"declared": 1}
        before = len(stage.wire.asked)
        await stage.model()
        assert stage.asked_since(before) == ["/ok"]

    async def test_it_says_no(self) -> None:
        stage = Stage({"/ok": Answer(503, b"warming up")}, guessed(ready_path="/ok"))
        assert told(await stage.model()) == (Status.FALSE, "ModelNotReady")

    async def test_it_means_nothing_where_everything_is_a_yes(self) -> None:
        found = await Stage({"*": Answer(200, b"fine")}, guessed(ready_path="/ok")).model()
        assert told(found) == (Status.UNKNOWN, "UnexpectedAnswer")


class TestAYesToAnything:
    async def test_a_yes_that_any_server_would_say_is_tried_with_a_model_that_can_not_exist(self) -> None:
        stage = Stage({"/v2/models/iris/ready": Answer(200)}, guessed("v2"))
        for _ in range(3):
            assert told(await stage.model()) == (Status.TRUE, "ModelReady")
        assert stage.asked_since(0) == ["/v2/models/iris/ready", f"/v2/models/{NO_SUCH_MODEL}/ready", *["/v2/models/iris/ready"] * 2]

    async def test_a_server_that_says_it_then_too_proves_nothing(self) -> None:
        found = await Stage({"*": Answer(200)}, guessed("v2")).model()
        assert found.status is Status.UNKNOWN

    async def test_a_check_that_gets_no_answer_proves_nothing_yet(self) -> None:
        stage = Stage({"/v2/models/iris/ready": Answer(200), f"/v2/models/{NO_SUCH_MODEL}/ready": REFUSED}, guessed("v2"))
        assert (await stage.model()).status is Status.UNKNOWN
        stage.wire.answers[f"/v2/models/{NO_SUCH_MODEL}/ready"] = Answer(400)
        assert (await stage.model()).status is Status.TRUE

    async def test_a_server_that_is_certain_need_not_prove_it(self) -> None:
        stage = Stage({"/v2/models/iris/ready": Answer(200)}, guessed("v2", protocol_certain=True))
        await stage.model()
        assert stage.asked_since(0) == ["/v2/models/iris/ready"]


class TestElsewhere:
    THERE = "http://iris.models.svc:8888"

    async def test_a_server_at_its_declared_port_is_found(self) -> None:
        stage = Stage({f"{self.THERE}/v1/models/iris": ready("iris"), "*": REFUSED}, guessed(other_urls=(self.THERE,)))
        found = await stage.model()
        assert told(found) == (Status.TRUE, "ModelReady")
        assert f"asked at {self.THERE}" in found.message
        before = len(stage.wire.asked)
        await stage.model()
        assert stage.wire.asked[before:] == [f"{self.THERE}/v1/models/iris"]

    async def test_where_it_is_nowhere_that_is_told_of_the_first(self) -> None:
        found = await Stage({"*": REFUSED}, guessed(other_urls=(self.THERE,))).model()
        assert told(found) == (Status.FALSE, "ConnectionRefused")
        assert BASE in found.message

    async def test_a_service_that_kserve_does_not_make_is_no_fault_of_the_models(self) -> None:
        missing = wire.NameNotFoundError("the name does not exist", Phase.NAME)
        found = await Stage({"*": missing}, guessed(address_certain=False, other_urls=(self.THERE,))).model()
        assert told(found) == (Status.UNKNOWN, "InvalidAddress")

    async def test_a_service_that_others_may_have_scaled_to_zero_is_not_accused(self) -> None:
        found = await Stage({"*": REFUSED}, guessed(may_sleep=True)).model()
        assert told(found) == (Status.UNKNOWN, "ScalesToZero")


async def test_a_round_that_is_given_up_leaves_no_look_behind() -> None:
    stage = Stage({"/v1/models/iris": UNKNOWN})
    stage.wire.takes["/v2"] = 1.0
    exchange = stage.prober.start(stage.plan, lambda _: None)
    await asyncio.sleep(0.1)
    exchange.cancel()
    assert stage.wire.open == []
    assert told(await stage.model())[0] is Status.UNKNOWN
    assert stage.metrics.looks == {"unknown": 1}
