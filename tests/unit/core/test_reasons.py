"""One vocabulary, whole."""

from __future__ import annotations

import re

import pytest

from isvcwatch.client.protocols import reasons as words
from isvcwatch.core.reasons import MEANINGS, EventReason, Reason

PROTOCOL_WORDS = {name: word for name, word in vars(words).items() if name.isupper()}


@pytest.mark.parametrize("name", sorted(PROTOCOL_WORDS))
def test_every_word_of_the_protocols_is_a_reason(name: str) -> None:
    assert Reason(PROTOCOL_WORDS[name])


def test_the_protocols_have_words() -> None:
    assert len(PROTOCOL_WORDS) >= 15


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_meaning_of_one_line(reason: Reason) -> None:
    assert MEANINGS[reason]
    assert MEANINGS[reason].isprintable()


@pytest.mark.parametrize("reason", [*Reason, *EventReason])
def test_every_reason_is_as_kubernetes_takes_it(reason: str) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]{0,127}", reason)


def test_no_meaning_is_without_its_reason() -> None:
    assert set(MEANINGS) == set(Reason)
