"""Logs edges: one line for each change of a verdict, and none for a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from isvcwatch.core.conditions import Status
from isvcwatch.core.edges import Doubt, Failed, PathTurned, Placed, Turned
from isvcwatch.core.reasons import MEANINGS, Reason
from isvcwatch.core.targets import Misconfigured, Skipped, Target

if TYPE_CHECKING:
    from isvcwatch.core.edges import Edge

log = structlog.get_logger(__name__)

HELD: Final = "no model is called False for its silence until some answer, or minutes have passed"

DOUBTS: Final = {
    Doubt.CUT_OFF: ("error", "watcher_impaired", {"why": "the API server can't be reached either", "so": HELD}),
    Doubt.NAMELESS: (
        "error",
        "watcher_impaired",
        {"why": "a name that always exists can't be looked up", "so": "no model is called False or Unknown for its name meanwhile"},
    ),
    Doubt.SILENCE: ("error", "watcher_impaired", {"why": "most models have fallen silent at once", "so": HELD}),
    Doubt.OUTAGE: ("warning", "mass_outage", {"why": "models have been silent for minutes", "so": "verdicts are given again"}),
    Doubt.ENDED: ("warning", "watcher_recovered", {"so": "verdicts are given again"}),
}


def log_edge(edge: Edge) -> None:
    """Log an edge."""
    match edge:
        case Turned(isvc, condition, before, after):
            say = log.info if after.status is Status.TRUE or after.is_start else log.warning
            say(
                "transition",
                namespace=isvc.namespace,
                name=isvc.name,
                condition=condition,
                before=before.status if before else None,
                after=after.status,
                reason=after.reason,
                message=after.message,
            )
        case Placed(isvc, Target(hops=hops)):
            urls = [hop.base_url for hop in hops]
            log.info("watching", namespace=isvc.namespace, name=isvc.name, urls=urls, model=hops[0].model_name)
        case Placed(isvc, Misconfigured(reason, message)):
            log.warning("cannot_be_watched", namespace=isvc.namespace, name=isvc.name, reason=reason, why=message)
        case Placed(isvc, Skipped(reason, message)):
            if reason is not Reason.NO_ADDRESS:  # not logged, since every new service has no address at first
                log.info("left_alone", namespace=isvc.namespace, name=isvc.name, reason=reason, why=message)
        case Doubt():
            level, event, fields = DOUBTS[edge]
            getattr(log, level)(event, **fields)
        case PathTurned(namespace, None):
            log.warning("namespace_reached", namespace=namespace, so="a server there answers")
        case PathTurned(namespace, Reason() as reason):
            log.error("namespace_unreached", namespace=namespace, reason=reason, why=MEANINGS[reason], so="its models are Unknown")
        case Failed(uid, error):
            log.error("object_failed", uid=uid, exc_info=error)
