"""Finding the API server: each way that can go wrong is one clear line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kubernetes.aio.client import Configuration

from isvcwatch.kube.connection import Connection, connect
from isvcwatch.kube.errors import ConfigError
from tests.unit.kube.apiserver import kubeconfig

if TYPE_CHECKING:
    from pathlib import Path


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
    connection = Connection(Configuration(host=server))
    assert [str(address) for address in connection.server_addresses()] == addresses
    await connection.close()
