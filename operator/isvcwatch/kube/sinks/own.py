"""Events about the watcher itself, on the pod that it runs in: when it doubts its own network or way, and when that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.core.edges import Doubt, PathTurned
from isvcwatch.core.reasons import MEANINGS, EventReason

if TYPE_CHECKING:
    from isvcwatch.core.edges import Edge
    from isvcwatch.kube.sinks.events import EventsSink, Regarding

NOTES: Final = {
    Doubt.CUT_OFF: (EventReason.WATCHER_IMPAIRED, "the API server can't be reached either: no model is called False for its silence"),
    Doubt.NAMELESS: (
        EventReason.WATCHER_IMPAIRED,
        "a name that always exists can't be looked up: no model is called False or Unknown for its name",
    ),
    Doubt.SILENCE: (EventReason.WATCHER_IMPAIRED, "most models have fallen silent at once: none is called False for that"),
    Doubt.OUTAGE: (
        EventReason.MASS_OUTAGE,
        "models have been silent for minutes: those that are now called False may all have one cause",
    ),
    Doubt.ENDED: (EventReason.WATCHER_RECOVERED, "verdicts are given again"),
}


class OwnEvents:
    """Tells of each turn of the watcher's doubt, and of each namespace that it finds its way cut to.

    Args:
        events: records.
        pod: the pod that it runs in; None where that is not known.
    """

    def __init__(self, events: EventsSink, pod: Regarding | None) -> None:
        self._events = events
        self._pod = pod

    def __call__(self, edge: Edge) -> None:
        """Tell of an edge, where it is about the watcher itself."""
        if self._pod is None:
            return
        if isinstance(edge, Doubt):
            reason, note = NOTES[edge]
            self._events.tell(self._pod, reason, note, warning=edge is not Doubt.ENDED)
        elif isinstance(edge, PathTurned):
            reason, note = EventReason.NAMESPACE_REACHED, "a server there answers again"
            if edge.reason is not None:
                reason, note = EventReason.NAMESPACE_UNREACHED, MEANINGS[edge.reason]
            self._events.tell(self._pod, reason, f"{edge.namespace}: {note}", warning=edge.reason is not None)
