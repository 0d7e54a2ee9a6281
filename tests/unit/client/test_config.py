"""What can be configured, and what is refused when it is written down."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from isvcwatch.client import InferenceRESTClient, PredictorProtocol, RESTConfig
from isvcwatch.client.config import as_timeout
from isvcwatch.client.tls import ssl_context


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("v1", "v1"),
        ("V2", "v2"),
        (PredictorProtocol.REST_V1, "v1"),
        (PredictorProtocol.REST_V2, "v2"),
        (PredictorProtocol.GRPC_V2, "grpc-v2"),
        ("v9", "v9"),
    ],
)
def test_a_protocol_is_taken_in_any_case(given: str | PredictorProtocol, kept: str) -> None:
    assert RESTConfig(protocol=given).protocol == kept


def test_the_defaults_are_kserves() -> None:
    config = RESTConfig()
    assert (config.transport, config.protocol, config.retries, config.http2, config.timeout) == (None, "v1", 3, False, 60)
    assert (config.cert, config.verify, config.auth, config.verbose) == (None, True, None, False)


def test_secrets_are_not_in_the_configurations_repr() -> None:
    assert "secret" not in repr(RESTConfig(auth=("user", "secret"), cert=("c", "k", "secret")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": -1},
        {"retries": 1.5},
        {"retries": True},
        {"retries": None},
        {"timeout": -1},
        {"timeout": 0},
        {"timeout": "5"},
        {"timeout": True},
        {"timeout": float("nan")},
        {"timeout": (1,)},
        {"timeout": (1, 2, 3, 4, 5)},
        {"timeout": (1, "2")},
        {"transport": "http"},
        {"transport": httpx.HTTPTransport},
        {"http2": "yes"},
        {"verbose": 1},
        {"cert": ("a",)},
        {"cert": ("a", "b", "c", "d")},
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RESTConfig(**wrong)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (5, 5),
        (0.5, 0.5),
        (None, None),
        (float("inf"), None),
        ((1, 2), httpx.Timeout(connect=1, read=2, write=None, pool=None)),
        ((1, 2, 3), httpx.Timeout(connect=1, read=2, write=3, pool=None)),
        ((1, None, 3, 4), httpx.Timeout(connect=1, read=None, write=3, pool=4)),
        (httpx.Timeout(3), httpx.Timeout(3)),
    ],
)
def test_a_timeout_is_taken_in_all_of_httpxs_forms(given: Any, taken: Any) -> None:  # noqa: ANN401 - of any type
    assert as_timeout(given) == taken


def test_the_usual_certificates_are_loaded_once_for_all_clients() -> None:
    assert ssl_context(RESTConfig()) is ssl_context(RESTConfig())
    assert ssl_context(RESTConfig()) is not ssl_context(RESTConfig(http2=True))


def test_verify_takes_all_that_it_says() -> None:
    own = ssl.create_default_context()
    assert ssl_context(RESTConfig(verify=own)) is own
    assert ssl_context(RESTConfig(verify=False)).verify_mode is ssl.CERT_NONE
    assert ssl_context(RESTConfig(verify=certifi.where())).verify_mode is ssl.CERT_REQUIRED
    assert ssl_context(RESTConfig(verify=Path(certifi.where()).parent)).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "wrong",
    [
        {"verify": "/no/such/ca.pem"},
        {"verify": __file__},
        {"verify": 3},
        {"cert": "/no/such/cert.pem"},
        {"cert": (__file__, "/no/such/key")},
        {"cert": 5},
    ],
)
def test_certificates_that_cannot_be_used_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}"):
        InferenceRESTClient(RESTConfig(**wrong))
