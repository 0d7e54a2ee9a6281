"""What the tests of faults do to services, and ask of an operator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rig import kserve_status as kserve

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.cluster import Cluster
    from tests.integration.watching.answers import RawServer
    from tests.integration.watching.operating import OperatorProcess

RESYNC = 3.0


def create(cluster: Cluster, namespace: str, name: str, server: RawServer) -> dict[str, Any]:
    spec = kserve.model_spec(args=[f"--model_name={name}"])
    return cluster.create_isvc(kserve.isvc(name, namespace, spec), kserve.ready(name, namespace, server.base_url))


def remove(cluster: Cluster, namespace: str, name: str) -> None:
    cluster.delete(cluster.get_isvc(namespace, name))


def is_probed(operator: OperatorProcess, count: int) -> bool:
    return f'isvcwatch_targets{{state="probed"}} {count}.0' in operator.get("/metrics")


def held(operator: OperatorProcess) -> dict[str, bool]:
    """Whether each model is held to be ready."""
    found = re.findall(r'isvcwatch_model_ready\{name="([^"]+)"[^}]*\} (\d)', operator.get("/metrics"))
    return {name: value == "1" for name, value in found}


def swallow(*kinds: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    return lambda event: None if event["type"] in kinds else event
