"""When a request is sent again: seen by a server's count and by a clock that only sleeping moves."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

import httpx
import pytest

from isvcwatch.client import HTTPStatusError, RetryPolicy
from tests.unit.client.support import BASE, Pauses, answering, saying

READY = saying(200, '{"ready":true}')
PREDICTED = saying(200, '{"predictions":[1]}')
NEVER_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
DROPPED = [httpx.ReadError("reset"), httpx.WriteError("pipe"), httpx.CloseError("close"), httpx.RemoteProtocolError("half a response")]
FINAL = [httpx.ReadTimeout("slow"), httpx.WriteTimeout("slow"), httpx.LocalProtocolError("ours"), httpx.ProxyError("proxy")]


def name_of(value: Any) -> str:  # noqa: ANN401 - of any type
    return type(value).__name__


@pytest.mark.parametrize("error", NEVER_SENT, ids=name_of)
async def test_an_inference_that_never_left_is_sent_again(error: Exception) -> None:
    client, server = answering(error, error, PREDICTED)
    assert await client.infer(BASE, {"instances": [1]}, "m") == {"predictions": [1]}
    assert len(server.requests) == 3


@pytest.mark.parametrize("error", [*DROPPED, *FINAL], ids=name_of)
async def test_an_inference_that_may_have_arrived_is_not_sent_again(error: Exception) -> None:
    for call in ("infer", "explain"):
        client, server = answering(error)
        with pytest.raises(type(error)):
            await (client.infer(BASE, {}, "m") if call == "infer" else client.explain(BASE, "m", {}))
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_inference_that_was_answered_is_not_sent_again(status: int) -> None:
    client, server = answering(saying(status))
    with pytest.raises(HTTPStatusError):
        await client.infer(BASE, {}, "m")
    assert len(server.requests) == 1


@pytest.mark.parametrize("error", [*NEVER_SENT, *DROPPED], ids=name_of)
async def test_a_health_check_is_sent_again_after_a_broken_connection(error: Exception) -> None:
    client, server = answering(error, READY)
    assert await client.is_model_ready(BASE, "m") is True
    assert len(server.requests) == 2


@pytest.mark.parametrize("error", FINAL, ids=name_of)
async def test_a_health_check_is_not_sent_again_after_a_timeout_or_a_fault_of_ours(error: Exception) -> None:
    client, server = answering(error)
    with pytest.raises(type(error)):
        await client.is_model_ready(BASE, "m")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 504])
async def test_a_health_check_is_sent_again_after_a_status_that_passes(status: int) -> None:
    client, server = answering(saying(status), READY)
    assert await client.is_model_ready(BASE, "m") is True
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500, 501, 503])
async def test_a_health_check_is_sent_once_for_every_other_status(status: int) -> None:
    client, server = answering(saying(status, "{}"), protocol="v2")
    with contextlib.suppress(HTTPStatusError):
        await client.is_model_ready(BASE, "m")
    assert len(server.requests) == 1


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_a_request_is_sent_again_as_often_as_configured(retries: int) -> None:
    client, server = answering(httpx.ConnectError("refused"), retries=retries)
    with pytest.raises(httpx.ConnectError):
        await client.is_server_live(BASE)
    assert len(server.requests) == retries + 1


async def test_the_last_status_is_what_is_raised_when_it_does_not_pass() -> None:
    client, server = answering(saying(502, "bad"), saying(429, "busy"), retries=1)
    with pytest.raises(HTTPStatusError, match="busy, '429 Too Many Requests'"):
        await client.is_server_live(BASE)
    assert len(server.requests) == 2


async def test_waits_double_to_a_cap() -> None:
    pauses = Pauses()
    client, _ = answering(httpx.ConnectError("refused"), pauses=pauses, retries=7, timeout=None)
    with pytest.raises(httpx.ConnectError):
        await client.is_server_live(BASE)
    assert pauses.taken == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.05), (0.5, 0.075), (1.0, 0.1)])
def test_waits_are_spread_over_their_upper_half(chance: float, wait: float) -> None:
    assert RetryPolicy(chance=lambda: chance)._backoff(0) == pytest.approx(wait)


def test_waits_stay_capped_for_any_number_of_retries() -> None:
    assert RetryPolicy(chance=lambda: 1.0)._backoff(10**6) == 2.0


RETRY_AFTER = [
    ("3", 3.0),
    (" 1 ", 1.0),
    ("0", 0.1),
    ("3600", 5.0),
    ("9" * 5000, 5.0),
    ("Thu, 01 Jan 1970 00:16:43 GMT", 3.0),
    ("Thu, 01 Jan 1970 00:16:43 -0000", 3.0),
    ("Fri, 01 Jan 2100 00:00:00 GMT", 5.0),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0.1),
    ("soon", 0.1),
    ("-3", 0.1),
    ("1.5", 0.1),
    ("Fri, 99 Jan 2100 00:00:00 GMT", 0.1),
    ("", 0.1),
]


@pytest.mark.parametrize(("header", "wait"), RETRY_AFTER, ids=[header[:32] for header, _ in RETRY_AFTER])
async def test_retry_after_is_honoured_up_to_a_bound(header: str, wait: float) -> None:
    pauses = Pauses()
    policy = pauses.policy(1, wall=lambda: 1000.0)
    response = saying(429, retry_after=header)
    sent = [response, READY]

    async def attempt() -> httpx.Response:
        return sent.pop(0)

    assert await policy.run(attempt, repeatable=True, deadline=None) is READY
    assert pauses.taken == [pytest.approx(wait)]


async def test_no_attempt_starts_after_the_timeout_of_the_whole_call() -> None:
    pauses = Pauses()
    client, server = answering(httpx.ConnectError("refused"), pauses=pauses, retries=50, timeout=1)
    with pytest.raises(httpx.ConnectError):
        await client.is_server_live(BASE)
    assert len(server.requests) == 4
    client, server = answering(saying(429, retry_after="4"), pauses=pauses, timeout=3)
    with pytest.raises(HTTPStatusError):
        await client.is_server_live(BASE)
    assert len(server.requests) == 1


async def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    error = httpx.ConnectError("certificate verify failed")
    error.__cause__ = OSError()
    error.__cause__.__context__ = ssl.SSLCertVerificationError()
    client, server = answering(error)
    with pytest.raises(httpx.ConnectError):
        await client.is_server_live(BASE)
    assert len(server.requests) == 1
