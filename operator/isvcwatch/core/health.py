"""The health state machine: answers in a row become a verdict, with the kubelet's thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from isvcwatch.core.conditions import ConditionType, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from isvcwatch.core.policy import ProbePolicy


@dataclass(frozen=True, slots=True)
class Finding:
    """What one round found out about one condition.

    Attributes:
        status: True, False or Unknown.
        reason: a `Reason`.
        message: one line for people; stable while nothing changes.
    """

    status: Status
    reason: str
    message: str = ""

    def same_as(self, other: Finding | None) -> bool:
        """Whether both say the same to a machine: messages are for people."""
        return other is not None and (self.status, self.reason) == (other.status, other.reason)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of probing found out: a finding a condition."""

    server_live: Finding
    server_ready: Finding
    model_ready: Finding


@dataclass(frozen=True, slots=True)
class Tracker:
    """One condition's verdict and the answers that may change it.

    Attributes:
        verdict: what is held to be so; None before the first verdict.
        successes: True findings in a row.
        failures: findings in a row that were not True.
        latest: the latest finding.
        repeats: how often in a row the latest finding was found.
    """

    verdict: Finding | None = None
    successes: int = 0
    failures: int = 0
    latest: Finding | None = None
    repeats: int = 0

    def observe(self, finding: Finding, policy: ProbePolicy) -> Tracker:
        """The tracker after one more finding.

        True needs `success_threshold` successes in a row. Leaving True, or a first verdict that isn't, needs `failure_threshold` rounds in
        a row that weren't successes, whatever they were; the latest names the cause. A verdict that isn't True changes its cause, or
        turns from False to Unknown and back, once the new one was found `failure_threshold` times in a row.
        """
        good = finding.status is Status.TRUE
        after = replace(
            self,
            successes=self.successes + 1 if good else 0,
            failures=0 if good else self.failures + 1,
            latest=finding,
            repeats=self.repeats + 1 if finding.same_as(self.latest) else 1,
        )
        return replace(after, verdict=finding) if after.turns(policy) else after

    def turns(self, policy: ProbePolicy) -> bool:
        """Whether the latest finding has become the verdict."""
        if self.latest is None or self.latest.same_as(self.verdict):
            return False
        if self.latest.status is Status.TRUE:
            return self.successes >= policy.success_threshold
        if self.verdict is None or self.verdict.status is Status.TRUE:
            return self.failures >= policy.failure_threshold
        return self.repeats >= policy.failure_threshold


@dataclass(frozen=True, slots=True)
class Health:
    """A target's three trackers."""

    server_live: Tracker = field(default_factory=Tracker)
    server_ready: Tracker = field(default_factory=Tracker)
    model_ready: Tracker = field(default_factory=Tracker)

    @classmethod
    def seeded(cls, verdicts: Mapping[ConditionType, Finding]) -> Health:
        """Health as the object's own conditions tell it, so that a restart flips nothing."""
        return cls(
            Tracker(verdicts.get(ConditionType.SERVER_LIVE)),
            Tracker(verdicts.get(ConditionType.SERVER_READY)),
            Tracker(verdicts.get(ConditionType.MODEL_READY)),
        )

    def observe(self, found: Round, policy: ProbePolicy) -> Health:
        """The health after one more round."""
        return Health(
            self.server_live.observe(found.server_live, policy),
            self.server_ready.observe(found.server_ready, policy),
            self.model_ready.observe(found.model_ready, policy),
        )

    def declare(self, finding: Finding) -> Health:
        """The health when something is known at once and for all three, such as a misconfiguration; streaks start anew."""
        return Health.seeded(dict.fromkeys(ConditionType, finding))

    def restarted(self) -> Health:
        """The same verdicts with streaks forgotten: what the target is has changed."""
        return Health.seeded(dict(self.verdicts()))

    def verdicts(self) -> Iterator[tuple[ConditionType, Finding]]:
        """The verdicts that there are."""
        for kind, tracker in (
            (ConditionType.SERVER_LIVE, self.server_live),
            (ConditionType.SERVER_READY, self.server_ready),
            (ConditionType.MODEL_READY, self.model_ready),
        ):
            if tracker.verdict is not None:
                yield kind, tracker.verdict
