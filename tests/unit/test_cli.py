"""The command line: exit codes and what is said."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from isvcwatch import check, cli
from isvcwatch.client.protocols import Question
from isvcwatch.core.conditions import Status
from isvcwatch.core.derive import derive
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import Reason
from isvcwatch.explain import describe
from isvcwatch.tables import table
from isvcwatch.version import __version__
from rig import kserve_status as kserve
from rig.endpoints import endpoint_slice
from tests.unit.builders import DEFAULTS, DENIED, LIVE, NOT_READY, READY, annotated, isvc
from tests.unit.kube.apiserver import api_server, kubeconfig
from tests.unit.probing.loopback import Routed, answering, listening, loopback, unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager


@contextmanager
def in_background(making: AbstractAsyncContextManager[object]) -> Iterator[str]:
    """A server in a thread of its own, since a command runs a loop of its own; its URL."""
    ready, end = threading.Event(), threading.Event()
    url: list[str] = []

    async def serve() -> None:
        async with making as server:
            url.append(str(getattr(server, "url", "")))
            ready.set()
            await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(5)
        yield url[0]
    finally:
        end.set()
        thread.join()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "ISVCWATCH_PERIOD"):
        monkeypatch.delenv(variable, raising=False)


Out = pytest.CaptureFixture[str]
OPERATOR = Path(__file__).parents[2] / "operator"
CERT, KEY = (Path(__file__).parent / "client" / "tls" / name for name in ("cert.pem", "key.pem"))


def certified() -> ssl.SSLContext:
    """A server's side, with a certificate that no one but itself has signed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERT, KEY)
    return context


class TestCheck:
    @pytest.mark.parametrize(
        ("answer", "code", "words"),
        [
            (answering(b""), cli.EXIT_READY, "ModelReady"),
            (answering(b'{"error":"not yet"}', "503 Service Unavailable"), cli.EXIT_NOT_READY, "answered 503: not yet"),
            (answering(b'{"error":"Model iris not found"}', "404 Not Found"), cli.EXIT_NOT_READY, "ModelNotFound"),
            (answering(b"", "404 Not Found"), cli.EXIT_UNKNOWN, "RouteNotFound"),
            (answering(b"", "401 Unauthorized"), cli.EXIT_UNKNOWN, "Unauthorized"),
            (answering(b"", "302 Found"), cli.EXIT_UNKNOWN, "Redirected"),
            (b"no HTTP\r\n\r\n", cli.EXIT_UNKNOWN, "InvalidAnswer"),
            (b"", cli.EXIT_NOT_READY, "ConnectionLost"),
        ],
    )
    def test_the_exit_code_tells_the_models_state(self, capsys: Out, answer: bytes, code: int, words: str) -> None:
        with in_background(loopback(answer)) as url:
            assert run("check", url, "--model", "iris", "--protocol", "v2") == code
        said = capsys.readouterr().out
        assert said.splitlines()[0].split() == ["ASKED", "ANSWER", "REASON", "TOOK", "MESSAGE"]
        assert [line[:12].strip() for line in said.partition("\n\n")[0].splitlines()[1:]] == ["server live", "server ready", "model ready"]
        assert words in said

    def test_without_a_model_the_server_alone_is_asked_about(self, capsys: Out) -> None:
        with in_background(loopback(answering(b'{"status":"alive"}'))) as url:
            assert run("check", url, "--protocol", "v1") == cli.EXIT_READY
        assert "model ready" not in capsys.readouterr().out

    def test_without_a_protocol_the_server_is_asked_what_it_is(self, capsys: Out) -> None:
        with in_background(loopback(answering(b'{"models":["iris","digits"],"name":"iris","ready":true}'))) as url:
            assert run("check", url) == cli.EXIT_READY
        said = capsys.readouterr().out
        assert "is a model server with V1's list, asked by v1." in said
        assert "It lists iris, digits." in said
        assert said.count("model ready") == 2

    def test_a_server_that_nobody_knows_is_code_2_and_says_what_to_do(self, capsys: Out) -> None:
        with in_background(loopback(answering(b'{"hello":"world"}'))) as url:
            assert run("check", url) == cli.EXIT_UNKNOWN
        said = capsys.readouterr().out
        assert "UnknownServer" in said
        assert "--protocol" in said

    def test_for_programs_it_is_json(self, capsys: Out) -> None:
        with in_background(loopback(answering(b'{"models":[],"status":"alive"}'))) as url:
            assert run("check", url, "-o", "json") == cli.EXIT_READY
        said = json.loads(capsys.readouterr().out)
        assert (said["url"], said["protocol"], said["models"], said["verdict"]) == (url, "v1", [], "True")
        assert [(r["question"], r["status"]) for r in said["replies"]] == [("server_live", "True"), ("server_ready", "Unknown")]
        assert said["replies"][1]["seconds"] is None
        assert said["note"] == "It has no model to ask about."

    @pytest.mark.parametrize(
        ("options", "code", "words"),
        [([], cli.EXIT_UNKNOWN, "TLSFailed"), (["--ca-bundle", str(CERT)], cli.EXIT_READY, "ServerLive")],
    )
    def test_an_authority_of_ones_own_is_trusted_where_it_is_named(self, capsys: Out, options: list[str], code: int, words: str) -> None:
        with in_background(loopback(answering(b'{"status":"alive"}'), tls=certified())) as url:
            assert run("check", url.replace("http://127.0.0.1", "https://localhost"), "--protocol", "v1", *options) == code
        assert words in capsys.readouterr().out

    def test_where_nothing_listens_it_is_not_ready(self, capsys: Out) -> None:
        assert run("check", f"http://127.0.0.1:{unused_port()}", "--protocol", "V2") == cli.EXIT_NOT_READY
        assert "ConnectionRefused" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["localhost:8080"], "http://localhost:8080"),
            (["http://"], "no host"),
            (["http://h:port"], "not valid"),
            (["http://me:hunter2@h"], "without a user name or password"),
            (["http://h", "--protocol", "v9"], "Supported here: v1, v2, openai, vllm, nim, tgi"),
            (["http://h", "--timeout", "soon"], "--timeout=soon: write a number of seconds"),
            (["http://h", "--timeout", "0"], "--timeout=0: write a time from"),
            (["http://127.0.0.1:1", "--model", ""], "name the model"),
        ],
    )
    def test_a_wrong_argument_is_one_line_and_code_2(self, capsys: Out, arguments: list[str], words: str) -> None:
        assert run("check", *arguments) == cli.EXIT_UNKNOWN
        said = capsys.readouterr().err
        assert said.startswith("isvcwatch: ")
        assert said.count("\n") == 1
        assert words in said
        assert "hunter2" not in said

    def test_a_host_that_is_not_ascii_is_an_answer_and_no_crash(self, capsys: Out) -> None:
        assert run("check", "http://bücher.invalid") == cli.EXIT_NOT_READY
        assert "NameNotFound" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("findings", "verdict"),
        [
            ([], Status.UNKNOWN),
            ([LIVE], Status.TRUE),
            ([LIVE, READY], Status.TRUE),
            ([LIVE, NOT_READY], Status.FALSE),
            ([NOT_READY, READY], Status.FALSE),
            ([LIVE, DENIED], Status.UNKNOWN),
            ([DENIED, READY], Status.TRUE),
            ([LIVE, Finding(Status.UNKNOWN, Reason.NO_SUCH_ROUTE)], Status.TRUE),
        ],
    )
    def test_the_verdict_is_of_the_highest_rung_that_can_be_asked(self, findings: list[Finding], verdict: Status) -> None:
        replies = [check.Row(Question.SERVER_LIVE, finding, 0.0) for finding in findings]
        assert check.Report("http://h", replies=replies).verdict() is verdict


VLLM = {
    "/health": answering(b""),
    "/version": answering(b'{"version":"0.32.0"}'),
    "/v1/models": answering(b'{"object":"list","data":[{"id":"tiny","object":"model","owned_by":"vllm"}]}'),
}
"""What a real vLLM answers."""

NO_ROUTE = answering(b'{"detail":"Not Found"}', "404 Not Found")
API_KEY = "sk-hunter2-hunter2"


def vllm(*, guarded: bool = False, engine: bool = True) -> Routed:
    """A vLLM, which `--api-key` guards as a real one is, and whose engine may be dead behind a server that lives on."""
    routes = VLLM if engine else {**VLLM, "/health": answering(b"", "503 Service Unavailable")}
    guard = ("/v1", "/v2", "/inference", "/cohere") if guarded else ("/?",)
    return Routed(
        routes, NO_ROUTE, guard, f"Authorization: Bearer {API_KEY}\r\n".encode(), answering(b'{"error":"Unauthorized"}', "401 Unauthorized")
    )


def rows(said: str) -> dict[str, list[str]]:
    """The answer and the reason of each question in a report."""
    table = [line.split() for line in said.splitlines()]
    return {
        " ".join(cells[:2]): cells[2:4] for cells in table if cells[:2] in (["server", "live"], ["server", "ready"], ["model", "ready"])
    }


class TestCheckOfVllm:
    WELL: ClassVar[dict[str, list[str]]] = {"server live": ["True", "ServerLive"], "server ready": ["True", "ServerReady"]}
    DEAD: ClassVar[dict[str, list[str]]] = {"server live": ["False", "ServerNotLive"], "server ready": ["False", "ServerNotReady"]}

    def checked(self, capsys: Out, server: Routed, *options: str) -> tuple[int, str, dict[str, list[str]]]:
        with in_background(listening(server)) as url:
            code = run("check", url, *options)
        said = capsys.readouterr().out
        return code, said, rows(said)

    @pytest.mark.parametrize("options", [(), ("--protocol", "vllm"), ("--protocol", "vllm", "--model", "tiny"), ("--model", "tiny")])
    def test_one_that_is_well_is_ready(self, capsys: Out, options: tuple[str, ...]) -> None:
        code, _, found = self.checked(capsys, vllm(), *options)
        assert (code, found) == (cli.EXIT_READY, {**self.WELL, "model ready": ["True", "ModelReady"]})

    @pytest.mark.parametrize("options", [(), ("--protocol", "vllm"), ("--protocol", "vllm", "--model", "tiny"), ("--model", "tiny")])
    def test_behind_an_api_key_its_model_can_not_be_told(self, capsys: Out, options: tuple[str, ...]) -> None:
        code, said, found = self.checked(capsys, vllm(guarded=True), *options)
        assert (code, found) == (cli.EXIT_UNKNOWN, {**self.WELL, "model ready": ["Unknown", "Unauthorized"]})
        assert "its models only to who has a credential, such as its API key" in said
        assert ("is vLLM 0.32.0, asked by vllm." in said) is ("--protocol" not in options)

    @pytest.mark.parametrize("options", [(), ("--protocol", "vllm"), ("--protocol", "vllm", "--model", "tiny"), ("--model", "tiny")])
    def test_with_a_dead_engine_its_list_proves_nothing(self, capsys: Out, options: tuple[str, ...]) -> None:
        code, _, found = self.checked(capsys, vllm(engine=False), *options)
        assert (code, found) == (cli.EXIT_NOT_READY, {**self.DEAD, "model ready": ["False", "ServerNotReady"]})

    def test_a_wrong_key_is_said_to_be_wrong(self, capsys: Out) -> None:
        code, said, found = self.checked(capsys, vllm(guarded=True), "--header", "Authorization: Bearer another")
        assert (code, found) == (cli.EXIT_UNKNOWN, {**self.WELL, "model ready": ["Unknown", "Unauthorized"]})
        assert "what --header gave is none that it takes." in said

    def test_a_dead_engine_behind_an_api_key_is_a_no(self, capsys: Out) -> None:
        code, said, found = self.checked(capsys, vllm(guarded=True, engine=False))
        assert (code, found) == (cli.EXIT_NOT_READY, {**self.DEAD, "model ready": ["Unknown", "Unauthorized"]})
        assert "is vLLM 0.32.0" in said

    @pytest.mark.parametrize("options", [(), ("--protocol", "vllm")])
    def test_with_its_key_it_is_ready(self, capsys: Out, options: tuple[str, ...]) -> None:
        code, said, found = self.checked(capsys, vllm(guarded=True), *options, "--header", f"Authorization:Bearer {API_KEY}")
        assert (code, found) == (cli.EXIT_READY, {**self.WELL, "model ready": ["True", "ModelReady"]})
        assert "lists tiny." in said

    def test_a_list_in_no_format_that_is_known_says_nothing(self, capsys: Out) -> None:
        server = Routed({**VLLM, "/v1/models": answering(b'{"data":[{"id":"tiny"}]}')}, NO_ROUTE, ("/?",))
        code, _, found = self.checked(capsys, server, "--protocol", "vllm")
        assert (code, found) == (cli.EXIT_UNKNOWN, {**self.WELL, "model ready": ["Unknown", "ModelNameUnknown"]})


@pytest.mark.parametrize(("status", "reason"), [("401 Unauthorized", "Unauthorized"), ("403 Forbidden", "Forbidden")])
@pytest.mark.parametrize("options", [(), ("--protocol", "v2", "--model", "iris")])
def test_a_server_that_wants_a_credential_is_said_to(capsys: Out, status: str, reason: str, options: tuple[str, ...]) -> None:
    with in_background(loopback(answering(b"", status))) as url:
        assert run("check", url, *options) == cli.EXIT_UNKNOWN
    said = capsys.readouterr().out
    assert reason in said
    assert 'give one that it takes, such as --header "Authorization: Bearer TOKEN".' in said
    assert "UnknownServer" not in said


class TestCheckWithHeaders:
    def asked(self, *options: str) -> list[str]:
        """The heads of the requests that were sent."""
        server = Routed({}, answering(b'{"status":"alive"}'), ("/?",))
        with in_background(listening(server)) as url:
            run("check", url, *options)
        return [request.decode() for request in server.requests]

    @pytest.mark.parametrize("options", [(), ("--protocol", "v2", "--model", "iris")])
    def test_each_request_has_them(self, options: tuple[str, ...]) -> None:
        heads = self.asked(*options, "--header", f"Authorization: Bearer {API_KEY}", "--header", "X-Tenant:a:b")
        assert heads
        assert all(f"\r\nAuthorization: Bearer {API_KEY}\r\nX-Tenant: a:b\r\n" in head for head in heads)

    def test_the_host_is_the_given_one_alone(self) -> None:
        heads = self.asked("--host", "iris.models.example.com:8443", "--header", "user-agent: curl")
        assert heads
        for head in heads:
            assert [line for line in head.splitlines() if line.lower().startswith(("host:", "user-agent:"))] == [
                "Host: iris.models.example.com:8443",
                "user-agent: curl",
            ]

    @pytest.mark.parametrize("status", ["401 Unauthorized", "503 Service Unavailable", "200 OK"])
    @pytest.mark.parametrize("output", ["text", "json"])
    @pytest.mark.parametrize("around", ["", "x" * 230])
    def test_a_server_that_repeats_a_value_has_it_hidden(self, capsys: Out, status: str, output: str, around: str) -> None:
        echo = json.dumps({"error": f"{around} no such key: {API_KEY}", "models": [API_KEY]}).encode()
        with in_background(loopback(answering(echo, status))) as url:
            run("check", url, "-o", output, "--header", f"X-Session: key={API_KEY}; path=/")
        said = capsys.readouterr()
        assert API_KEY[:8] not in said.out + said.err

    def test_a_redirect_is_not_followed_with_them(self, capsys: Out) -> None:
        other = Routed({}, answering(b"{}"))
        with in_background(listening(other)) as elsewhere, in_background(loopback(answering(b"", "302 Found", Location=elsewhere))) as url:
            assert run("check", url, "--header", f"Authorization: Bearer {API_KEY}") == cli.EXIT_UNKNOWN
        assert other.requests == []
        assert API_KEY not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                ["--header", "hunter2"],
                'number 1 has no name before a colon: write NAME:VALUE, such as --header "Authorization: Bearer TOKEN"',
            ),
            (["--header", "A: b", "--header", "Bearer hunter2: x"], "number 2 has no name before a colon"),
            (["--header", ": hunter2"], "no name before a colon"),
            (["--header", "Authorization:"], "Authorization, has no value"),
            (["--header", "Authorization: hunter2\r\nX: y"], "not one line"),
            (["--header", "Authorization: hunter2é"], "not in ASCII"),
            (["--header", "host: h"], "write --host HOST"),
            (["--header", "Content-Length: 3"], "isvcwatch itself sets: leave it out"),
            (["--host", "http://h"], "--host=http://h: write a host's name"),
            (["--host", ""], "write a host's name"),
            (["--host", "h\r\nX: y"], "write a host's name"),
        ],
    )
    def test_one_that_can_not_be_sent_says_what_to_write(self, capsys: Out, options: list[str], words: str) -> None:
        assert run("check", "http://127.0.0.1:1", *options) == cli.EXIT_UNKNOWN
        said = capsys.readouterr().err
        assert words in said
        assert "hunter2" not in said


class TestExplain:
    SERVICE = kserve.isvc("iris", "models", status=kserve.ready("iris", "models"))
    RUNTIME: ClassVar[dict[str, object]] = {"metadata": {"name": "kserve-sklearnserver"}, "spec": {"protocolVersions": ["v2"]}}

    def explained(self, tmp_path: Path, *answers: tuple[object, ...], name: str = "models/iris") -> int:
        with in_background(api_server(*answers)) as url:
            return run("explain", name, "--kubeconfig", kubeconfig(tmp_path, url))

    def test_it_shows_what_would_be_probed_and_why(self, tmp_path: Path, capsys: Out) -> None:
        assert self.explained(tmp_path, (200, self.SERVICE), (200, {"items": [self.RUNTIME]})) == 0
        said = capsys.readouterr().out
        assert "models/iris is probed every 10 s." in said
        assert "http://iris-predictor.models.svc.cluster.local             status.address.url" in said
        assert "runtime kserve-sklearnserver: lowest of protocolVersions" in said

    @pytest.mark.parametrize(
        ("status", "words"), [(404, "runtime kserve-sklearnserver was not found"), (403, "add the RBAC rule"), (500, "could not be read")]
    )
    def test_a_runtime_that_can_not_be_read_is_noted(self, tmp_path: Path, capsys: Out, status: int, words: str) -> None:
        assert self.explained(tmp_path, (200, self.SERVICE), (status, {"kind": "Status"})) == 0
        said = capsys.readouterr().out
        assert words in said
        assert "so the protocol comes from the service alone" in said

    def test_a_runtime_of_the_namespace_is_looked_for_first(self, tmp_path: Path, capsys: Out) -> None:
        service = kserve.isvc("iris", "models", kserve.model_spec(runtime="own"))
        assert self.explained(tmp_path, (200, service), (200, {"items": []}), (200, {"items": [self.RUNTIME]})) == 0
        assert "is not probed: neither status.address.url nor status.url is set yet (NoAddress)." in capsys.readouterr().out

    def test_a_service_without_a_runtime_needs_none(self, tmp_path: Path, capsys: Out) -> None:
        service = kserve.isvc("iris", "models", kserve.container_spec(), status=kserve.custom_container("iris", "models"))
        assert self.explained(tmp_path, (200, service)) == 0
        assert "Note" not in capsys.readouterr().out

    @pytest.mark.parametrize(("status", "words"), [(404, "inferenceservices"), (403, "add the RBAC rule"), (503, "503")])
    def test_a_service_that_can_not_be_read_is_one_line_and_code_2(self, tmp_path: Path, capsys: Out, status: int, words: str) -> None:
        assert self.explained(tmp_path, (status, {"message": "no"})) == cli.EXIT_UNKNOWN
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert words in said

    def test_files_are_explained_without_a_cluster(self, tmp_path: Path, capsys: Out) -> None:
        service = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "iris"},
            "spec": kserve.model_spec(),
        }
        runtime = {
            "kind": "ClusterServingRuntime",
            "metadata": {"name": "r"},
            "spec": {"supportedModelFormats": [{"name": "sklearn"}], "containers": [{"args": ["--model_name={{.Name}}"]}]},
        }
        file = tmp_path / "iris.yaml"
        file.write_text("---\n".join(json.dumps(found) + "\n" for found in (service, runtime)))
        assert run("explain", "-f", str(file)) == 0
        said = capsys.readouterr().out
        assert "default/iris is probed every 10 s." in said
        assert "http://iris-predictor.default.svc.cluster.local" in said
        assert "runtime r: --model_name" in said
        assert "Note: it has no status yet" in said
        assert "a guess" in said

    @pytest.mark.parametrize(
        ("text", "words"),
        [("a: [", "is not YAML"), ("kind: ServingRuntime", "no InferenceService"), ("", "no InferenceService"), (None, "can't be read")],
    )
    def test_a_file_that_can_not_be_used_is_named(self, tmp_path: Path, capsys: Out, text: str | None, words: str) -> None:
        file = tmp_path / "x.yaml"
        if text is not None:
            file.write_text(text)
        assert run("explain", "-f", str(file)) == cli.EXIT_UNKNOWN
        said = capsys.readouterr().err
        assert words in said
        assert "x.yaml" in said
        assert said.count("\n") == 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("kind: Deployment", "explain takes an InferenceService, with its runtime, and not a Deployment, as in "),
            ("kind: InferenceGraph", "and not an InferenceGraph, as in "),
            ("{kind: List, items: [{kind: Pod}, {kind: Service}, {kind: Pod}]}", "and not a Pod or a Service, as in "),
            ("kind: Deployment\n---\nkind: ServingRuntime", "and not a Deployment, as in "),
            ("kind: [x]", "no InferenceService is in "),
            ("kind: ' '", "no InferenceService is in "),
            ("{kind: Pod, items: 3}", "and not a Pod, as in "),
        ],
    )
    def test_a_kind_that_can_not_be_explained_is_named(self, tmp_path: Path, capsys: Out, text: str, words: str) -> None:
        file = tmp_path / "x.yaml"
        file.write_text(text)
        assert run("explain", "-f", str(file)) == cli.EXIT_UNKNOWN
        said = capsys.readouterr().err
        assert f"{words}{file}" in said
        assert said.count("\n") == 1

    def test_it_says_by_which_settings(self, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "iris.yaml"
        file.write_text(json.dumps({"kind": "InferenceService", "metadata": {"name": "iris"}, "spec": kserve.model_spec()}))
        may_differ = "Those of an operator that runs elsewhere may differ.\n"
        assert run("explain", "-f", str(file)) == 0
        said = capsys.readouterr().out
        assert said.endswith(f"By this command's own settings: the defaults, since no flag or variable is set. {may_differ}")
        monkeypatch.setenv("ISVCWATCH_PERIOD", "20")
        monkeypatch.setenv("ISVCWATCH_TIMEOUT", "7")
        monkeypatch.setenv("ISVCWATCH_ALLOW_CIDR", "10.0.0.0/8, 127.0.0.0/8")
        assert run("explain", "-f", str(file), "--timeout", "3", "--timeout", "4") == 0
        said = capsys.readouterr().out
        assert "is probed every 20 s." in said
        whence = "ISVCWATCH_PERIOD=20, --timeout=4, ISVCWATCH_ALLOW_CIDR=10.0.0.0/8, 127.0.0.0/8, and the defaults"
        assert said.endswith(f"By this command's own settings: {whence}. {may_differ}")

    @pytest.mark.parametrize("name", ["deployment/models/iris", "models/iris/"])
    def test_a_name_with_a_kind_says_what_to_write(self, capsys: Out, name: str) -> None:
        assert run("explain", name) == cli.EXIT_UNKNOWN
        assert f"explain takes an InferenceService, not {name!r}: write NAMESPACE/NAME" in capsys.readouterr().err

    def asked(self, tmp_path: Path, url: str, *options: str) -> int:
        """Explain a service at that URL, and ask it."""
        service = {
            "kind": "InferenceService",
            "metadata": {"name": "iris", "annotations": {"isvcwatch.dev/url": url}},
            "spec": {"predictor": {"containers": [{"name": "x"}]}},
            "status": {"address": {"url": "http://iris-predictor.default.svc.cluster.local"}},
        }
        file = tmp_path / "iris.yaml"
        file.write_text(json.dumps(service))
        return run("explain", "-f", str(file), "--ask", *options)

    @pytest.mark.parametrize("option", ["--anywhere", "--allow-cidr=127.0.0.0/8"])
    def test_what_is_asked_and_learned_is_shown(self, tmp_path: Path, capsys: Out, option: str) -> None:
        with in_background(loopback(answering(b'{"models":["m"],"name":"m","ready":true}'))) as url:
            assert self.asked(tmp_path, url, option) == 0
        said = capsys.readouterr().out
        assert f"GET     {url}/v1/models/iris" in said
        assert "ModelReady would be" in said
        assert "--anywhere" not in said

    def test_it_connects_nowhere_where_the_operator_may_not(self, tmp_path: Path, capsys: Out) -> None:
        server = Routed({}, answering(b'{"secret":"hunter2"}'), ("/?",))
        with in_background(listening(server)) as url:
            assert self.asked(tmp_path, url) == 0
        said = capsys.readouterr().out
        assert server.requests == []
        assert "ModelReady would be Unknown" in said
        assert "(TargetRefused)" in said
        assert "--allow-cidr CIDR allows a range" in said
        assert "--anywhere lets this command alone connect" in said

    @pytest.mark.parametrize(
        ("options", "period", "words"),
        [
            ([], "5", "By the settings of the operator ops/isvcwatch: --period=5, ISVCWATCH_TIMEOUT=1, and the defaults."),
            (["--period=7"], "7", "This command's own come first: --kubeconfig="),
        ],
    )
    def test_it_follows_the_settings_of_the_operator_that_runs(
        self, tmp_path: Path, capsys: Out, options: list[str], period: str, words: str
    ) -> None:
        container = {
            "args": ["run", "--period", "5", "--http-bind=:80", "--ca-bundle=/not/here"],
            "env": [{"name": "ISVCWATCH_TIMEOUT", "value": "1"}, {"name": "POD_NAME", "valueFrom": {}}],
        }
        found = {"metadata": {"namespace": "ops", "name": "isvcwatch"}, "spec": {"template": {"spec": {"containers": [container]}}}}
        with in_background(api_server((200, self.SERVICE), (200, {"items": [self.RUNTIME]}), (403, {}), (200, {"items": [found]}))) as url:
            assert run("explain", "models/iris", *options, "--kubeconfig", kubeconfig(tmp_path, url)) == 0
        said = capsys.readouterr().out
        assert f"models/iris is probed every {period} s." in said
        assert words in said

    @pytest.mark.parametrize("items", [[], [{}, {}], [{"spec": 3}], ["x"]])
    def test_where_none_can_be_found_it_follows_its_own(self, tmp_path: Path, capsys: Out, items: list[object]) -> None:
        with in_background(api_server((200, self.SERVICE), (200, {"items": [self.RUNTIME]}), (403, {}), (200, {"items": items}))) as url:
            assert run("explain", "models/iris", "--kubeconfig", kubeconfig(tmp_path, url)) == 0
        assert "By this command's own settings" in capsys.readouterr().out

    def test_nor_to_an_api_server(self, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ISVCWATCH_ALLOW_CIDR", "10.0.0.0/8")
        metadata = {**self.SERVICE["metadata"], "annotations": {"isvcwatch.dev/url": "http://10.9.9.9:6443"}}
        answers: tuple[tuple[object, ...], ...] = (
            (200, {**self.SERVICE, "metadata": metadata}),
            (200, {"items": [self.RUNTIME]}),
            (200, {"items": []}),
            (200, {"serverAddressByClientCIDRs": [{"serverAddress": "10.9.9.9:6443"}]}),
            (403, {}),
        )
        with in_background(api_server(*answers)) as url:
            assert run("explain", "models/iris", "--ask", "--kubeconfig", kubeconfig(tmp_path, url)) == 0
        assert "10.9.9.9 is not a model server's address: it is the API server's" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("slices", "words"),
        [((403, {}), "TargetRefused"), ((200, {"items": [endpoint_slice("iris", "models", True, service="mine")]}), "NameNotFound")],
    )
    def test_a_service_that_an_annotation_names_is_its_own_where_its_slices_tell(
        self, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch, slices: tuple[object, ...], words: str
    ) -> None:
        usual = socket.getaddrinfo

        def look_up(host: str, *rest: object, **options: object) -> object:
            if host.endswith(".invalid"):
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            return usual(host, *rest, **options)  # type: ignore[arg-type]  # they are its own

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        metadata = {**self.SERVICE["metadata"], "annotations": {"isvcwatch.dev/url": "http://mine.models.svc.invalid"}}
        service = {
            **self.SERVICE,
            "metadata": metadata,
            "status": {**self.SERVICE["status"], "address": {"url": "http://iris.models.svc.invalid"}},
        }
        with in_background(api_server((200, service), (200, {"items": [self.RUNTIME]}), slices, (403, {}), (403, {}))) as url:
            assert run("explain", "models/iris", "--ask", "--kubeconfig", kubeconfig(tmp_path, url)) == 0
        said = capsys.readouterr().out
        assert f"({words})" in said, said

    @pytest.mark.parametrize(
        ("server", "reason"),
        [
            (vllm(guarded=True), "Unauthorized"),
            (Routed({}, answering(b"<html>401</html>", "401 Unauthorized"), ("/?",)), "Unauthorized"),
            (Routed({}, answering(b"RBAC: access denied", "403 Forbidden"), ("/?",)), "Forbidden"),
            (Routed({"/v2": answering(b"", "401 Unauthorized")}, NO_ROUTE, ("/?",)), "Unauthorized"),
            (Routed({"/info": answering(b'{"error":"no"}', "403 Forbidden")}, NO_ROUTE, ("/?",)), "Forbidden"),
            (Routed({}, NO_ROUTE, ("/?",)), "UnknownServer"),
        ],
        ids=["vllm", "a proxy", "a mesh", "an application", "another", "one that wants no credential"],
    )
    def test_a_server_that_wants_a_credential_is_so_to_the_operator(self, tmp_path: Path, capsys: Out, server: Routed, reason: str) -> None:
        with in_background(listening(server)) as url:
            assert self.asked(tmp_path, url, "--anywhere") == 0
        said = capsys.readouterr().out
        assert "ModelReady would be Unknown" in said
        assert f"({reason})." in said

    @pytest.mark.parametrize(("options", "words"), [([], "TLSFailed"), (["--ca-bundle", str(CERT)], "ModelReady would be True")])
    def test_it_trusts_whom_the_operator_trusts(self, tmp_path: Path, capsys: Out, options: list[str], words: str) -> None:
        server = Routed({}, answering(b'{"name":"iris","ready":true}'), ("/?",))
        with in_background(listening(server, tls=certified())) as url:
            self.asked(tmp_path, url.replace("http://127.0.0.1", "https://localhost"), "--allow-cidr=127.0.0.0/8", *options)
        assert words in capsys.readouterr().out

    @pytest.mark.parametrize("name", ["iris", "/iris", "models/", ""])
    def test_a_name_without_its_namespace_says_what_to_write(self, capsys: Out, name: str) -> None:
        assert run("explain", name) == cli.EXIT_UNKNOWN
        assert "write NAMESPACE/NAME" in capsys.readouterr().err

    def test_a_missing_kubeconfig_is_one_line(self, capsys: Out, tmp_path: Path) -> None:
        assert run("explain", "models/iris", "--kubeconfig", str(tmp_path / "absent")) == cli.EXIT_UNKNOWN
        assert capsys.readouterr().err.startswith("isvcwatch: no kubeconfig at ")

    def test_one_that_is_left_alone_says_why_in_one_sentence(self) -> None:
        stopped = isvc(stopped=True)
        said = describe(stopped, derive(stopped, None, DEFAULTS))
        assert said == "models/iris is not probed: it is stopped; it is judged afresh once it is started again (Stopped)."

    def test_one_that_is_misconfigured_says_what_to_write(self) -> None:
        wrong = annotated(protocol="v9")
        assert "write one of v1, v2, openai, vllm, nim, tgi" in describe(wrong, derive(wrong, None, DEFAULTS))


class TestRun:
    def test_each_wrong_setting_is_a_line_and_code_2(self, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ISVCWATCH_PERIOD", "soon")
        assert run("run", "--timeout", "0", "--namespace", "A") == cli.EXIT_UNKNOWN
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 3
        assert all(line.startswith("isvcwatch: ") for line in lines)
        assert any("ISVCWATCH_PERIOD=soon" in line for line in lines)


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--perod", "5"], ["check"], ["explain"]])
def test_a_wrong_command_line_is_code_2(capsys: Out, arguments: list[str]) -> None:
    assert run(*arguments) == 2
    assert "usage: isvcwatch" in capsys.readouterr().err


def test_it_tells_its_version(capsys: Out) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"isvcwatch {__version__}\n"


def test_its_help_names_each_variable(capsys: Out) -> None:
    assert run("run", "--help") == 0
    said = capsys.readouterr().out
    assert "[ISVCWATCH_PERIOD]" in " ".join(said.split())


def test_without_the_operators_libraries_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['kopf'] = sys.modules['kubernetes'] = None; from isvcwatch.cli import main; main(['run'])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={"PYTHONPATH": str(OPERATOR)})  # noqa: S603
    assert ended.returncode == cli.EXIT_UNKNOWN
    assert ended.stderr.startswith("isvcwatch: run and explain need the operator's libraries: pip install 'isvcwatch[operator]'")
    assert ended.stderr.count("\n") == 1


def test_a_table_has_columns_as_wide_as_their_widest_cell() -> None:
    assert table(("A", "LONG"), [("wide cell", "x"), ("y", "")]) == "A           LONG\nwide cell   x\ny"
