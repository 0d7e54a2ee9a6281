"""Encodes and decodes JSON bodies. A value that JSON can't represent raises an error, instead of being sent as something else."""

from __future__ import annotations

import json
from datetime import date, time
from typing import Any
from uuid import UUID

from isvcwatch.client.errors import InvalidInput
from isvcwatch.client.protocols.words import server_words


def dump_json(value: object) -> bytes:
    """Encode a value as compact JSON in UTF-8.

    numpy's arrays and scalars become lists and numbers, bytes become text, dates and UUIDs their usual text. NaN and infinity raise
    an error, since JSON has neither. (KServe's SDK sends null for them; pass None to send null.)

    Raises:
        InvalidInput: JSON can't represent the value.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False, default=_as_json)
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("the data holds text that is not valid Unicode") from error
    except InvalidInput:
        raise
    except (TypeError, ValueError) as error:
        hint = ": write None for a missing value" if "JSON compliant" in str(error) else ""
        raise InvalidInput(f"the data can't be sent as JSON: {error}{hint}") from error
    except RecursionError as error:
        raise InvalidInput("the data is nested too deeply to be sent as JSON") from error


def load_json(body: bytes, what: str) -> Any:  # noqa: ANN401 - any JSON value
    """Decode a JSON body. NaN and Infinity become Python's floats, since many servers write them.

    Args:
        body: the bytes.
        what: the name of the body, for the error's message.

    Raises:
        InvalidInput: the body is not JSON; the message has its beginning.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        words = server_words(body) or "it is empty"
        raise InvalidInput(f"{what} is not JSON: {words}") from error


def _as_json(value: Any) -> Any:  # noqa: ANN401 - what json asks about
    if callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{value[:32]!r} is not UTF-8: JSON can't hold it") from error
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise InvalidInput(f"the data can't be sent as JSON: a {type(value).__name__} has no JSON form")
