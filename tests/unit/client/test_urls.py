"""URLs: joined, escaped, and told without secrets."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.client.protocols.urls import escape_segment, join_url, parse_base_url, take_userinfo, without_secrets

JOINED = [
    ("http://h", "http://h/v2/x"),
    ("http://h/", "http://h/v2/x"),
    ("http://h//", "http://h/v2/x"),
    ("http://h///", "http://h/v2/x"),
    ("HTTP://h:80", "http://h:80/v2/x"),
    ("https://h:8443/serving", "https://h:8443/serving/v2/x"),
    ("https://h/serving/", "https://h/serving/v2/x"),
    ("https://h//a//b//", "https://h/a/b/v2/x"),
    ("https://h/a/./b/../c", "https://h/a/c/v2/x"),
    ("https://h/../..", "https://h/v2/x"),
    ("http://h?x=1", "http://h/v2/x?x=1"),
    ("http://h/a?x=1&y=a/b", "http://h/a/v2/x?x=1&y=a/b"),
    ("http://h/a#fragment", "http://h/a/v2/x"),
    ("http://h/a b/%2Fc", "http://h/a%20b/%2Fc/v2/x"),
    ("http://[::1]:8080/a", "http://[::1]:8080/a/v2/x"),
    ("http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/v2/x"),
    ("  http://h  ", "http://h/v2/x"),
    ("http://user:pw@h:1/a", "http://h:1/a/v2/x"),
    ("http://h/ü?q=ü", "http://h/%C3%BC/v2/x?q=%C3%BC"),
]


@pytest.mark.parametrize(("base", "joined"), JOINED)
def test_a_route_is_joined_below_the_base(base: str, joined: str) -> None:
    assert join_url(parse_base_url(base), "/v2/x") == joined


REFUSED = [
    ("h:8080", "write 'http://h:8080' or 'https://h:8080'"),
    ("h/a", "write 'http://h/a'"),
    ("//h/a", "write 'http://h/a'"),
    ("ftp://h", "write 'http://h'"),
    ("localhost", "write 'http://localhost'"),
    ("", "http://"),
    ("http://", "no host"),
    ("http:///a", "no host"),
    ("http://:80", "no host"),
    ("http://h:0", "no host"),
    ("http://h:port", "host or port"),
    ("http://h:99999", "host or port"),
    ("http://[::1", "host or port"),
]


@pytest.mark.parametrize(("base", "hint"), REFUSED)
def test_a_base_url_that_cannot_be_used_is_refused_with_what_to_write(base: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"Base url|base_url") as raised:
        parse_base_url(base)
    assert hint in str(raised.value)


@pytest.mark.parametrize("base", ["user:secret@h", "ftp://user:secret@h/a", "http://user:secret@h:port", "http://user:secret/x@h"])
def test_a_refusal_never_holds_the_password(base: str) -> None:
    with pytest.raises(ValueError, match="rl") as raised:
        parse_base_url(base)
    assert "secret" not in str(raised.value)


ESCAPED = [
    ("iris", "iris"),
    ("a/b", "a%2Fb"),
    (".", "%2E"),
    ("..", "%2E%2E"),
    ("...", "%2E%2E%2E"),
    ("v1.0", "v1.0"),
    ("..a", "..a"),
    ("a?b", "a%3Fb"),
    ("a#b", "a%23b"),
    ("a%2Fb", "a%252Fb"),
    ("a b", "a%20b"),
    ("a:b", "a%3Ab"),
    ("模型", "%E6%A8%A1%E5%9E%8B"),
    ("a\nb", "a%0Ab"),
    ("a\\b;c", "a%5Cb%3Bc"),
]


@pytest.mark.parametrize(("name", "escaped"), ESCAPED)
def test_a_model_name_is_one_segment(name: str, escaped: str) -> None:
    assert escape_segment(name) == escaped


@pytest.mark.parametrize("name", [None, "", "\ud800"])
def test_a_name_that_cannot_be_one_is_refused(name: str | None) -> None:
    with pytest.raises(ValueError, match="model_name"):
        escape_segment(name)


@given(st.text(min_size=1).filter(lambda text: text.isprintable() or "\n" in text))
def test_any_name_comes_back_from_the_url_that_httpx_would_send(name: str) -> None:
    escaped = escape_segment(name)
    sent = httpx.URL(join_url(parse_base_url("http://h/base/?q=1"), f"/v2/models/{escaped}/ready")).raw_path.decode()
    assert sent == f"/base/v2/models/{escaped}/ready?q=1"
    assert unquote(escaped) == name


PART = st.text(st.sampled_from("ab.~%20/-é "), max_size=8)


@given(st.lists(PART, max_size=4), st.sampled_from(["", "?a=b", "?x=/../y"]), st.booleans())
def test_no_base_path_gives_double_slashes_or_leaves_the_host(parts: list[str], query: str, slash: bool) -> None:
    base = "http://h:1/" + "/".join(parts) + ("/" if slash else "") + query
    url = urlsplit(join_url(parse_base_url(base), "/v2/x"))
    assert url.netloc == "h:1"
    assert "//" not in url.path
    assert url.path.endswith("/v2/x")
    assert httpx.URL(url.geturl()).raw_path.decode().split("?")[0] == url.path


def test_user_info_is_taken_out_of_a_url() -> None:
    assert take_userinfo("http://a%40b:c%2Fd@h/x/?q=1") == ("http://h/x/?q=1", ("a@b", "c/d"))
    assert take_userinfo("http://h/x//y") == ("http://h/x//y", None)
    assert parse_base_url("http://token@h").userinfo == ("token", "")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://u:p@h/a?token=1#f", "http://h/a?…"),
        ("http://h/a@b", "http://h/a@b"),
        ("u:p@h", "h"),
        ("http://h", "http://h"),
    ],
)
def test_a_url_is_told_without_secrets(url: str, told: str) -> None:
    assert without_secrets(url) == told
