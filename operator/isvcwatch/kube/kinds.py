"""The kinds that are watched: a table. Watching another kind is adding a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from isvcwatch.core.step import Gone, Seen
from isvcwatch.kube import parse
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, INFERENCE_SERVICES, SERVING_RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from isvcwatch.core.objects import InferenceService, Runtime
    from isvcwatch.kube.resources import Resource
    from isvcwatch.kube.store import Change, Store

T = TypeVar("T")
Key: TypeAlias = tuple[str, str]
"""Namespace and name; of a cluster's own the namespace is empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind(Generic[T]):
    """A kind of object.

    Attributes:
        resource: where the API server has it.
        parse: makes the object of what the API server sends.
        concerns: the InferenceServices that a change of the object may concern.
        without: what is done where it can't be read; empty where nothing can be done without it.
    """

    resource: Resource
    parse: Callable[[Mapping[str, Any]], T]
    concerns: Callable[[Store, T], Iterable[InferenceService]]
    without: str = ""

    def __str__(self) -> str:
        """As kubectl writes it."""
        return str(self.resource)


def inputs(store: Store, change: Change[Any]) -> Iterator[tuple[str, Seen | Gone]]:
    """What a change means for services: whom it has happened to, and what."""
    if change.kind is SERVICES and change.gone:
        yield change.uid, Gone()
        return
    for isvc in change.kind.concerns(store, change.thing):
        yield isvc.uid, Seen(isvc, runtime_of(store, isvc))


def runtime_of(store: Store, isvc: InferenceService) -> Runtime | None:
    """The runtime of a service; one that only the spec names is looked for in the namespace, then in the cluster."""
    if isvc.runtime is None:
        return None
    own = store.find(RUNTIMES, isvc.runtime.namespace, isvc.runtime.name) if isvc.runtime.namespace else None
    return own or store.find(CLUSTER_RUNTIMES, "", isvc.runtime.name)


def _itself(_store: Store, isvc: InferenceService) -> Iterable[InferenceService]:
    return (isvc,)


def _those_that_run_on_it(store: Store, runtime: Runtime) -> Iterable[InferenceService]:
    return [isvc for isvc in store.of(SERVICES) if isvc.runtime and isvc.runtime.name == runtime.key.name]


_ALONE: Final = "protocols come from the services alone"

SERVICES: Final = Kind(INFERENCE_SERVICES, parse.inference_service, _itself)
RUNTIMES: Final = Kind(SERVING_RUNTIMES, parse.runtime, _those_that_run_on_it, _ALONE)
CLUSTER_RUNTIMES: Final = Kind(CLUSTER_SERVING_RUNTIMES, parse.runtime, _those_that_run_on_it, _ALONE)

KINDS: Final[tuple[Kind[Any], ...]] = (RUNTIMES, CLUSTER_RUNTIMES, SERVICES)
"""What is read and watched; what others depend on comes first, so that they are known by it at once."""
