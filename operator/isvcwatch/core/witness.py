"""The table of evidence: which verdict a round allows, given what is known of the endpoints and of the watcher's way to them.

| a round found                           | the Service's endpoints | the way into the namespace     | what it allows           |
|-----------------------------------------|-------------------------|--------------------------------|--------------------------|
| a model that is ready, on a new connection | any                  | any                            | True                     |
| a model that is ready, on a kept one    | none that serves        | any                            | nothing yet              |
| anything else                           | none that serves        | any                            | False, for the endpoints |
| an answer, a refusal, no such name      | any others, or unknown  | any                            | what was found           |
| silence, a reset or a close             | any others, or unknown  | somebody there answers         | what was found           |
| silence, a reset or a close             | any others, or unknown  | not known yet                  | no other verdict yet     |
| silence, a reset or a close             | any others, or unknown  | nobody there has ever answered | Unknown, `NeverReached`  |
| silence, a reset or a close             | any others, or unknown  | all there fell silent together | Unknown, `NamespaceSilent` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.paths import Path, is_mute
from isvcwatch.core.reasons import Reason

if TYPE_CHECKING:
    from isvcwatch.core.targets import Target


def weigh(found: Round, target: Target, lack: Finding | None, path: Path, *, fresh: bool) -> Round | None:
    """The round that may be judged; None if nothing follows from it yet.

    A verdict that it contradicts must not change yet where the path is `ASKING`.

    Args:
        found: what the round found.
        target: whom it asked.
        lack: the finding that a Service has nothing to send its clients to; None if that is not so, or not known.
        path: what is known of the way into the target's namespace.
        fresh: whether all was asked on new connections.
    """
    if lack is not None:
        if found.model_ready.status is not Status.TRUE:
            return Round(lack, lack, lack)
        return found if fresh else None
    if not is_mute(found.model_ready) or path in {Path.OPEN, Path.ASKING}:
        return found
    unknown = _never_reached(target) if path is Path.NEVER else _silent(target)
    return Round(unknown, unknown, unknown)


def _never_reached(target: Target) -> Finding:
    return Finding(
        Status.UNKNOWN,
        Reason.NEVER_REACHED,
        f"no server in namespace {target.namespace} has ever answered isvcwatch, so that this tells nothing about the model: allow "
        "isvcwatch's namespace in its NetworkPolicies, or take isvcwatch into its mesh",
    )


def _silent(target: Target) -> Finding:
    return Finding(
        Status.UNKNOWN,
        Reason.NAMESPACE_SILENT,
        f"all servers in namespace {target.namespace} have fallen silent together, and those of other namespaces have not: see whether a "
        "NetworkPolicy or a mesh now keeps isvcwatch out",
    )
