"""The fleet as the measurements see it: so many servers, in as few processes as the limit of open files allows."""

from __future__ import annotations

import math
import os
import random
import resource
import subprocess
import tempfile
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.fleet.places import first_port, place
from bench.fleet.server import Kind
from bench.part import Part, module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FILES_A_SERVER = 2.2
"""A listener and a connection, which while it is renewed exists twice for a moment."""

MOST_WORKERS = 8
"""Processes; where the limit of open files is so low that more were needed, models share servers."""

STARTING = 60.0  # seconds

WANTED_FILES = 131_072
"""Where we may raise the limit: more than a process here ever opens."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is asked: a model on one of the fleet's servers."""

    uid: str
    server: int
    base_url: str
    name: str

    @property
    def url(self) -> str:
        return f"{self.base_url}/v2/models/{self.name}/ready"


class Fleet:
    """Healthy servers, as many of those wanted as can be, listening once the block is entered. With `tls`, by a certificate made now."""

    def __init__(self, wanted: int, *, tls: bool = False) -> None:
        self._a_worker = int(open_files() / FILES_A_SERVER)
        self.size = min(wanted, MOST_WORKERS * self._a_worker)
        self.certificate = ""
        self._tls = tls
        self._lowest_port = first_port()
        self._workers: dict[range, Part] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self._tls:
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isvcwatch-bench-")))
                self.certificate = str(_make_certificate(directory))
            for first in range(0, self.size, self._a_worker):
                numbers = range(first, min(first + self._a_worker, self.size))
                settings = {"first": first, "count": len(numbers), "lowest_port": self._lowest_port, "certificate": self.certificate}
                self._workers[numbers] = stack.enter_context(module("bench.fleet.worker", settings))
            for worker in self._workers.values():
                worker.hear(STARTING)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def models(self, count: int, servers: int | None = None) -> list[Model]:
        """So many models, spread over so many servers: where there are as many, each on its own."""
        each = math.ceil(count / min(servers or count, self.size))
        chance = random.Random(count)  # noqa: S311 (UIDs that are the same in each run)
        scheme = "https" if self._tls else "http"

        def at(server: int) -> str:
            host, port = place(server, self._lowest_port)
            return f"{scheme}://{host}:{port}"

        return [Model(str(uuid.UUID(int=chance.getrandbits(128))), i // each, at(i // each), f"model-{i % each}") for i in range(count)]

    def keep_to(self, processors: set[int]) -> None:
        """Have the servers' processes run on these processors alone."""
        for worker in self._workers.values():
            os.sched_setaffinity(worker.pid, processors)

    @contextmanager
    def distant(self, servers: Sequence[int]) -> Iterator[None]:
        """Within, each of these servers takes its own few milliseconds to answer."""
        self.turn(Kind.DISTANT, servers)
        try:
            yield
        finally:
            self.turn(Kind.HEALTHY, servers)

    def turn(self, kind: Kind, servers: Iterable[int]) -> dict[int, float]:
        """Make servers behave so; when each turned, by the machine's monotonic clock."""
        turned: dict[int, float] = {}
        wanted = set(servers)
        for numbers, worker in self._workers.items():
            if mine := sorted(wanted.intersection(numbers)):
                turned |= dict(worker.ask(kind=kind, servers=mine)["turned"])
        return turned


def open_files() -> int:
    """How many files a process may open: the soft limit is raised to the hard one, and that where we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (WANTED_FILES, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
        except (ValueError, OSError):
            continue
        break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _make_certificate(directory: Path) -> Path:
    """A certificate and its key in one file, its own authority. One for all: thousands of addresses in it would make it huge."""
    key, certificate, both = (directory / name for name in ("key.pem", "certificate.pem", "both.pem"))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ("-subj", "/CN=fleet", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(  # noqa: S603 (the command is ours)
        ["openssl", "req", "-x509", *curve, *names, "-days", "1", "-keyout", key, "-out", certificate],  # noqa: S607
        check=True,
        capture_output=True,
    )
    both.write_text(key.read_text() + certificate.read_text())
    return both
