"""The health state machine: answers in a row become a verdict, with the kubelet's thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
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
        return self is other or (other is not None and self.status == other.status and self.reason == other.reason)


@dataclass(frozen=True, slots=True)
class Round:
    """The findings of one round of probing.

    Attributes:
        server_live: None where only the model was asked this time.
        server_ready: likewise.
        model_ready: whether the model is ready.
        by_former: the pods of before the service's last change have answered, and those of after it have not.
    """

    server_live: Finding | None
    server_ready: Finding | None
    model_ready: Finding
    by_former: bool = False


@dataclass(frozen=True, slots=True)
class Tracker:
    """One condition's verdict, and the findings in a row that speak for another.

    Attributes:
        verdict: what is held to be so; None before the first verdict.
        latest: the latest finding, where it speaks for another verdict; None while nothing does.
        streak: how many findings in a row speak for that other verdict.
    """

    verdict: Finding | None = None
    latest: Finding | None = None
    streak: int = 0

    def observe(self, finding: Finding, policy: ProbePolicy) -> Tracker:
        """The tracker after one more finding; itself where nothing changes, as with nearly every probe.

        True needs `success_threshold` successes in a row. Leaving True needs `failure_threshold` rounds in a row that weren't successes,
        whatever they were, and so does a first verdict, by its own threshold; the latest names the cause. A verdict that isn't True
        changes its cause, or turns from False to Unknown and back, once the new one was found `failure_threshold` times in a row.
        """
        if self.verdict is not None and finding.same_as(self.verdict):
            return self if self.latest is None else Tracker(self.verdict)
        streak = self.streak + 1 if self._goes_on(finding) else 1
        return Tracker(finding) if streak >= self._needed(finding, policy) else Tracker(self.verdict, finding, streak)

    def _goes_on(self, finding: Finding) -> bool:
        """Whether the finding speaks for the same verdict as the one before it."""
        if self.latest is None or (self.latest.status is Status.TRUE) != (finding.status is Status.TRUE):
            return False
        is_first_or_leaves_true = self.verdict is None or self.verdict.status is Status.TRUE
        return is_first_or_leaves_true or finding.same_as(self.latest)

    def _needed(self, finding: Finding, policy: ProbePolicy) -> int:
        if finding.status is Status.TRUE:
            return policy.success_threshold
        return policy.patience if self.verdict is None else policy.failure_threshold


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
        """The health after one more round; itself where nothing changes. What was not asked stays as it is."""
        live, ready, model = found.server_live, found.server_ready, found.model_ready
        after_live = self.server_live.observe(live, policy) if live is not None else self.server_live
        after_ready = self.server_ready.observe(ready, policy) if ready is not None else self.server_ready
        after_model = self.model_ready.observe(model, policy)
        if after_live is self.server_live and after_ready is self.server_ready and after_model is self.model_ready:
            return self
        return Health(after_live, after_ready, after_model)

    def same_verdicts(self, other: Health) -> bool:
        """Whether both hold the same to be so, whatever else is on its way."""
        return (
            self.server_live.verdict is other.server_live.verdict
            and self.server_ready.verdict is other.server_ready.verdict
            and self.model_ready.verdict is other.model_ready.verdict
        )

    def pending(self) -> Iterator[Finding]:
        """The findings that speak for another verdict."""
        for tracker in (self.server_live, self.server_ready, self.model_ready):
            if tracker.latest is not None:
                yield tracker.latest

    def declare(self, finding: Finding) -> Health:
        """The health when something is known at once and for all three, such as a misconfiguration; streaks start anew."""
        return Health.seeded(dict.fromkeys(ConditionType, finding))

    def verdicts(self) -> Iterator[tuple[ConditionType, Finding]]:
        """The verdicts that there are."""
        for kind, tracker in (
            (ConditionType.SERVER_LIVE, self.server_live),
            (ConditionType.SERVER_READY, self.server_ready),
            (ConditionType.MODEL_READY, self.model_ready),
        ):
            if tracker.verdict is not None:
                yield kind, tracker.verdict
