"""A process that is killed at any of its writes: the next one takes up, so that no Event is lost, none doubled, no condition wrong."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from rig import kserve_status as kserve
from rig.faultproxy import FaultProxy, Request
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer, answer
from tests.integration.watching.faults.services import create, remove
from tests.integration.watching.operating import QUICK, OperatorProcess, verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rig.cluster import Cluster

pytestmark = pytest.mark.real

LOGIN: Final = answer(401, b"who are you?")
PHASES: Final = ("before", "after", "lost")
LEAST: Final = 12
"""Writes that a play has at least: three services' first verdicts, the turns after those, and their Events."""
AT_ONCE: Final = 3
"""Plays at once: each is an operator that mostly waits."""
REST: Final = 1.5
"""Seconds without a write after which none more is expected: a write rests its object for one."""
STOPPED: Final = 1.1
"""Seconds that a stop lasts: turns are told apart by the second in which they were."""
TURNS: Final = frozenset({"ModelUnready", "ModelUnknown"})
"""What must be told, and once. A recovery may stay untold: what a True was before is not known to the process that finds it."""


@dataclass(frozen=True, slots=True)
class Death:
    """When the process dies.

    Attributes:
        at: which of its writes, counted from 1; 0 for none.
        phase: "before" the API server hears of it; "after" it was answered; or the answer is "lost", and the process with it.
    """

    at: int = 0
    phase: str = "before"


@dataclass(eq=False)
class Play:
    """Two services whose models live through all that turns a verdict, and an operator that is killed once on the way.

    Attributes:
        truth: what ModelReady must say of each service; empty for nothing.
        due: how often each turn of each object must have been told.
        recoveries: how often each object has recovered.
    """

    cluster: Cluster
    account: Path
    directory: Path
    death: Death
    truth: dict[str, str] = field(default_factory=dict)
    due: Counter[tuple[str, str]] = field(default_factory=Counter)
    recoveries: Counter[str] = field(default_factory=Counter)
    deaths: int = 0

    def __enter__(self) -> Self:
        self.directory.mkdir()
        self.namespace = self.cluster.create_namespace()
        self.servers = {name: RawServer(READY).__enter__() for name in ("iris", "fraud")}
        self.proxy = FaultProxy(self.account).__enter__()
        self.config = self.proxy.kubeconfig(self.directory / "through-the-proxy")
        self.operator = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.operator.stop()
        self.proxy.__exit__()
        for server in self.servers.values():
            server.__exit__()
        self.cluster.delete_namespace(self.namespace)

    @property
    def writes(self) -> int:
        """How many writes there were so far."""
        return sum(request.is_write for request in self.proxy.requests)

    def perform(self) -> Self:
        """Play it to the end."""
        self._arm()
        for name in self.servers:
            self._create(name)
        self._settle(iris="True", fraud="True")

        self._turn("iris", NOT_READY)
        self._settle(iris="False")
        self._turn("iris", READY)
        self._settle(iris="True")

        remove(self.cluster, self.namespace, "iris")
        self._turn("iris", NOT_READY)
        self._create("iris")
        self._settle(iris="False")

        self._stop("iris")
        self._settle(iris="")
        self._begin_again("iris")
        self._settle(iris="False")
        self._turn("iris", READY)
        self._settle(iris="True")

        self._turn("iris", NOT_READY)
        self._turn("fraud", LOGIN)
        self._settle(iris="False", fraud="Unknown")
        return self

    def told(self) -> Counter[tuple[str, str]]:
        """How often each object was said to have turned, by its UID and the Event's reason."""
        return Counter((event["regarding"]["uid"], event["reason"]) for event in self.cluster.events(self.namespace))

    def faults(self) -> list[str]:
        """What is not as it must be, after a while in which nothing more should have come."""
        self._look_after(self._rests, "it has come to rest")
        found = [
            f"{name} is {verdict(self.cluster, self.namespace, name)[0]!r}, not {status!r}"
            for name, status in self.truth.items()
            if verdict(self.cluster, self.namespace, name)[0] != status
        ]
        told = self.told()
        turns = Counter({turn: count for turn, count in told.items() if turn[1] in TURNS})
        if turns != self.due:
            found.append(f"told {turns}, not {self.due}")
        found += [f"recovery told too often: {told}" for uid in self.recoveries if told[uid, "ModelRecovered"] > self.recoveries[uid]]
        return [f"{self.death}: {fault}" for fault in found]

    # What happens.

    def _create(self, name: str) -> None:
        create(self.cluster, self.namespace, name, self.servers[name])
        self.truth[name] = ""

    def _turn(self, name: str, how: Any) -> None:  # noqa: ANN401 -- whatever a RawServer answers
        self.servers[name].answer = how

    def _stop(self, name: str) -> None:
        self.cluster.patch_isvc(self.namespace, name, {"metadata": {"annotations": {kserve.STOP: "true"}}})
        self.cluster.write_status(self.namespace, name, kserve.stopped())
        time.sleep(STOPPED)

    def _begin_again(self, name: str) -> None:
        self.cluster.patch_isvc(self.namespace, name, {"metadata": {"annotations": {kserve.STOP: "false"}}})
        self.cluster.write_status(self.namespace, name, kserve.ready(name, self.namespace, self.servers[name].base_url))

    def _settle(self, **truth: str) -> None:
        """Wait until each service's condition says what is true of it, and the turns so far are told."""
        for name, status in truth.items():
            uid = self.cluster.get_isvc(self.namespace, name)["metadata"]["uid"]
            if status == "True" and self.truth[name]:
                self.recoveries[uid] += 1
            if status in {"False", "Unknown"}:
                self.due[uid, "ModelUnready" if status == "False" else "ModelUnknown"] += 1
        self.truth |= truth
        wanted = tuple(self.truth.values())
        self._look_after(
            lambda: tuple(verdict(self.cluster, self.namespace, name)[0] for name in self.truth) == wanted and self.due <= self.told(),
            f"{self.truth} and {dict(self.due)}",
        )

    # Who is killed, and who comes after.

    def _start(self) -> OperatorProcess:
        return OperatorProcess(self.config, self.directory, "--namespace", self.namespace, *QUICK).wait_ready()

    def _arm(self) -> None:
        def is_due(request: Request) -> bool:
            return request.is_write and self.writes == self.death.at

        faults: dict[str, dict[str, Any]] = {
            "before": {"before": self._kill, "status": 500},
            "after": {"after": self._kill},
            "lost": {"after": self._kill, "lose_answer": True},
        }
        if self.death.at:
            self.proxy.rule(is_due, times=1, **faults[self.death.phase])

    def _kill(self, _: Request) -> None:
        self.deaths += 1
        self.operator.kill()

    def _look_after(self, fulfilled: Callable[[], bool], what: str) -> None:
        """Wait, and let a fresh process take up where one was killed."""

        def looks() -> bool:
            if not self.operator.running:
                self.operator = self._start()
            return fulfilled()

        wait_until(looks, 20, f"{self.death}: {what}")

    def _rests(self) -> bool:
        writes = self.writes
        time.sleep(REST)
        return self.writes == writes


def faults(cluster: Cluster, account: Path, directory: Path, death: Death) -> list[str]:
    """What was wrong at the end of a play with that death in it."""
    with Play(cluster, account, directory / f"{death.at}-{death.phase}", death) as play:
        found = play.perform().faults()
        return found if play.deaths == min(death.at, 1) else [*found, f"{death}: there was none, in {play.writes} writes"]


@pytest.mark.parametrize(
    "death",
    [
        pytest.param(Death(4, "before"), id="before its first Event"),
        pytest.param(Death(3, "after"), id="after it has first said False"),
        pytest.param(Death(7, "lost"), id="as the answer to a later Event is lost"),
    ],
)
def test_a_kill_at_a_write_costs_no_event_and_doubles_none(cluster: Cluster, account: Path, tmp_path: Path, death: Death) -> None:
    assert faults(cluster, account, tmp_path, death) == []


@pytest.mark.long
@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_at_any_write_costs_no_event_and_doubles_none(cluster: Cluster, account: Path, tmp_path: Path, phase: str) -> None:
    with Play(cluster, account, tmp_path / "unharmed", Death()) as unharmed:
        assert unharmed.perform().faults() == []
    deaths = [Death(at, phase) for at in range(1, unharmed.writes + 1)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda death: faults(cluster, account, tmp_path, death), deaths))
    assert len(deaths) >= LEAST
    assert [fault for each in found for fault in each] == []
