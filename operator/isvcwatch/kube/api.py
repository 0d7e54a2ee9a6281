"""Makes the operator's API calls over the official asyncio client, and raises errors that say what to do."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from isvcwatch.kube import errors
from isvcwatch.kube.resources import NAMESPACES, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from isvcwatch.kube.connection import ApiConnection
    from isvcwatch.kube.resources import Resource

PAGE: Final = 500
"""Objects in one page of a list, as many as client-go's reflector asks for."""

PORTION: Final = 50
"""Objects of a page that are handed on before the event loop has its next turn."""

TIMEOUT: Final = 30.0
"""Seconds for one call; the API server's own limit is 60."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the objects of a kind, or a portion of one.

    Attributes:
        items: the objects, as the API server writes them.
        resource_version: the version of the list, the same on all its pages; a watch that starts from it misses nothing.
    """

    items: list[dict[str, Any]]
    resource_version: str


class Api:
    """Calls the API server. Every method raises a `KubeError` of one of the kinds in `isvcwatch.kube.errors`."""

    def __init__(self, connection: ApiConnection) -> None:
        self._client = connection.client
        self.server = connection.server

    async def list_page(
        self, resource: Resource, namespace: str = "", *, selector: str = "", limit: int = PAGE, token: str = ""
    ) -> dict[str, Any]:
        """One page of a list, of one namespace or, if none is named, of all; only of objects with that label, if one is given."""
        query = [("limit", str(limit)), *([("continue", token)] if token else []), *_selecting(selector)]
        return await self._call("GET", "list", resource, path_of(resource, namespace), query=query)

    async def pages(self, resource: Resource, namespace: str = "", selector: str = "") -> AsyncIterator[Page]:
        """Every object, in portions of a page, without its `managedFields`, which are long and not needed.

        The loop gets a turn before each portion, since new objects are parsed and derived at once: 50 take it some 12 ms.
        """
        token = ""
        while True:
            page = await self.list_page(resource, namespace, selector=selector, token=token)
            metadata = page.get("metadata") or {}
            items = page.get("items") or []
            for item in items:
                _drop_managed_fields(item)
            for start in range(0, max(len(items), 1), PORTION):
                await asyncio.sleep(0)
                yield Page(items[start : start + PORTION], metadata.get("resourceVersion") or "")
            token = metadata.get("continue") or ""
            if not token:
                return

    async def find(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """One object, for callers that have the right to list but not to get.

        Raises:
            GoneError: there is none of that name.
        """
        query = [("fieldSelector", f"metadata.name={name}"), ("limit", "1")]
        listed = await self._call("GET", "list", resource, path_of(resource, namespace), query=query)
        items = listed.get("items") or ()
        if not items:
            raise errors.GoneError(f"{resource} {name} is not there")
        found: dict[str, Any] = items[0]
        return found

    async def discovers(self, resource: Resource) -> bool:
        """Whether discovery names the resource. Under load this may change some moments before or after the resource is served."""
        version = f"{resource.group}/{resource.version}"
        groups = (await self._call("GET", "get", resource, "/apis")).get("groups") or ()
        if not any(known.get("groupVersion") == version for group in groups for known in group.get("versions") or ()):
            return False
        served = (await self._call("GET", "get", resource, f"/apis/{version}")).get("resources") or ()
        return any(known.get("name") == resource.plural for known in served)

    async def server_addresses(self) -> list[str]:
        """The addresses with ports that the API server tells its clients to reach it by. Any client that is known may ask."""
        told = (await self._call("GET", "get", NAMESPACES, "/api")).get("serverAddressByClientCIDRs") or ()
        return [str(each["serverAddress"]) for each in told if isinstance(each, dict) and "serverAddress" in each]

    async def try_watch(self, resource: Resource, namespace: str, resource_version: str) -> None:
        """Watch for a second, only to see whether that is allowed."""
        query = [("watch", "true"), ("timeoutSeconds", "1"), ("resourceVersion", resource_version)]
        await self._call("GET", "watch", resource, path_of(resource, namespace), query=query, parse=False)

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """One object."""
        return await self._call("GET", "get", resource, path_of(resource, namespace, name), name=name)

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return await self._call("POST", "create", resource, path_of(resource, namespace), body=body)

    async def json_patch(self, resource: Resource, namespace: str, name: str, body: list[dict[str, Any]]) -> dict[str, Any]:
        """Patch by RFC 6902."""
        path = path_of(resource, namespace, name)
        return await self._call("PATCH", "patch", resource, path, body=body, content_type="application/json-patch+json", name=name)

    async def _call(
        self,
        method: str,
        verb: str,
        resource: Resource,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: object = None,
        content_type: str = "application/json",
        name: str = "",
        parse: bool = True,
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            request = await self._client.param_serialize(
                method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            answer = await self._client.call_api(*request, _request_timeout=TIMEOUT)
            content = await answer.read()
        except errors.TRANSPORT_ERRORS as error:
            raise errors.from_transport(error, self.server) from error
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            failure = errors.Failure(answer.status, answer.reason or "", answer.headers, content)
            raise errors.from_answer(failure, verb, resource, name)
        if not parse:
            return {}
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise errors.UnavailableError(
                f"{verb} {resource}: what answers at {self.server} is no API server: {answer.status}, no JSON object"
            )
        return parsed


def _selecting(selector: str) -> list[tuple[str, str]]:
    """The query that selects objects by a label; nothing for an empty selector."""
    return [("labelSelector", selector)] if selector else []


def _drop_managed_fields(item: object) -> None:
    """Remove `managedFields` from an object at once, since they are half of its size."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
