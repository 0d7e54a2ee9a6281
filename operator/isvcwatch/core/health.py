"""The health state machine: turns findings in a row into verdicts, by the kubelet's thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from isvcwatch.core.conditions import ConditionType, Status
from isvcwatch.core.reasons import Reason

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

    @property
    def is_start(self) -> bool:
        """Whether it says that what has not been ready yet may still be starting."""
        return self.reason == Reason.STARTING

    def same_as(self, other: Finding | None) -> bool:
        """Whether both findings have the same status and reason; messages, which are for people, may differ."""
        return self is other or (other is not None and self.status == other.status and self.reason == other.reason)


STARTING: Final = Finding(Status.UNKNOWN, Reason.STARTING, "it has not been ready yet, and may still be starting")
"""The finding in place of each failure for as long as a service has time to start."""


@dataclass(frozen=True, slots=True)
class Round:
    """The findings of one round of probing.

    Attributes:
        server_live: whether the server answers; None if only the model was asked this time.
        server_ready: whether the server is ready; None if only the model was asked this time.
        model_ready: whether the model is ready.
        by_former: whether only pods from before the service's last change have answered.
    """

    server_live: Finding | None
    server_ready: Finding | None
    model_ready: Finding
    by_former: bool = False

    def of_start(self) -> Round:
        """The round as it counts while the service has time to start: nothing that fails is held against it."""
        live, ready = (f if f is None or f.status is Status.TRUE else STARTING for f in (self.server_live, self.server_ready))
        return replace(self, server_live=live, server_ready=ready, model_ready=STARTING)


@dataclass(frozen=True, slots=True)
class Tracker:
    """One condition's verdict, and the latest findings in a row that contradict it.

    Attributes:
        verdict: the current verdict; None before the first one.
        latest: the latest finding if it contradicts the verdict, else None.
        streak: how many findings in a row contradict the verdict in the same way.
    """

    verdict: Finding | None = None
    latest: Finding | None = None
    streak: int = 0

    def observe(self, finding: Finding, policy: ProbePolicy) -> Tracker:
        """The tracker after one more finding; the same object if nothing changes, as with nearly every probe.

        A verdict becomes True after `success_threshold` successes in a row. A True verdict changes after `failure_threshold` rounds in a
        row that failed for any reason, and a first verdict is made after as many as `patience` says; the latest finding gives the reason.
        Until then the verdict is that it is starting, if `patience` asks for more than `failure_threshold` does.
        A False or Unknown verdict changes its reason or its status once the same new finding came `failure_threshold` times in a row.
        """
        if self.verdict is not None and finding.same_as(self.verdict):
            return self if self.latest is None else Tracker(self.verdict)
        streak = self.streak + 1 if self._goes_on(finding) else 1
        if streak >= self._needed(finding, policy):
            return Tracker(finding)
        waits = self.verdict is None and finding.status is not Status.TRUE and policy.patience > policy.failure_threshold
        return Tracker(STARTING if waits else self.verdict, finding, streak)

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever said but that it is starting."""
        return self.verdict is None or self.verdict.is_start

    def _goes_on(self, finding: Finding) -> bool:
        """Whether the finding continues the streak of the finding before it."""
        if self.latest is None or (self.latest.status is Status.TRUE) != (finding.status is Status.TRUE):
            return False
        is_first_or_leaves_true = self.verdict is None or self.verdict.is_start or self.verdict.status is Status.TRUE
        return is_first_or_leaves_true or finding.same_as(self.latest)

    def _needed(self, finding: Finding, policy: ProbePolicy) -> int:
        if finding.status is Status.TRUE:
            return policy.success_threshold
        if finding.is_start and self.verdict is None:
            return 1
        return policy.patience if self.is_new else policy.failure_threshold


@dataclass(frozen=True, slots=True)
class Health:
    """A target's three trackers."""

    server_live: Tracker = field(default_factory=Tracker)
    server_ready: Tracker = field(default_factory=Tracker)
    model_ready: Tracker = field(default_factory=Tracker)

    @classmethod
    def seeded(cls, verdicts: Mapping[ConditionType, Finding]) -> Health:
        """The health that an object's own conditions show, so that a restart changes no verdict."""
        return cls(
            Tracker(verdicts.get(ConditionType.SERVER_LIVE)),
            Tracker(verdicts.get(ConditionType.SERVER_READY)),
            Tracker(verdicts.get(ConditionType.MODEL_READY)),
        )

    def observe(self, found: Round, policy: ProbePolicy) -> Health:
        """The health after one more round; the same object if nothing changes. A condition that was not asked about stays as it is."""
        live, ready, model = found.server_live, found.server_ready, found.model_ready
        after_live = self.server_live.observe(live, policy) if live is not None else self.server_live
        after_ready = self.server_ready.observe(ready, policy) if ready is not None else self.server_ready
        after_model = self.model_ready.observe(model, policy)
        if after_live is self.server_live and after_ready is self.server_ready and after_model is self.model_ready:
            return self
        return Health(after_live, after_ready, after_model)

    def same_verdicts(self, other: Health) -> bool:
        """Whether both have the same verdicts; findings that have not changed a verdict yet may differ."""
        return (
            self.server_live.verdict is other.server_live.verdict
            and self.server_ready.verdict is other.server_ready.verdict
            and self.model_ready.verdict is other.model_ready.verdict
        )

    def pending(self) -> Iterator[Finding]:
        """The latest findings that contradict a verdict."""
        for tracker in (self.server_live, self.server_ready, self.model_ready):
            if tracker.latest is not None:
                yield tracker.latest

    def declare(self, finding: Finding) -> Health:
        """The health with one finding, such as a misconfiguration, as the verdict on all three conditions at once; streaks start anew."""
        return Health.seeded(dict.fromkeys(ConditionType, finding))

    def verdicts(self) -> Iterator[tuple[ConditionType, Finding]]:
        """Each condition that has a verdict, with the verdict."""
        for kind, tracker in (
            (ConditionType.SERVER_LIVE, self.server_live),
            (ConditionType.SERVER_READY, self.server_ready),
            (ConditionType.MODEL_READY, self.model_ready),
        ):
            if tracker.verdict is not None:
                yield kind, tracker.verdict
