"""Finding the API server: each way that can go wrong is one clear line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest
import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import incluster_config
from structlog.testing import capture_logs

from isvcwatch.kube.connection import RENEWAL, ApiConnection, Renewal, connect
from isvcwatch.kube.errors import ConfigError
from tests.unit.kube.apiserver import kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a pod, and no kubeconfig named."""
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(variable, raising=False)


async def refusal(path: str = "", context: str = "") -> str:
    with pytest.raises(ConfigError) as refused:
        await connect(path, context)
    text = str(refused.value)
    assert text.isprintable()
    return text


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "absent")
    assert (
        await refusal(path) == f"no kubeconfig at {path}: name one with --kubeconfig or KUBECONFIG, or run in a pod with a service account"
    )


async def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    assert "no kubeconfig at" in await refusal(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: b: c\n  - [", "can't be read"),
        (b"\xff\xfe\x00\x01", "can't be read"),
        (b"", "is not a kubeconfig"),
        (b"just text", "is not a kubeconfig"),
        (b"- a\n- b", "is not a kubeconfig"),
        (b"apiVersion: v1\nkind: Pod\n", "is not a kubeconfig"),
        (b"clusters:\n", "can't be used"),
        (b"clusters: []\n", "can't be used"),
        (b"clusters: 5\ncontexts: text\ncurrent-context: x\nusers: 1\n", "can't be used"),
        (b"clusters: []\ncontexts: []\nusers: []\ncurrent-context: gone\n", "can't be used"),
    ],
)
async def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    said = await refusal(str(path))
    assert words in said
    assert str(path) in said


@pytest.mark.parametrize("context", ["absent", "broken"])
async def test_a_context_that_is_not_there_is_named(tmp_path: Path, context: str) -> None:
    assert f"context '{context}' of the kubeconfig" in await refusal(kubeconfig(tmp_path, "http://127.0.0.1:1"), context)


async def test_a_pod_without_a_token_says_what_to_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    assert "mount its token, or name a --kubeconfig" in await refusal()


async def test_a_kubeconfig_that_is_named_comes_before_the_pods_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "http://127.0.0.1:2"))
    connection = await connect()
    assert connection.server == "http://127.0.0.1:2"
    await connection.close()


async def test_several_kubeconfigs_are_joined_as_kubectl_does(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:2")
    connection = await connect(f"{tmp_path / 'absent'}:{path}", "here")
    assert connection.server == "http://127.0.0.1:2"
    await connection.close()


@pytest.mark.parametrize(
    ("server", "in_pod", "addresses"),
    [
        ("https://10.0.0.1:6443", "", ["10.0.0.1"]),
        ("https://[fd00::1]:6443", "10.96.0.1", ["fd00::1", "10.96.0.1"]),
        ("https://api.example.com", "", []),
    ],
)
async def test_the_api_servers_addresses_are_known_without_a_resolver(
    monkeypatch: pytest.MonkeyPatch, server: str, in_pod: str, addresses: list[str]
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", in_pod)
    connection = ApiConnection(Configuration(host=server))
    assert [str(address) for address in connection.server_addresses()] == addresses
    await connection.close()


async def test_a_token_file_may_end_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    connection = await connect(with_token_file(kubeconfig(tmp_path, "http://127.0.0.1:2"), tmp_path / "token"))
    assert await sent(connection) == "Bearer first"
    await connection.close()


@pytest.mark.parametrize("trouble", ["empty", "gone"])
async def test_a_pods_token_that_cannot_be_read_for_a_while_stays_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    (tmp_path / "ca.crt").write_text(certifi.contents())
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    now = time.monotonic()
    connection = await connect()
    assert await sent(connection) == "bearer first"
    hook: Any = connection._configuration.refresh_api_key_hook
    hook._clock = lambda: now
    token.write_text("") if trouble == "empty" else token.unlink()
    now += RENEWAL + 1
    with capture_logs() as lines:
        assert await sent(connection) == "bearer first"
    assert [line["event"] for line in lines] == ["credentials_not_read"]
    token.write_text("second\n")
    now += RENEWAL + 1
    assert await sent(connection) == "bearer second"
    await connection.close()


async def test_credentials_are_read_again_once_a_minute_and_kept_where_they_cannot_be() -> None:
    now = 100.0
    tokens: Iterator[str | OSError] = iter(["Bearer first\n", OSError("no such file"), "Bearer second\n"])

    async def load(configuration: Configuration) -> None:
        token = next(tokens)
        if isinstance(token, OSError):
            raise token
        configuration.api_key["BearerToken"] = token

    configuration = Configuration(host="http://127.0.0.1:2")
    await load(configuration)
    renewal = Renewal(load, lambda: now)
    held = []
    for passes in (0.0, RENEWAL - 1, 1.0, RENEWAL, 0.0):
        now += passes
        await renewal(configuration)
        held.append(configuration.api_key["BearerToken"].strip())
    assert held == ["Bearer first", "Bearer first", "Bearer first", "Bearer second", "Bearer second"]


def with_token_file(path: str, token_file: Path) -> str:
    config = yaml.safe_load(Path(path).read_text())
    config["users"] = [{**user, "user": {"tokenFile": str(token_file)}} for user in config["users"]]
    Path(path).write_text(yaml.safe_dump(config))
    return path


async def sent(connection: ApiConnection) -> str:
    """The credentials that go with a request."""
    settings = await connection._configuration.auth_settings()
    return str(settings["BearerToken"]["value"])
