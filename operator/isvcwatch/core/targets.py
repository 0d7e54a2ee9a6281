"""What is probed: one Target for each InferenceService, with one Hop for each server on the way to its model."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from isvcwatch.core.policy import ProbePolicy
    from isvcwatch.core.reasons import Reason


class Component(StrEnum):
    """The parts of an InferenceService that answer readiness routes."""

    PREDICTOR = "predictor"
    TRANSFORMER = "transformer"


@dataclass(frozen=True, slots=True)
class Hop:
    """One server that must answer for its service to be ready.

    Attributes:
        component: which part of the InferenceService it is.
        base_url: the scheme, host, port and path that the protocol's routes are appended to.
        protocol: one of `overrides.PROTOCOLS`.
        model_name: the name that the server knows its model by.
        own_host: whether the host is a Service in the object's own namespace that leads to pods, as far as is known; any other host must
            resolve into an allowed range, and what it answers is quoted nowhere.
        routed: whether the host's name may be an alias of a gateway elsewhere in the cluster, as Knative's are.
        protocol_certain: whether the server is known to speak the protocol; a guess is investigated when an answer contradicts it.
        name_listed: whether that name comes from the server's own list.
        name_certain: whether the server is known to use that model name; a guess is investigated when an answer contradicts it.
        address_certain: whether the host is a Service that KServe makes.
        other_urls: other base URLs of the server, which are tried if nothing answers at `base_url`.
        verified: whether its certificate must be trusted; False only after a closer look found that its port speaks TLS, and why not.
        tls_by_spec: whether it is asked by https since the container says so, although KServe's address says http.
        ready_path: the path of the container's own readiness route; empty if it has none that can be reached at `base_url`.
        has_model: whether the server must have a model; one that is started without may have models that others add.
        may_sleep: whether a refused connection may be no fault, since an autoscaler outside KServe may have scaled it to zero.
        canary: the canary's name, if the hop is one; else empty.
        service: the name of the Service that the host is, in the object's own namespace; empty if it is none.
        port: the container's port that it reaches, as far as the container declares it; else 0.
        grace: seconds from its first round in which the hop may still be starting; until it is first ready, its failures don't count. A hop
            is the same with another one: it turns with each restart of a canary, and what was learned must stay.
    """

    component: Component
    base_url: str
    protocol: str
    model_name: str
    own_host: bool
    routed: bool = False
    protocol_certain: bool = True
    name_certain: bool = True
    name_listed: bool = False
    address_certain: bool = True
    other_urls: tuple[str, ...] = ()
    verified: bool = True
    tls_by_spec: bool = False
    ready_path: str = ""
    has_model: bool = True
    may_sleep: bool = False
    canary: str = ""
    service: str = ""
    port: int = 0
    grace: float = field(default=0.0, compare=False)

    @property
    def shown_name(self) -> str:
        """The model's name for messages; what a host that may be anybody's lists is quoted nowhere."""
        return "a model that it lists" if self.name_listed and not self.own_host else f"`{self.model_name}`"

    @property
    def part(self) -> str:
        """The part of the service, as messages name it."""
        return f"canary {self.canary}" if self.canary else self.component


@dataclass(frozen=True, slots=True)
class Target:
    """An InferenceService that is probed: every hop must answer.

    Attributes:
        uid: the object's UID, which identifies it across changes and determines its place in the period.
        namespace: the object's namespace.
        name: the object's name.
        hops: the servers to probe, with the one that clients reach first.
        policy: how it is probed.
        former: the hops that answered before the service changed, whose pods may still serve; asked where `hops` don't answer.
    """

    uid: str
    namespace: str
    name: str
    hops: tuple[Hop, ...]
    policy: ProbePolicy
    former: tuple[Hop, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """An InferenceService that is not probed or written to."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """An InferenceService that can't be probed as it stands; its conditions are Unknown and say what to do."""

    reason: Reason
    message: str


Outcome: TypeAlias = Target | Skipped | Misconfigured
"""What is done about an InferenceService."""
