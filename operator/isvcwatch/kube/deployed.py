"""Finds the operator that runs in a cluster, and with which flags and variables, by its Deployment as it is shipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from isvcwatch.kube import errors
from isvcwatch.kube.resources import DEPLOYMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.kube.api import Api

SELECTOR: Final = "app.kubernetes.io/name=isvcwatch,app.kubernetes.io/component=operator"
"""The labels of the Deployment."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """An operator that runs.

    Attributes:
        where: the namespace and name of its Deployment.
        arguments: its command line.
        environment: its variables, as far as their values stand in the Deployment.
    """

    where: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


async def deployed(api: Api) -> Deployed | None:
    """The operator that runs in the cluster; None if there is none or more than one, or one may not look."""
    try:
        found = (await api.list_page(DEPLOYMENTS, selector=SELECTOR, limit=2)).get("items") or []
        if len(found) != 1:
            return None
        return _read(found[0])
    except (errors.KubeError, AttributeError, LookupError, TypeError):  # or it is no Deployment of ours, whatever its labels are
        return None


def _read(raw: Mapping[str, Any]) -> Deployed:
    container = raw["spec"]["template"]["spec"]["containers"][0]
    environment = {str(each["name"]): str(each["value"]) for each in container.get("env") or () if "value" in each}
    arguments: list[object] = [*(container.get("command") or []), *(container.get("args") or [])]
    return Deployed(f"{raw['metadata']['namespace']}/{raw['metadata']['name']}", tuple(map(str, arguments)), environment)
