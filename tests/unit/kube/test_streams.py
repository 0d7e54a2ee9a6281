"""Which watches are live is told by their responses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from isvcwatch.kube.resources import INFERENCE_SERVICES, SERVING_RUNTIMES, path_of
from isvcwatch.kube.streams import Streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = path_of(INFERENCE_SERVICES)


class Stage:
    """An API server that lists nothing, and serves each watch until it is told to end it."""

    def __init__(self) -> None:
        self.began = 0
        self.streams = Streams(self._anew)
        self.end = asyncio.Event()
        self.status = 200
        self.session: aiohttp.ClientSession
        self.responses: list[aiohttp.ClientResponse] = []

    def _anew(self) -> None:
        self.began += 1

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"items": []})
        response = web.StreamResponse(status=self.status, reason="Forbidden" if self.status == 403 else None)
        await response.prepare(request)
        if self.status == 200:
            await self.end.wait()
        return response

    async def list(self) -> None:
        async with self.session.get(PATH) as response:
            await response.read()

    async def watch(self) -> aiohttp.ClientResponse:
        response = await self.session.get(PATH, params={"watch": "true"})
        self.responses.append(response)
        return response


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    this = Stage()
    application = web.Application()
    application.router.add_get("/{path:.*}", this.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(base, middlewares=(this.streams.middleware,)) as this.session:
        yield this
        for response in this.responses:
            response.close()
        this.end.set()
    await runner.cleanup()


async def test_a_watch_is_live_from_its_answer_to_its_end(stage: Stage) -> None:
    assert not stage.streams.is_live(INFERENCE_SERVICES)
    response = await stage.watch()
    assert stage.streams.is_live(INFERENCE_SERVICES)
    assert not stage.streams.is_live(INFERENCE_SERVICES, "models")
    assert not stage.streams.is_live(SERVING_RUNTIMES)
    stage.end.set()
    await response.read()
    assert not stage.streams.is_live(INFERENCE_SERVICES)


async def test_a_watch_whose_reader_has_gone_is_not_live(stage: Stage) -> None:
    (await stage.watch()).close()
    assert not stage.streams.is_live(INFERENCE_SERVICES)


async def test_a_refused_watch_is_not_live_and_says_by_what_it_was_refused(stage: Stage) -> None:
    stage.status = 403
    await stage.watch()
    assert not stage.streams.is_live(INFERENCE_SERVICES)
    assert stage.streams.refusal(INFERENCE_SERVICES) == "403 Forbidden"
    assert stage.streams.is_forbidden(INFERENCE_SERVICES)
    stage.status = 200
    await stage.watch()
    assert stage.streams.refusal(INFERENCE_SERVICES) == ""


async def test_only_a_watch_that_follows_another_list_than_the_first_begins_anew(stage: Stage) -> None:
    await stage.list()
    await stage.watch()
    await stage.watch()
    assert stage.began == 0
    await stage.list()
    await stage.watch()
    assert stage.began == 1
    await stage.watch()
    assert stage.began == 1
