"""Distinguishes a model server's own error from one of a router or a proxy, which says nothing about a model.

Sources: FastAPI (`{"detail": "Not Found"}`), Triton and grpc-gateway (`Not Found`), OpenVINO Model Server (`Invalid request URL`, 400),
TensorFlow Serving (`Malformed request: GET /x`, 400), llama.cpp (`File Not Found`), TorchServe (`Requested resource is not found`), nginx
and Apache (HTML), Go's net/http (`404 page not found`; `Client sent an HTTP request to an HTTPS server.`, 400), Envoy, and routers that
answer with an empty body.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from isvcwatch.client.protocols.words import NOT_JSON, is_markup, parse_json, server_words

if TYPE_CHECKING:
    from isvcwatch.client.protocols.base import Answer

_ROUTERS: Final = (
    "not found",
    "method not allowed",
    "unsupported method",
    "file not found",
    "invalid request url",
    "malformed request",
    "requested resource is not found",
    "requested method is not allowed",
    "no route",
    "unimplemented",
)
"""The beginnings of error messages of routers."""

_ROUTE: Final = re.compile(r"\S*/\S*")
"""A path or a URL in a message, which repeats the one that was asked for."""

_A_MODEL: Final = re.compile(r"\b(model|servable)s?\b", re.IGNORECASE)

_OLD_KSERVE: Final = re.compile(r"\bmodel with name .+ does not exist\b", re.IGNORECASE)
"""The message of KServe up to 0.8 about an unknown model, which is in HTML (Tornado)."""

_HTTP2: Final = re.compile(
    rb"stream error: stream ID|http2: |HTTP_1_1_REQUIRED|HTTP/2 client preface|upstream connect error.*protocol error", re.DOTALL
)
"""Messages of proxies whose server takes no HTTP/1.1: those of Go's proxy, such as Knative's queue-proxy, and of Envoy."""


def takes_no_http1(answer: Answer) -> bool:
    """Whether a proxy says that the server behind it speaks only HTTP/2, as a gRPC server does."""
    return answer.status >= _BAD_GATEWAY and _HTTP2.search(answer.body[:1024]) is not None


_BAD_GATEWAY: Final = 502


_BAD_REQUEST: Final = 400

_HTTP_TO_HTTPS: Final = re.compile(
    rb"client sent an HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL-enabled",
    re.IGNORECASE,
)
"""What servers answer to plain HTTP at a port for TLS: Go's net/http, nginx and Apache."""


def wants_tls(answer: Answer) -> bool:
    """Whether a server says that its port takes HTTP over TLS alone."""
    return answer.status == _BAD_REQUEST and _HTTP_TO_HTTPS.search(answer.body[:1024]) is not None


def denies_the_model(answer: Answer, model_name: str | None) -> bool:
    """Whether a 404 is about the model by the server's own words; any other 404 only means that the route does not exist.

    Args:
        answer: a 404.
        model_name: the name that was asked for.
    """
    if is_markup(answer.body, answer.headers.get("content-type", "")):
        return _OLD_KSERVE.search(server_words(answer.body)) is not None
    if parse_json(answer.body) is NOT_JSON or is_of_a_router(answer):
        return False
    words = server_words(answer.body)
    named = bool(model_name) and re.search(rf"(?<!\w){re.escape(model_name or '')}(?!\w)", words) is not None
    return named or _A_MODEL.search(_ROUTE.sub(" ", words)) is not None


def is_of_a_router(answer: Answer) -> bool:
    """Whether an error comes from a router or a proxy: markup, plain text, or words that routers use. An empty body does not tell."""
    if not answer.body.strip():
        return False
    if is_markup(answer.body, answer.headers.get("content-type", "")) or parse_json(answer.body) is NOT_JSON:
        return True
    return server_words(answer.body).lower().startswith(_ROUTERS)
