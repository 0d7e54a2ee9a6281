"""Kubeconfig files: writing ours, reading anyone's."""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from rig.process import RigError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an API server."""

    server: str
    tls: ssl.SSLContext
    headers: dict[str, str]


def write(target: Path, server: str, ca: bytes, token: str) -> Path:
    """A kubeconfig of one context, complete in itself. Returns `target`."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}
    return _dump(target, cluster, token)


def with_token(source: Path, token: str, target: Path) -> Path:
    """The same API server as somebody else: `source` with only its user replaced. Returns `target`."""
    cluster, _ = _current(source)
    return _dump(target, cluster, token)


def read(path: Path, context: str | None = None) -> Access:
    """What a client needs of a kubeconfig; users by token or client certificate."""
    cluster, user = _current(path, context)
    tls = ssl.create_default_context()
    if ca := _data(path, cluster, "certificate-authority"):
        tls = ssl.create_default_context(cadata=ca.decode())
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate, key = _data(path, user, "client-certificate"), _data(path, user, "client-key")
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:  # load_cert_chain takes files only
            file.write(certificate + b"\n" + key)
            file.flush()
            tls.load_cert_chain(file.name)
        return Access(cluster["server"], tls, {})
    if token := user.get("token"):
        return Access(cluster["server"], tls, {"Authorization": f"Bearer {token}"})
    raise RigError(f"{path}: its user has neither a token nor a client certificate")


def _current(path: Path, context: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    config = yaml.safe_load(path.read_text())
    chosen = _named(config["contexts"], context or config["current-context"])["context"]
    cluster = _named(config["clusters"], chosen["cluster"])["cluster"]
    return _absolute(path, cluster), _named(config["users"], chosen["user"])["user"]


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _absolute(path: Path, cluster: dict[str, Any]) -> dict[str, Any]:
    file = cluster.get("certificate-authority")
    return {**cluster, "certificate-authority": str(path.parent / file)} if file else cluster


def _data(path: Path, holder: dict[str, Any], key: str) -> bytes | None:
    if inline := holder.get(f"{key}-data"):
        return base64.b64decode(inline)
    return (path.parent / holder[key]).read_bytes() if holder.get(key) else None


def _dump(target: Path, cluster: dict[str, Any], token: str) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "rig",
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
        "clusters": [{"name": "rig", "cluster": cluster}],
        "users": [{"name": "rig", "user": {"token": token}}],
    }
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(config, sort_keys=False))
    return target
