"""The table of the kinds that are watched. To watch another kind, add a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from isvcwatch.core.backing import backings
from isvcwatch.core.step import Gone, Seen
from isvcwatch.kube import parse
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, ENDPOINT_SLICES, INFERENCE_SERVICES, SERVING_RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from isvcwatch.core.objects import EndpointSlice, InferenceService, Runtime
    from isvcwatch.kube.resources import Resource
    from isvcwatch.kube.store import Change, Store

T = TypeVar("T")
Key: TypeAlias = tuple[str, str]
"""Namespace and name; the namespace of a cluster-scoped object is empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind(Generic[T]):
    """A kind of object.

    Attributes:
        resource: its resource in the API.
        parse: makes the core's object from the one that the API server sends.
        concerns: the InferenceServices that a change of the object may concern.
        selector: a label that an object must have to be read; empty to read all.
        belongs: the keys under which `Store.group` finds the object.
        without: what the operator does, in words, if it can't read the kind; empty if it can't run without it.
    """

    resource: Resource
    parse: Callable[[Mapping[str, Any]], T]
    concerns: Callable[[Store, T], Iterable[InferenceService]]
    without: str = ""
    selector: str = ""
    belongs: Callable[[T], Iterable[Key]] | None = None

    def __str__(self) -> str:
        """The kind's name as kubectl writes it."""
        return str(self.resource)


def concerned(store: Store, change: Change[Any]) -> list[str]:
    """The UIDs of the services that a change concerns."""
    return [isvc.uid for isvc in change.kind.concerns(store, change.thing)]


def happened(store: Store, uid: str) -> Seen | Gone:
    """The input for `core.step` that tells of a service as the store has it now."""
    isvc = store.get(SERVICES, uid)
    if isvc is None:
        return Gone()
    return Seen(isvc, runtime_of(store, isvc), backings(store.group(SLICES, (isvc.namespace, isvc.name))))


def runtime_of(store: Store, isvc: InferenceService) -> Runtime | None:
    """The runtime of a service. If only the spec names it, it is looked for in the namespace first, then in the cluster."""
    if isvc.runtime is None:
        return None
    own = store.find(RUNTIMES, isvc.runtime.namespace, isvc.runtime.name) if isvc.runtime.namespace else None
    return own or store.find(CLUSTER_RUNTIMES, "", isvc.runtime.name)


def _itself(_store: Store, isvc: InferenceService) -> Iterable[InferenceService]:
    return (isvc,)


def _those_that_run_on_it(store: Store, runtime: Runtime) -> Iterable[InferenceService]:
    return store.group(SERVICES, (runtime.key.namespace, runtime.key.name))


def _the_one_behind_it(store: Store, found: EndpointSlice) -> Iterable[InferenceService]:
    isvc = store.find(SERVICES, found.namespace, found.owner)
    return (isvc,) if isvc is not None else ()


def _owner(found: EndpointSlice) -> Iterable[Key]:
    return ((found.namespace, found.owner),)


def _runtimes(isvc: InferenceService) -> Iterable[Key]:
    """The runtimes that a service may run on: `runtime_of` looks in the namespace, where there is one to look in, and in the cluster."""
    if isvc.runtime is None:
        return ()
    return {(isvc.runtime.namespace, isvc.runtime.name), ("", isvc.runtime.name)}


_UNSEEN: Final = "outages are known from probes alone, and silence of a network policy or a mesh is told less surely from a model's"
_ALONE: Final = "protocols come from the services alone"

SERVICES: Final = Kind(INFERENCE_SERVICES, parse.inference_service, _itself, belongs=_runtimes)
RUNTIMES: Final = Kind(SERVING_RUNTIMES, parse.runtime, _those_that_run_on_it, _ALONE)
CLUSTER_RUNTIMES: Final = Kind(CLUSTER_SERVING_RUNTIMES, parse.runtime, _those_that_run_on_it, _ALONE)
SLICES: Final = Kind(ENDPOINT_SLICES, parse.endpoint_slice, _the_one_behind_it, _UNSEEN, selector=parse.SERVICE_LABEL, belongs=_owner)

KINDS: Final[tuple[Kind[Any], ...]] = (RUNTIMES, CLUSTER_RUNTIMES, SLICES, SERVICES)
"""The kinds that are read and watched. Services come last, so that they find in the store what they refer to."""
