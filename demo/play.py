"""What happens in the demo, told by the tables that kubectl would show, as they change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.stage import FAILURE_THRESHOLD, NAMESPACE, PERIOD, SERVICES
from isvcwatch.tables import table
from rig.process import RigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.stage import Stage

CONDITIONS = ("Ready", "ServerLive", "ServerReady", "ModelReady")
PATIENCE = 60.0
POLL = 0.2


def play(stage: Stage) -> None:
    """All well; one model falls ill, which KServe's own Ready does not notice; it recovers."""
    began = time.monotonic()
    screen = _Screen(stage, began)
    patient = SERVICES[1]
    server = stage.server_of(patient)
    print(f"\n$ kubectl -n {NAMESPACE} get inferenceservices   # READY is KServe's; the next three are isvcwatch's")
    screen.watch_until(lambda shown: all(s == "True" for s in shown.values()), "all three models to be ready")

    _headline(f"The model '{patient.name}' stops serving. Its pod runs on, so KServe's Ready stays True ...")
    server.make_unready(patient.name)
    fell = time.monotonic()
    screen.watch_until(lambda shown: shown[patient.name] == "False", "the failure to be told")
    bound = PERIOD * FAILURE_THRESHOLD
    print(f"\nTold after {time.monotonic() - fell:.1f} s (period {PERIOD:g} s x failure threshold {FAILURE_THRESHOLD} = {bound:g} s).")

    _headline(f"'{patient.name}' is well again ...")
    server.make_ready(patient.name)
    screen.watch_until(lambda shown: shown[patient.name] == "True", "the recovery to be told")
    screen.events()
    print(f"\nThat was isvcwatch: Ready=True, proven. ({time.monotonic() - began:.0f} s)", flush=True)


class _Screen:
    """Prints the table of services whenever it has changed."""

    def __init__(self, stage: Stage, began: float) -> None:
        self._stage = stage
        self._began = began
        self._shown = ""

    def watch_until(self, reached: Callable[[dict[str, str]], bool], what: str) -> None:
        """Print each change until it is reached."""
        deadline = time.monotonic() + PATIENCE
        while True:
            services = self._stage.services()
            self._show(services)
            if reached({s["metadata"]["name"]: _status(s, "ModelReady") for s in services}):
                return
            if time.monotonic() > deadline:
                raise RigError(f"waited {PATIENCE:g} s for {what}, in vain")
            time.sleep(POLL)

    def events(self) -> None:
        """Print the Events, once the last has arrived."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self._stage.cluster.events(NAMESPACE)) < 2 and time.monotonic() < deadline:  # noqa: PLR2004
            time.sleep(POLL)
        print(f"\n$ kubectl -n {NAMESPACE} get events")
        found.sort(key=lambda event: str(event["eventTime"]))
        rows = [(e["type"], e["reason"], f"inferenceservice/{e['regarding']['name']}", e["note"]) for e in found]
        print(table(("TYPE", "REASON", "OBJECT", "MESSAGE"), rows), flush=True)

    def _show(self, services: list[dict[str, Any]]) -> None:
        rows = [(s["metadata"]["name"], *(_status(s, kind) for kind in CONDITIONS), _field(s, "ModelReady", "reason")) for s in services]
        text = table(("NAME", "READY", "SERVERLIVE", "SERVERREADY", "MODELREADY", "REASON"), rows)
        if text != self._shown:
            self._shown = text
            print(f"\n[{time.monotonic() - self._began:4.1f} s]\n{text}", flush=True)


def _headline(text: str) -> None:
    print(f"\n=== {text}", flush=True)


def _status(service: dict[str, Any], kind: str) -> str:
    return _field(service, kind, "status")


def _field(service: dict[str, Any], kind: str, field: str) -> str:
    found = service.get("status", {}).get("conditions", [])
    return next((str(c.get(field, "")) for c in found if c["type"] == kind), "")
