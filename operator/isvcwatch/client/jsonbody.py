"""JSON bodies, both ways: what can't be JSON is refused with a reason instead of being sent as something else."""

from __future__ import annotations

import json
from datetime import date, time
from typing import Any
from uuid import UUID

from isvcwatch.client.errors import InvalidInput
from isvcwatch.client.protocols.words import server_words


def dump_json(value: object) -> bytes:
    """The value as JSON in UTF-8, compact.

    numpy's arrays and scalars become lists and numbers, bytes become text, dates and UUIDs their usual text. NaN and infinity are
    refused: JSON has none. (KServe's SDK sends null for them; write None where that is meant.)

    Raises:
        InvalidInput: the value can't be JSON.
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
    """The value of a JSON body; NaN and Infinity are read as Python's, since many servers write them.

    Args:
        body: the bytes.
        what: whose body it is, for the message.

    Raises:
        InvalidInput: it is no JSON, with the beginning of what it is.
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
