"""Our own transport, made from `asyncio.Protocol` and httptools for thousands of hosts at once; also an `httpx.AsyncBaseTransport`."""

from __future__ import annotations

from isvcwatch.client.transport.asks import Ask, Endpoint
from isvcwatch.client.transport.errors import (
    AlertError,
    CertificateWantedError,
    CrashedError,
    ExhaustedError,
    InvalidAnswerError,
    LostError,
    NameNotFoundError,
    Phase,
    RefusedAddressError,
    RefusedError,
    ResolverError,
    TimedOutError,
    TLSError,
    UnreachableError,
    UntrustedError,
    WireError,
)
from isvcwatch.client.transport.names import Names
from isvcwatch.client.transport.transport import Exchange, Transport

__all__ = [
    "AlertError",
    "Ask",
    "CertificateWantedError",
    "CrashedError",
    "Endpoint",
    "Exchange",
    "ExhaustedError",
    "InvalidAnswerError",
    "LostError",
    "NameNotFoundError",
    "Names",
    "Phase",
    "RefusedAddressError",
    "RefusedError",
    "ResolverError",
    "TLSError",
    "TimedOutError",
    "Transport",
    "UnreachableError",
    "UntrustedError",
    "WireError",
]
