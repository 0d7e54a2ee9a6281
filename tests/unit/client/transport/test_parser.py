"""However the bytes are cut up, the outcome is the same; and whatever they are, there is one."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.client.transport import WireError
from isvcwatch.client.transport.parser import AnswerParser

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"Content-Length: 2\r\n\r\nok"

ANSWERS = [
    OK,
    OK + OK,
    OK + b"more",
    OK[:-1],
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    HEAD + b"\r\nuntil the end",
    HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\nTrailer: x\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
    HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    HEAD + b"Content-Length: 200\r\n\r\n" + b"x" * 200,
    HEAD + b"Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\nbody",
    b"HTTP/1.0 503 Service Unavailable\r\n\r\nno",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    b"<html>",
    b"",
]

LIMIT = 100

BEGINNINGS = [OK[:length] for length in range(1, 20)] + [b"\r", b"\r\n\r", b"\n", b"\r\nHTTP", b" ", b"0\r\n\r\n"]
"""What may follow an answer by mistake or by malice: above all the beginning of another one."""


def outcome(parts: Iterable[bytes]) -> object:
    """Status, headers and body, whether the connection can be kept; or the kind of error."""
    parser = AnswerParser()
    parser.expect(LIMIT)
    try:
        for part in parts:
            parser.feed(part)
        complete = parser.done
        parser_keeps = parser.keep
        parser.end()
    except WireError as error:
        return type(error)
    return parser.status, tuple(parser.headers), bytes(parser.body), complete, parser_keeps


@given(st.sampled_from(ANSWERS), st.data())
def test_any_split_of_the_bytes_gives_the_same_outcome(answer: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(answer))))
    parts = [answer[a:b] for a, b in pairwise([0, *sorted(cuts), len(answer)])]
    assert outcome(parts) == outcome([answer])


@pytest.mark.parametrize("answer", ANSWERS)
def test_byte_by_byte_is_a_split_too(answer: bytes) -> None:
    assert outcome(answer[i : i + 1] for i in range(len(answer))) == outcome([answer])


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_have_an_outcome(parts: list[bytes]) -> None:
    outcome(parts)


@given(st.sampled_from(ANSWERS), st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_an_answer_with_any_bytes_put_in_has_an_outcome(answer: bytes, place: int, put: bytes) -> None:
    outcome([answer[:place], put, answer[place:]])


def test_one_parser_reads_answer_after_answer() -> None:
    parser = AnswerParser()
    for _ in range(3):
        parser.expect(LIMIT)
        assert parser.feed(OK)
        assert parser.keep
        assert (parser.status, bytes(parser.body)) == (200, b"ok")
        parser.clear()


@given(st.sampled_from(ANSWERS), st.binary(max_size=12) | st.sampled_from(BEGINNINGS), st.data())
def test_a_parser_that_is_kept_has_nothing_left_in_it(answer: bytes, more: bytes, data: st.DataObject) -> None:
    """It may read the answer on another connection next, of which no other server may change anything."""
    cuts = data.draw(st.lists(st.integers(0, len(answer + more)), max_size=3))
    parts = [(answer + more)[a:b] for a, b in pairwise([0, *sorted(cuts), len(answer + more)])]
    parser = AnswerParser()
    parser.expect(LIMIT)
    with contextlib.suppress(WireError):
        any(parser.feed(part) for part in parts)
    if parser.keep:
        parser.clear()
        assert parser.feed(OK)
        assert (parser.status, bytes(parser.body), parser.keep) == (200, b"ok", True)


def test_a_head_without_its_body_is_whole_where_it_was_asked_for() -> None:
    parser = AnswerParser()
    parser.expect(LIMIT, head_only=True)
    assert parser.feed(HEAD + b"Content-Length: 9\r\n\r\n")
    assert not parser.keep


def test_a_longer_body_is_cut_where_that_is_asked_for() -> None:
    parser = AnswerParser()
    parser.expect(LIMIT, cut=True)
    assert parser.feed(HEAD + b"Content-Length: 999\r\n\r\n" + b"x" * 999)
    assert (bytes(parser.body), parser.keep) == (b"x" * LIMIT, False)
