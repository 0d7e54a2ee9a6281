"""Finds out whether a namespace is being deleted: its pods go some 20 seconds before its InferenceServices are marked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from isvcwatch.kube import errors
from isvcwatch.kube.resources import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from isvcwatch.kube.api import Api

log = structlog.get_logger(__name__)

REMEMBERED: Final = 5.0
"""Seconds for which a namespace that was not being deleted is not read again: many of its models may be accused at once."""

MOST: Final = 1024
"""Namespaces that are remembered at most."""


class Endings:
    """Reads namespaces before their models are accused.

    Args:
        api: reads them.
        ends: called with each namespace that is found to be ending.
        clock: the time in seconds.
    """

    def __init__(self, api: Api, ends: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._ends = ends
        self._clock = clock
        self._lasting: dict[str, float] = {}
        self._forbidden = False

    async def look(self, namespace: str) -> bool:
        """Whether a namespace is being deleted, or gone; False where it may not be read, which is said once.

        Raises:
            KubeError: the API server could not say.
        """
        now = self._clock()
        if self._lasting.get(namespace, now) > now:
            return False
        if await self._is_ending(namespace):
            self._ends(namespace)
            return True
        if len(self._lasting) >= MOST:
            self._lasting.clear()
        self._lasting[namespace] = now + REMEMBERED
        return False

    async def _is_ending(self, namespace: str) -> bool:
        try:
            raw = await self._api.get(NAMESPACES, "", namespace)
        except errors.GoneError:
            return True
        except errors.ForbiddenError as error:
            if not self._forbidden:
                self._forbidden = True
                log.warning("namespace_unreadable", why=str(error), so="models of a namespace that is being deleted may be called False")
            return False
        return bool((raw.get("metadata") or {}).get("deletionTimestamp"))
