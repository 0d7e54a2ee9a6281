"""An API server at the seam: answers from a list, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from isvcwatch.kube.api import Api, Page
    from isvcwatch.kube.resources import Resource

Json = Any
Answer = Json | Exception


@dataclass
class FakeApi:
    """Answers each call of a verb with the next of its answers, the last one again and again; errors are raised.

    Attributes:
        answers: by verb: get, create, json_patch, list_page, pages, try_watch, discovers.
        calls: verb, name and body of each call, and when it came.
        takes: seconds that a call takes.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    calls: list[tuple[str, str, Json]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    selectors: set[tuple[str, str]] = field(default_factory=set)
    takes: float = 0.0

    @property
    def api(self) -> Api:
        return cast("Api", self)

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.calls]

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return await self._answer("get", name, (resource, namespace))

    async def create(self, resource: Resource, namespace: str, body: Json) -> Json:
        return await self._answer("create", body["metadata"]["name"], body, (resource, namespace))

    async def json_patch(self, resource: Resource, namespace: str, name: str, body: Json) -> Json:
        return await self._answer("json_patch", name, body, (resource, namespace))

    async def list_page(self, resource: Resource, namespace: str = "", *, selector: str = "", limit: int = 500) -> Json:
        self.selectors.add((str(resource), selector))
        return await self._answer("list_page", str(resource), (namespace, limit))

    async def pages(self, resource: Resource, namespace: str = "", selector: str = "") -> AsyncIterator[Page]:
        """An answer is a page, or a list of them; an error in its midst is raised after those before it."""
        answer = await self._answer("pages", str(resource), namespace)
        self.selectors.add((str(resource), selector))
        for page in answer if isinstance(answer, list) else [answer]:
            if isinstance(page, Exception):
                raise page
            yield page

    async def try_watch(self, resource: Resource, namespace: str, resource_version: str) -> None:
        await self._answer("try_watch", str(resource), (namespace, resource_version))

    async def discovers(self, resource: Resource) -> bool:
        return bool(await self._answer("discovers", str(resource), None))

    async def _answer(self, verb: str, name: str, body: Json, *_: object) -> Json:
        self.calls.append((verb, name, body))
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes)
        waiting = self.answers.get(verb) or [{}]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(name, body) if callable(answer) else answer


@dataclass
class Counts:
    """Counts what it is told."""

    writes: Counter[str] = field(default_factory=Counter)
    events: Counter[tuple[str, str]] = field(default_factory=Counter)

    def status_write(self, result: str) -> None:
        self.writes[result] += 1

    def event(self, reason: str, result: str) -> None:
        self.events[reason, result] += 1


def always(make: Callable[[str, Json], Json]) -> list[Answer]:
    """An answer made of what was asked."""
    return [make]
