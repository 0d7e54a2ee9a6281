"""The whole operator as a process of its own, measured from outside: what it says at `/metrics`, and what the kernel counts."""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from bench.exposition import Exposition
from bench.part import ROOT
from rig.account import install_account
from rig.cluster import Cluster
from rig.controlplane import ControlPlane
from rig.process import Child, RigError, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SCRAPING: Final = 30.0
"""Seconds for one answer: while it reads its first list the process answers nobody."""

POLL: Final = 0.1  # seconds

LOOK: Final = 0.02
"""Seconds between two looks at whether the loop is free: one of the scheduler's ticks."""

TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Ground:
    """An API server with the CRDs, the operator's account and some namespaces."""

    plane: ControlPlane
    cluster: Cluster
    config: Path
    directory: Path


@contextmanager
def ground(*namespaces: str) -> Iterator[Ground]:
    """Where an operator is measured."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isvcwatch-bench-")))
        plane = stack.enter_context(ControlPlane.start(directory))
        cluster = stack.enter_context(Cluster(plane.kubeconfig))
        cluster.apply_crds()
        config = plane.kubeconfig_for(install_account(cluster))
        for name in namespaces:
            cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        yield Ground(plane, cluster, config, directory)


class Operator:
    """`python -m isvcwatch run` as the account of a kubeconfig. Use it in a `with` block.

    Attributes:
        began: when it was started, by the machine's monotonic clock.
    """

    def __init__(self, config: Path, directory: Path, *flags: str, python: Sequence[str] = (sys.executable,)) -> None:
        self._port = free_port()
        self._log = directory / f"operator-{self._port}.log"
        where = ("--kubeconfig", str(config), "--http-bind", f"127.0.0.1:{self._port}", "--allow-cidr", "127.0.0.0/8")
        self.began = time.monotonic()
        self._child = Child([*python, "-m", "isvcwatch", "run", *where, *flags], self._log, {"PYTHONPATH": str(ROOT / "operator")})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.began

    @property
    def cpu(self) -> float:
        """Seconds of user and system so far."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, which: str = "VmRSS") -> float:
        """MiB of memory held; of `VmHWM`, the most so far."""
        for line in Path(f"/proc/{self._child.pid}/status").read_text().splitlines():
            if line.startswith(f"{which}:"):
                return int(line.split()[1]) / 1024
        raise RigError(f"the kernel says no {which} of the operator")

    def metrics(self) -> Exposition:
        """All that it says of itself now. With thousands of services that stops its loop for a moment."""
        return Exposition(self._get("/metrics")[1])

    def wait_ready(self, within: float) -> None:
        """Wait until it is ready, within so many seconds of its start."""
        self._wait(lambda: self._get("/readyz")[0] == http.client.OK, within, "ready", POLL)

    def wait_listed(self, services: int, within: float) -> float:
        """Seconds from its start until it holds all services; `within` seconds of it."""
        self.wait_ready(within)
        self._wait(lambda: self.metrics().total("isvcwatch_targets", 'state="probed"') >= services, within, "all held", POLL)
        return self.age

    def wait_judged(self, services: int, within: float) -> float:
        """Seconds from its start until it holds a verdict of all services and has had as many answers.

        Looked at but once a second, since each look costs it as much as some hundred probes.
        """

        def judged() -> bool:
            now = self.metrics()
            held = now.count("isvcwatch_model_ready", "isvcwatch_model_unknown")
            return held >= services and now.total("isvcwatch_probes_total") >= services

        self._wait(judged, within, "all judged", 1.0)
        return self.age

    @contextmanager
    def watched_closely(self) -> Iterator[list[tuple[float, float]]]:
        """Ask `/livez` each 20 ms while the block runs: when each was asked (Unix time), and how many seconds its answer took."""
        looks: list[tuple[float, float]] = []
        stop = threading.Event()

        def look() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SCRAPING)
            while not stop.wait(LOOK):
                at, began = time.time(), time.perf_counter()
                connection.request("GET", "/livez")
                connection.getresponse().read()
                looks.append((at, time.perf_counter() - began))
            connection.close()

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield looks
        finally:
            stop.set()
            looking.join()

    def turns(self) -> dict[tuple[str, str], float]:
        """When a model was last held to be not ready, in Unix time, by namespace and name."""
        lines: Iterator[dict[str, Any]] = (json.loads(line) for line in self._log.read_text().splitlines() if '"transition"' in line)
        return {
            (line["namespace"], line["name"]): datetime.fromisoformat(line["timestamp"]).timestamp()
            for line in lines
            if line["condition"] == "ModelReady" and line["after"] == "False"
        }

    def _wait(self, condition: Callable[[], bool], within: float, what: str, poll: float) -> None:
        while not condition():
            self._child.check()
            if self.age > within:
                raise RigError(f"the operator is not {what} after {within:g} s:\n{self._child.log_tail(5)}")
            time.sleep(poll)

    def _get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer; 0 while there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SCRAPING)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        return 0, ""
