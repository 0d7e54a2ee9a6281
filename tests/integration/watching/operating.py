"""The operator as a process of its own, and what it has said so far."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Self

import httpx

from rig.process import Child, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rig.cluster import Cluster

START_TIMEOUT = 30.0
QUICK = ("--period", "0.5", "--timeout", "0.4", "--failure-threshold", "2")


class OperatorProcess:
    """`isvcwatch run` with its log in a file. Use it in a `with` block."""

    def __init__(
        self, kubeconfig: Path | None, directory: Path, *flags: str, loopback: bool = True, python: Sequence[str] = (sys.executable,)
    ) -> None:
        self.port = free_port()
        self.log = directory / f"operator-{self.port}.log"
        allow = ("--allow-cidr", "127.0.0.0/8") if loopback else ()
        bind = ("--http-bind", f"127.0.0.1:{self.port}")
        cluster = ("--kubeconfig", str(kubeconfig)) if kubeconfig is not None else ()
        self._command = [*python, "-m", "isvcwatch", "run", *cluster, *allow, *bind, *flags]
        self._child = Child(self._command, self.log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._child.running

    def wait_ready(self) -> Self:
        self._child.wait_ready(lambda: self.get("/readyz").startswith("200"), START_TIMEOUT)
        return self

    def stop(self) -> None:
        self._child.stop(grace=5)

    def kill(self) -> None:
        self._child.kill()

    def terminate(self, seconds: float) -> None:
        """Ask it to end, and wait until it has by itself.

        Raises:
            RigError: it has not within that time.
        """
        os.kill(self._child.pid, signal.SIGTERM)
        wait_until(lambda: not self.running, seconds, "it ends by itself")

    def get(self, path: str) -> str:
        """Status and text of an HTTP answer of the operator's own server; empty while there is none."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5, trust_env=False)
        except httpx.TransportError:
            return ""
        return f"{answer.status_code} {answer.text}"

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines of its log so far; every one must be JSON."""
        for line in self.log.read_text().splitlines():
            yield json.loads(line)

    def said(self, event: str, **fields: str) -> list[dict[str, Any]]:
        """Log lines of that event, with these fields."""
        return [line for line in self.lines() if line["event"] == event and all(line.get(k) == v for k, v in fields.items())]


def our_conditions(cluster: Cluster, namespace: str, name: str) -> dict[str, dict[str, str]]:
    """The conditions that isvcwatch owns, by type."""
    found = cluster.conditions(namespace, name)
    return {kind: found[kind] for kind in ("ServerLive", "ServerReady", "ModelReady") if kind in found}


def verdict(cluster: Cluster, namespace: str, name: str) -> tuple[str, str]:
    """Status and reason of ModelReady; empty where there is none."""
    condition = our_conditions(cluster, namespace, name).get("ModelReady", {})
    return condition.get("status", ""), condition.get("reason", "")


def wait_for(cluster: Cluster, namespace: str, name: str, status: str, timeout: float = 15.0) -> dict[str, str]:
    """The ModelReady condition, once it has that status."""
    wait_until(
        lambda: verdict(cluster, namespace, name)[0] == status,
        timeout,
        f"ModelReady={status} of {name} (it is {our_conditions(cluster, namespace, name).get('ModelReady')})",
    )
    return our_conditions(cluster, namespace, name)["ModelReady"]


def event_reasons(cluster: Cluster, namespace: str) -> list[str]:
    """Reasons of our Events in the namespace, as often as each was said."""
    reasons = []
    for event in cluster.events(namespace):
        reasons += [event["reason"]] * (event.get("series") or {"count": 1})["count"]
    return sorted(reasons)
