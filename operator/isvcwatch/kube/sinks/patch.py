"""The JSON Patch that writes our conditions, and only ours, into a status that others write too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from isvcwatch.core.conditions import Condition
    from isvcwatch.core.objects import InferenceService


def status_patch(isvc: InferenceService, conditions: Sequence[Condition], removed: Collection[str] = ()) -> list[dict[str, Any]]:
    """A patch that sets the conditions on the object as it was read, and takes others away, or fails.

    Its first operation replaces the resourceVersion with the one that was read: where the object has changed since, the API server answers
    409 and nothing is written. (A `test` operation would do as well, but fails as a 422 that looks like a schema error.) So places in the
    list, which KServe sorts anew, can't have moved. Never server-side apply: the list has no list-type, and would be owned whole.
    """
    patch: list[dict[str, Any]] = [{"op": "replace", "path": "/metadata/resourceVersion", "value": isvc.resource_version}]
    if isvc.conditions is None:
        path, value = ("/status/conditions", [c.to_dict() for c in conditions])
        if not isvc.has_status:
            return [*patch, {"op": "add", "path": "/status", "value": {"conditions": value}}]
        return [*patch, {"op": "add", "path": path, "value": value}]
    places = {there.type: place for place, there in reversed(list(enumerate(isvc.conditions))) if there is not None}
    for condition in conditions:
        if condition.type in places:
            patch.append({"op": "replace", "path": f"/status/conditions/{places[condition.type]}", "value": condition.to_dict()})
        else:
            patch.append({"op": "add", "path": "/status/conditions/-", "value": condition.to_dict()})
    # The last first: those behind a removed one move up.
    gone = [place for place, there in enumerate(isvc.conditions) if there is not None and there.type in removed]
    return [*patch, *({"op": "remove", "path": f"/status/conditions/{place}"} for place in reversed(gone))]
