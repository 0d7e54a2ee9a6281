"""A namespace is looked at before one of its models is accused."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from isvcwatch.kube import errors
from isvcwatch.kube.endings import REMEMBERED, Endings
from tests.unit.kube.fakes import Answer, FakeApi

LASTING = {"metadata": {"name": "models"}}
ENDING = {"metadata": {"name": "models", "deletionTimestamp": "2026-11-28T10:00:00Z"}}


class Stage:
    def __init__(self, *answers: Answer) -> None:
        self.now = 1000.0
        self.ended: list[str] = []
        self.api = FakeApi({"get": list(answers)})
        self.endings = Endings(self.api.api, self.ended.append, lambda: self.now)


@pytest.mark.parametrize(("answer", "ends"), [(LASTING, False), (ENDING, True), (errors.GoneError("404"), True), ({}, False)])
async def test_one_that_is_being_deleted_or_gone_ends(answer: Answer, ends: bool) -> None:
    stage = Stage(answer)
    assert await stage.endings.look("models") is ends
    assert stage.ended == (["models"] if ends else [])


async def test_one_that_lasts_is_not_read_again_for_a_while() -> None:
    stage = Stage(LASTING, ENDING)
    assert not await stage.endings.look("models")
    stage.now += REMEMBERED - 1
    assert not await stage.endings.look("models")
    stage.now += 2
    assert await stage.endings.look("models")


async def test_without_the_right_it_is_taken_to_last_and_that_is_said_once() -> None:
    stage = Stage(errors.ForbiddenError("add the rule"))
    with capture_logs() as lines:
        for namespace in ("models", "shop"):
            assert not await stage.endings.look(namespace)
    assert [line["why"] for line in lines] == ["add the rule"]


async def test_what_the_api_server_can_not_say_is_no_answer() -> None:
    with pytest.raises(errors.UnavailableError):
        await Stage(errors.UnavailableError("away")).endings.look("models")
