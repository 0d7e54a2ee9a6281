"""What stands behind a Service, by its EndpointSlices: the one witness of a model's outage that needs no probe and no path to the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from isvcwatch.core.objects import EndpointSlice, Replica
    from isvcwatch.core.targets import Hop


@dataclass(frozen=True, slots=True)
class Backing:
    """The endpoints of a Service, each once, however many slices and address families it is in.

    Attributes:
        service: the name of the Service.
        endpoints: the endpoints, in order of their pods' names.
        ports: the numbers of the pods' ports that the Service leads to.
    """

    service: str
    endpoints: tuple[Replica, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def serving(self) -> int:
        """How many endpoints traffic is sent to: those that are ready; else, as kube-proxy does, those that still serve while they end."""
        ready = sum(endpoint.ready for endpoint in self.endpoints)
        return ready or sum(endpoint.serving for endpoint in self.endpoints)

    def port(self, declared: int) -> int:
        """The pods' port that the Service leads to: its only one, else the one that the container declares; 0 if that is not known."""
        return self.ports[0] if len(self.ports) == 1 else declared if declared in self.ports else 0

    @property
    def is_leaving(self) -> bool:
        """Whether no pod is there that is not being deleted."""
        return all(endpoint.ending for endpoint in self.endpoints)


def backings(slices: Iterable[EndpointSlice]) -> tuple[Backing, ...]:
    """The backing of each Service that has a slice. A Service without one proves nothing, since it may be that nobody makes slices."""
    found: dict[str, dict[str, Replica]] = {}
    ports: dict[str, set[int]] = {}
    for each in slices:
        known = found.setdefault(each.service, {})
        ports.setdefault(each.service, set()).update(each.ports)
        for endpoint in each.endpoints:
            known.setdefault(endpoint.pod or endpoint.address, endpoint)
    return tuple(
        Backing(service, tuple(known[pod] for pod in sorted(known)), tuple(sorted(ports[service])))
        for service, known in sorted(found.items())
    )


def backing_of(service: str, behind: Iterable[Backing]) -> Backing | None:
    """The backing of a Service; None if it is not known."""
    return next((backing for backing in behind if backing.service == service), None)


def lacking(hops: Iterable[Hop], behind: Collection[Backing]) -> Finding | None:
    """The finding about the first hop whose Service has nothing to send its clients to; None if each has, or it is not known."""
    for hop in hops:
        backing = backing_of(hop.service, behind)
        if backing is not None and not backing.serving:
            return _finding(hop, len(backing.endpoints))
    return None


def _finding(hop: Hop, endpoints: int) -> Finding:
    if not endpoints:
        return Finding(
            Status.FALSE,
            Reason.NO_ENDPOINTS,
            f"{hop.part}: Service {hop.service} has no endpoint: its selector finds no pod, so that its clients get no answer",
        )
    return Finding(
        Status.FALSE,
        Reason.NONE_READY,
        f"{hop.part}: Service {hop.service} has endpoints, but none is ready, so that its clients get no answer",
    )
