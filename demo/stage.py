"""What the demo runs on: a control plane, model servers, three InferenceServices, and the operator."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rig import kserve_status as kserve
from rig.cluster import CRDS, Cluster
from rig.controlplane import ControlPlane
from rig.kserve_server import KServeServer
from rig.mlserver_server import MLServerServer
from rig.process import Child, RigError, free_port
from tools.envs import say

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from rig.model_server import ModelServer

NAMESPACE = "models"
PERIOD = 2.0
FAILURE_THRESHOLD = 3


@dataclass(frozen=True, slots=True)
class Service:
    """An InferenceService of the demo."""

    name: str
    server: str
    protocol: str


SERVICES = (Service("iris", "KServe", "v1"), Service("fraud", "KServe", "v2"), Service("sentiment", "MLServer", "v2"))


class Stage:
    """All parts, running."""

    def __init__(self, cluster: Cluster, servers: dict[str, ModelServer], operator: Child) -> None:
        self.cluster = cluster
        self._servers = servers
        self._operator = operator

    @classmethod
    def set_up(cls, stack: ExitStack, directory: Path) -> Stage:
        """Start everything; `stack` ends it, in the reverse order."""
        say("starting a real API server ...")
        control_plane = stack.enter_context(ControlPlane.start())
        cluster = stack.enter_context(Cluster(control_plane.kubeconfig))
        cluster.apply_crds(CRDS)
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        say("starting real KServe and MLServer model servers ...")
        servers: dict[str, ModelServer] = {
            "KServe": stack.enter_context(KServeServer.start(*(s.name for s in SERVICES if s.server == "KServe"))),
            "MLServer": stack.enter_context(MLServerServer.start(*(s.name for s in SERVICES if s.server == "MLServer"))),
        }
        for service in SERVICES:
            spec = kserve.model_spec(protocolVersion=service.protocol)
            status = kserve.ready(service.name, NAMESPACE, servers[service.server].base_url)
            cluster.create_isvc(kserve.isvc(service.name, NAMESPACE, spec), status)
        say("starting isvcwatch ...")
        command = [sys.executable, "-m", "isvcwatch", "run", "--kubeconfig", str(control_plane.kubeconfig)]
        flags = ["--period", str(PERIOD), "--failure-threshold", str(FAILURE_THRESHOLD), "--timeout", "1"]
        where = ["--allow-cidr", "127.0.0.0/8", "--http-bind", f"127.0.0.1:{free_port()}", "--log-format", "console"]
        operator = Child([*command, *flags, *where], directory / "isvcwatch.log")
        stack.callback(operator.stop)
        return cls(cluster, servers, operator)

    def server_of(self, service: Service) -> ModelServer:
        """The server that its model runs in."""
        return self._servers[service.server]

    def services(self) -> list[dict[str, Any]]:
        """The InferenceServices as they stand."""
        if not self._operator.running:
            raise RigError(f"isvcwatch has ended. The end of its log:\n{self._operator.log_tail()}")
        return self.cluster.list_isvcs(NAMESPACE)

    def invite(self) -> None:
        """Say how to look around."""
        print(f"\nStill running, until Ctrl-C. Look around with:\n\n  export KUBECONFIG={self.cluster.kubeconfig}")
        print(f"  kubectl -n {NAMESPACE} get inferenceservices\n  kubectl -n {NAMESPACE} describe inferenceservice fraud")
        print(f"  isvcwatch explain {NAMESPACE}/fraud\n\nThe operator's log: {self._operator.log}", flush=True)
