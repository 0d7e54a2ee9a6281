"""Judges replicas that disagree: one steady fact about a service, however often a client meets the one or the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from isvcwatch.core.backing import backing_of
from isvcwatch.core.conditions import Status, one_line
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from isvcwatch.core.backing import Backing
    from isvcwatch.core.targets import Hop, Target

NAMED: Final = 3
"""Replicas that a message names at most."""

IN_A_ROW: Final = 2
"""Surveys in a row that must find a replica failing, or well again, before that counts."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A question to each replica of a service: which hop's server each is, and the port that its Service leads to.

    Attributes:
        target: the service.
        replicas: the number of the hop, the replica's name, its IP address and its port.
    """

    target: Target
    replicas: tuple[tuple[int, str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Replicas:
    """What is known of a service's replicas by surveys.

    Attributes:
        findings: the latest finding about each, by the pod's name.
        streaks: how many surveys in a row have found each to fail, and for one that is well again, minus how many have found that.
        split: those that are held to fail while others serve; empty while they agree.
    """

    findings: tuple[tuple[str, Finding], ...] = ()
    streaks: tuple[tuple[str, int], ...] = ()
    split: tuple[str, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether nothing is being confirmed: each replica that failed last is held to fail, and no other is."""
        failing = {pod for pod, finding in self.findings if finding.status is Status.FALSE}
        return failing == set(self.split) or len(failing) == len(self.findings)

    @property
    def is_mixed(self) -> bool:
        """Whether the latest survey found some that fail beside others that don't."""
        failing = sum(finding.status is Status.FALSE for _, finding in self.findings)
        return 0 < failing < len(self.findings)

    def after(self, found: Mapping[str, Finding]) -> Replicas:
        """What is known after one more survey. Replicas that are not in it are gone."""
        before = dict(self.streaks)
        streaks = {pod: _streak(before.get(pod, 0), finding) for pod, finding in found.items()}
        failing = tuple(sorted(pod for pod, streak in streaks.items() if streak >= IN_A_ROW or (pod in self.split and streak > -IN_A_ROW)))
        return Replicas(tuple(sorted(found.items())), tuple(sorted(streaks.items())), failing if 0 < len(failing) < len(found) else ())

    def finding(self) -> Finding | None:
        """The steady finding while replicas disagree: what most clients get, and which replicas fail; None while they agree.

        It says why the first of them fails, if that one did so in the latest survey.
        """
        if not self.split:
            return None
        most_serve = 2 * len(self.split) <= len(self.findings)
        why = next((finding.message for pod, finding in self.findings if pod in self.split and finding.status is Status.FALSE), "")
        named = ", ".join(self.split[:NAMED]) + (" and others" if len(self.split) > NAMED else "")
        message = f"{len(self.split)} of {len(self.findings)} replicas fail: {named}{f' ({why})' if why else ''}"
        return Finding(Status.TRUE if most_serve else Status.FALSE, Reason.SOME_REPLICAS_FAIL, one_line(message))


def survey_of(target: Target, behind: Collection[Backing]) -> Survey | None:
    """The survey of a target's replicas; None if no Service of it is known to have several that are ready, or their port is not known."""
    replicas = tuple(_of_hops(target.hops, behind))
    return Survey(target, replicas) if replicas else None


def _of_hops(hops: Collection[Hop], behind: Collection[Backing]) -> Iterator[tuple[int, str, str, int]]:
    for number, hop in enumerate(hops):
        backing = backing_of(hop.service, behind)
        port = backing.port(hop.port) if backing is not None and not hop.canary else 0
        ready = [replica for replica in backing.endpoints if replica.ready] if backing is not None else []
        if port and len(ready) > 1:
            for replica in ready:
                yield number, replica.name, replica.address, port


def _streak(before: int, finding: Finding) -> int:
    if finding.status is Status.FALSE:
        return max(before, 0) + 1
    return min(before, 0) - 1
