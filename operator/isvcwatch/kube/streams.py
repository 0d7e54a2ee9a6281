"""Knows which watches the API server is serving at this moment, by their HTTP responses, not by the tasks that should hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isvcwatch.kube.resources import path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from isvcwatch.kube.resources import Resource

OK: Final = 200
FORBIDDEN: Final = 403


class Streams:
    """Notes each watch of a session and its response, as a middleware of aiohttp.

    Args:
        anew: called when a watch begins that follows a list, except for a resource's first one: what was deleted between the last event
            and that list is not on it, and no event tells of it.
    """

    def __init__(self, anew: Callable[[], None] = lambda: None) -> None:
        self._anew = anew
        self._latest: dict[str, aiohttp.ClientResponse] = {}
        self._listed: set[str] = set()

    async def middleware(
        self, request: aiohttp.ClientRequest, handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
    ) -> aiohttp.ClientResponse:
        """Pass a request on, and note the response of a watch."""
        response = await handler(request)
        path = request.url.path
        if request.url.query.get("watch") != "true":
            self._listed.add(path)
            return response
        first = path not in self._latest
        self._latest[path] = response
        if response.status == OK and path in self._listed:
            self._listed.discard(path)
            if not first:
                self._anew()
        return response

    def is_live(self, resource: Resource, namespace: str = "") -> bool:
        """Whether the API server has taken up the latest watch of a resource, and its response has not ended."""
        response = self._of(resource, namespace)
        return response is not None and response.status == OK and not response.closed

    def is_forbidden(self, resource: Resource, namespace: str = "") -> bool:
        """Whether the API server has refused the latest watch of a resource for want of a right."""
        response = self._of(resource, namespace)
        return response is not None and response.status == FORBIDDEN

    def refusal(self, resource: Resource, namespace: str = "") -> str:
        """The status by which the API server refused the latest watch of a resource; empty if it did not."""
        response = self._of(resource, namespace)
        return f"{response.status} {response.reason}" if response is not None and response.status != OK else ""

    def _of(self, resource: Resource, namespace: str) -> aiohttp.ClientResponse | None:
        """The response of the latest watch of a resource; None if it was never watched."""
        return self._latest.get(path_of(resource, namespace))
