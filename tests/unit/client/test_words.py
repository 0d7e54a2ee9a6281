"""The server's own words, whatever the body is."""

from __future__ import annotations

import pytest

from isvcwatch.client.protocols.words import NOT_JSON, parse_json, server_words

BODIES = [
    (b"", ""),
    (b" \n ", ""),
    (b'{"error": "no such model"}', "no such model"),
    (b'{"detail": "Not Found"}', "Not Found"),
    (b'{"message": "no healthy upstream", "code": 1}', "no healthy upstream"),
    (b'{"error": {"message": "The model does not exist", "type": "NotFoundError"}}', "The model does not exist"),
    (b'{"detail": [{"loc": ["body"], "msg": "field required"}, {"msg": "too long"}]}', "field required; too long"),
    (b'{"error": null, "detail": "told elsewhere"}', "told elsewhere"),
    (b'{"status": "sad"}', '{"status": "sad"}'),
    (b'{"error": {"odd": 1}}', '{"error": {"odd": 1}}'),
    (b"{}", ""),
    (b'"just text"', "just text"),
    (b"42", "42"),
    (b"null", ""),
    (b"true", "true"),
    (b'["a", "b"]', "a; b"),
    (b'{"error": "broken', '{"error": "broken'),
    (b"plain\r\n  text\x1b[31m", "plain text [31m"),
    (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
    (b"<html><title></title><style>p {}</style><p>Go &amp; away</p></html>", "Go &amp; away"),
    (b"\x89PNG\x00\x01", "6 bytes that are not text"),
    (b"\xff\xfe\xfd\xfc\xfb\x01", "6 bytes that are not text"),
    ("größer".encode(), "größer"),
    (b"[" * 100_000, "[" * 255 + "…"),
]


@pytest.mark.parametrize(("body", "words"), BODIES)
def test_the_server_is_quoted(body: bytes, words: str) -> None:
    assert server_words(body) == words


def test_words_nested_without_end_are_left() -> None:
    body = b'{"error":' * 50 + b'"deep"' + b"}" * 50
    assert server_words(body).startswith('{"error"')


def test_a_body_beyond_the_bound_is_not_parsed_but_still_quoted() -> None:
    body = b'{"error": "' + b"x" * (1 << 20) + b'"}'
    assert parse_json(body) is NOT_JSON
    assert len(server_words(body)) == 256
