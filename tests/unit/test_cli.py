"""The command line: exit codes and what is said."""

from __future__ import annotations

import asyncio
import json
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
from tests.unit.builders import DEFAULTS, DENIED, LIVE, NOT_READY, READY, annotated, isvc
from tests.unit.kube.apiserver import api_server, kubeconfig
from tests.unit.probing.loopback import answering, loopback, unused_port

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
        assert [line[:12].strip() for line in said.splitlines()[1:]] == ["server live", "server ready", "model ready"]
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

    @pytest.mark.parametrize(("text", "words"), [("a: [", "is not YAML"), ("kind: Pod", "no InferenceService"), (None, "can't be read")])
    def test_a_file_that_can_not_be_used_is_named(self, tmp_path: Path, capsys: Out, text: str | None, words: str) -> None:
        file = tmp_path / "x.yaml"
        if text is not None:
            file.write_text(text)
        assert run("explain", "-f", str(file)) == cli.EXIT_UNKNOWN
        said = capsys.readouterr().err
        assert words in said
        assert "x.yaml" in said
        assert said.count("\n") == 1

    def test_what_is_asked_and_learned_is_shown(self, tmp_path: Path, capsys: Out) -> None:
        with in_background(loopback(answering(b'{"models":["m"],"name":"m","ready":true}'))) as url:
            service = {
                "kind": "InferenceService",
                "metadata": {"name": "iris"},
                "spec": {"predictor": {"containers": [{"name": "x"}]}},
                "status": {"address": {"url": url}},
            }
            file = tmp_path / "iris.yaml"
            file.write_text(json.dumps(service))
            assert run("explain", "-f", str(file), "--ask") == 0
        said = capsys.readouterr().out
        assert f"GET     {url}/v1/models/iris" in said
        assert "ModelReady would be" in said

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
