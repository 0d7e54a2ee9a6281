"""`isvcwatch explain`: what would be probed, and which field each value came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isvcwatch.core.derive import Derivation, derive
from isvcwatch.core.objects import RuntimeKey
from isvcwatch.core.targets import Target
from isvcwatch.kube import errors, parse
from isvcwatch.kube.api import Api
from isvcwatch.kube.connection import connect
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, INFERENCE_SERVICES, SERVING_RUNTIMES
from isvcwatch.tables import table

if TYPE_CHECKING:
    from isvcwatch.core.objects import InferenceService, Runtime
    from isvcwatch.settings import Settings


async def explain(settings: Settings, namespace: str, name: str) -> str:
    """What is derived for a service, for people.

    Raises:
        KubeError: the service can't be read.
    """
    connection = await connect(settings.kubeconfig, settings.context)
    try:
        api = Api(connection)
        isvc = parse.inference_service(await api.get(INFERENCE_SERVICES, namespace, name))
        runtime, note = await _runtime(api, isvc)
        return "\n".join((describe(isvc, derive(isvc, runtime, settings.policy)), *note))
    finally:
        await connection.close()


def describe(isvc: InferenceService, derivation: Derivation) -> str:
    """A derivation, for people."""
    outcome = derivation.outcome
    if isinstance(outcome, Target):
        head = f"{isvc.namespace}/{isvc.name} is probed every {outcome.policy.period:g} s."
    else:
        head = f"{isvc.namespace}/{isvc.name} is not probed: {outcome.message} ({outcome.reason})."
    if not derivation.sources:
        return head
    return f"{head}\n\n{table(('FIELD', 'VALUE', 'FROM'), [(s.field, s.value, s.origin) for s in derivation.sources])}"


async def _runtime(api: Api, isvc: InferenceService) -> tuple[Runtime | None, tuple[str, ...]]:
    """The service's runtime, and a note where it could not be read."""
    if isvc.runtime is None:
        return None, ()
    problem = ""
    for resource, key in ((SERVING_RUNTIMES, isvc.runtime), (CLUSTER_SERVING_RUNTIMES, RuntimeKey("", isvc.runtime.name))):
        if resource.namespaced and not key.namespace:
            continue
        try:
            raw: dict[str, Any] = await api.get(resource, key.namespace, key.name)
        except errors.GoneError:
            problem = f"runtime {key.name} was not found"
        except errors.KubeError as error:
            problem = f"runtime {key.name} could not be read: {error}"
        else:
            return parse.runtime(raw), ()
    return None, ("", f"Note: {problem}, so the protocol comes from the service alone.")
