"""What is probed: one Target an InferenceService, one Hop a server on the way to its model."""

from __future__ import annotations

from dataclasses import dataclass
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
    """One server that must answer.

    Attributes:
        component: which part of the InferenceService it is.
        base_url: scheme, host, port and path that the protocol's routes are joined to.
        protocol: one of `overrides.PROTOCOLS`.
        model_name: the name that the server knows its model by.
        own_host: whether the host is a Service in the object's own namespace; any other must resolve into an allowed range.
        protocol_certain: whether the server is known to speak the protocol; a guess is looked into where an answer contradicts it.
        name_certain: whether the server is known to go by that name, likewise.
        address_certain: whether the host is a Service that KServe makes.
        other_urls: base URLs at which the server may be as well, tried where nothing answers at `base_url`.
        ready_path: the path of the container's own readiness route; empty where it has none that is reached at `base_url`.
        has_model: whether a model is to be there; a server that is started without one has those that others add.
        may_sleep: whether nothing may listen without anything being wrong, since an autoscaler of others may have taken it to zero.
        canary: the name of the canary that it is; empty where it is none.
        grace: seconds from its first round in which it may still be starting, and doesn't count until it has answered that it is ready.
    """

    component: Component
    base_url: str
    protocol: str
    model_name: str
    own_host: bool
    protocol_certain: bool = True
    name_certain: bool = True
    address_certain: bool = True
    other_urls: tuple[str, ...] = ()
    ready_path: str = ""
    has_model: bool = True
    may_sleep: bool = False
    canary: str = ""
    grace: float = 0.0

    @property
    def part(self) -> str:
        """Which part of the service it is, for people."""
        return f"canary {self.canary}" if self.canary else self.component


@dataclass(frozen=True, slots=True)
class Target:
    """An InferenceService that is probed: every hop must answer.

    Attributes:
        uid: the object's UID: identity across changes, and the seed of its place in the period.
        namespace: the object's namespace.
        name: the object's name.
        hops: entry first.
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
    """An InferenceService that is left alone: nothing is probed, nothing is written."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """An InferenceService that can't be probed as it stands; its conditions say Unknown and what to do."""

    reason: Reason
    message: str


Outcome: TypeAlias = Target | Skipped | Misconfigured
"""What is done about an InferenceService."""
