"""Whether the way into a namespace is known to work, by who answers there and who fell silent with whom."""

from __future__ import annotations

import pytest

from isvcwatch.core.conditions import Status
from isvcwatch.core.health import Finding
from isvcwatch.core.paths import APART, BEGINNING, HELD, TOGETHER, WITNESSES, Path, Paths
from isvcwatch.core.reasons import Reason
from tests.unit.builders import NOT_READY, READY

HANGS = Finding(Status.FALSE, Reason.TIMED_OUT)


class Stage:
    """A namespace `n`, whose servers answer or not."""

    def __init__(self, *answering: str) -> None:
        self.now = 1000.0
        self.paths = Paths()
        self.answer(*answering)

    def answer(self, *uids: str) -> list[bool]:
        return [self.paths.answered("n", uid, self.now) for uid in uids]

    def silence(self, uid: str, after: float = 0.0) -> Path:
        self.now += after
        return self.paths.fell_silent("n", uid, self.now)


class TestNever:
    def test_where_nobody_has_ever_answered_that_is_known_once_each_was_asked(self) -> None:
        stage = Stage()
        assert stage.silence("a") is Path.ASKING
        assert stage.silence("b", BEGINNING - 1) is Path.ASKING
        assert stage.silence("a", 1) is Path.NEVER
        assert stage.silence("b") is Path.NEVER

    def test_any_answer_opens_it(self) -> None:
        stage = Stage()
        stage.silence("a")
        stage.now += BEGINNING
        stage.answer("b")
        assert stage.silence("a") is not Path.NEVER
        stage.now += 1
        stage.answer("b")
        assert stage.silence("a") is Path.OPEN

    def test_namespaces_are_told_apart(self) -> None:
        stage = Stage()
        stage.paths.answered("another", "b", stage.now)
        stage.silence("a")
        assert stage.silence("a", BEGINNING) is Path.NEVER

    @pytest.mark.parametrize("verdict", [READY, NOT_READY, HANGS])
    def test_an_earlier_process_that_gave_a_verdict_had_reached_it(self, verdict: Finding) -> None:
        stage = Stage()
        stage.paths.remember("n", "a", verdict, stage.now)
        stage.silence("a")
        assert stage.silence("a", BEGINNING) is Path.OPEN

    def test_one_that_said_that_it_never_was_reached_had_not(self) -> None:
        stage = Stage()
        stage.paths.remember("n", "a", Finding(Status.UNKNOWN, Reason.NEVER_REACHED), stage.now)
        assert dict(stage.paths.cut()) == {"n": Reason.NEVER_REACHED}
        stage.silence("a")
        assert stage.silence("a", BEGINNING) is Path.NEVER


class TestTogether:
    def test_one_that_is_alone_is_told(self) -> None:
        assert Stage("a").silence("a") is Path.OPEN

    def test_others_are_asked_before_one_is_told_and_an_answer_of_theirs_decides(self) -> None:
        stage = Stage("a", "b", "c")
        stage.now += 60
        assert stage.silence("a") is Path.ASKING
        assert stage.paths.witnesses("n", stage.now) == ("b", "c")
        stage.now += 0.1
        stage.answer("b")
        assert stage.silence("a", 1) is Path.OPEN

    def test_an_answer_from_before_the_fall_does_not(self) -> None:
        stage = Stage("a", "b")
        assert stage.silence("a", 1) is Path.ASKING

    def test_where_all_fall_together_none_is_told_and_after_a_while_that_is(self) -> None:
        stage = Stage("a", "b")
        assert stage.silence("a", 60) is Path.ASKING
        assert stage.silence("b", 2) is Path.ASKING
        assert stage.silence("a", HELD - 3) is Path.ASKING
        assert stage.silence("a", 1) is Path.SILENT
        assert stage.silence("b", 3) is Path.SILENT

    def test_one_answer_ends_it(self) -> None:
        stage = Stage("a", "b")
        stage.silence("a", 60)
        stage.silence("b", 2)
        stage.now += HELD
        stage.answer("b")
        assert stage.silence("a") is Path.OPEN

    def test_one_that_fell_long_before_did_not_fall_with_it(self) -> None:
        stage = Stage("a", "b")
        stage.silence("b")
        assert stage.silence("a", TOGETHER + 1) is Path.OPEN

    def test_one_that_never_answered_did_not_fall_with_it(self) -> None:
        stage = Stage("a")
        stage.paths.forget("n", "b")
        assert stage.silence("a", 60) is Path.OPEN

    def test_one_that_starts_and_has_never_answered_did_not_either(self) -> None:
        stage = Stage("a")
        stage.silence("b", 60)
        assert stage.silence("a", 1) is Path.OPEN

    def test_one_that_starts_is_told_once_another_has_answered_since(self) -> None:
        stage = Stage("a")
        assert stage.silence("b", 60) is Path.ASKING
        stage.now += 1
        stage.answer("a")
        assert stage.silence("b") is Path.OPEN

    def test_one_that_is_gone_is_no_witness(self) -> None:
        stage = Stage("a", "b")
        stage.paths.forget("n", "b")
        assert stage.silence("a", 1) is Path.OPEN

    def test_a_process_that_starts_takes_those_that_were_ready_for_witnesses(self) -> None:
        stage = Stage()
        for uid in ("a", "b"):
            stage.paths.remember("n", uid, READY, stage.now)
        assert stage.silence("a") is Path.ASKING
        assert stage.silence("b", 1) is Path.ASKING
        assert stage.silence("a", HELD) is Path.SILENT

    def test_one_that_starts_while_they_are_silent_finds_them_so(self) -> None:
        stage = Stage()
        for uid in ("a", "b"):
            stage.paths.remember("n", uid, Finding(Status.UNKNOWN, Reason.NAMESPACE_SILENT), stage.now)
        assert stage.silence("a") is Path.ASKING
        assert stage.silence("a", HELD) is Path.SILENT


class TestWitnesses:
    def test_a_few_are_asked_at_a_time(self) -> None:
        stage = Stage(*map(str, range(100)))
        stage.silence("0", 60)
        assert len(stage.paths.witnesses("n", stage.now)) == WITNESSES
        assert stage.paths.witnesses("n", stage.now) == ()
        assert len(stage.paths.witnesses("n", stage.now + APART)) == WITNESSES

    def test_those_that_fall_silent_make_place_for_others(self) -> None:
        stage = Stage("a", "b", "c", "d", "e")
        stage.silence("a", 60)
        for uid in stage.paths.witnesses("n", stage.now):
            stage.silence(uid, 0.1)
        assert stage.paths.witnesses("n", stage.now + APART) == ("e",)


class TestTold:
    def test_it_is_told_once_and_once_that_it_is_over(self) -> None:
        stage = Stage()
        assert stage.paths.tell("n", Reason.NEVER_REACHED)
        assert not stage.paths.tell("n", Reason.NEVER_REACHED)
        assert dict(stage.paths.cut()) == {"n": Reason.NEVER_REACHED}
        assert stage.answer("a", "b") == [True, False]
        assert dict(stage.paths.cut()) == {}
