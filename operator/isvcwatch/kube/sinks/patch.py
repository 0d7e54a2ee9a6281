"""Makes the JSON Patch that writes only our conditions into a status that others write too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from isvcwatch.core.conditions import Condition
    from isvcwatch.core.objects import InferenceService


def status_patch(isvc: InferenceService, conditions: Sequence[Condition], removed: Collection[str] = ()) -> list[dict[str, Any]]:
    """A patch that sets and removes conditions of the object as it was read, and that fails if the object has changed since.

    Its first operation replaces the resourceVersion with the one that was read: if the object has changed since, the API server answers 409
    and writes nothing. (A `test` operation would do as well, but fails with a 422 that looks like a schema error.) So the patch can address
    conditions by their place in the list, although KServe sorts it. It is not a server-side apply, because the list has no list-type, so
    that one writer would own all of it.
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
    # Remove the last one first, since a removal changes the places after it.
    gone = [place for place, there in enumerate(isvc.conditions) if there is not None and there.type in removed]
    return [*patch, *({"op": "remove", "path": f"/status/conditions/{place}"} for place in reversed(gone))]
