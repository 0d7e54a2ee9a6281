"""The client's configuration, which is checked when it is created and not only when it is first used."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from os import PathLike

    from httpx._client import UseClientDefault

    Path: TypeAlias = str | PathLike[str]
    Cert: TypeAlias = Path | tuple[Path, Path] | tuple[Path, Path, str]
    Verify: TypeAlias = bool | Path | ssl.SSLContext
    Auth: TypeAlias = httpx.Auth | tuple[str | bytes, str | bytes] | Callable[[httpx.Request], httpx.Request]
    Timeout: TypeAlias = float | tuple[float | None, ...] | httpx.Timeout | None
    CallTimeout: TypeAlias = Timeout | UseClientDefault

__all__ = ["PredictorProtocol", "RESTConfig", "as_timeout"]

_TUPLE_LENGTHS = (2, 3, 4)
_PHASES = ("connect", "read", "write", "pool")
"""The phases of a timeout tuple, in httpx's order; a phase that is left out has no limit."""


class PredictorProtocol(Enum):
    """The protocols in KServe's SDK, of which this client speaks the first two."""

    REST_V1 = "v1"
    REST_V2 = "v2"
    GRPC_V2 = "grpc-v2"


class RESTConfig:
    """How an `InferenceRESTClient` connects, asks and retries.

    Signature and meaning are those of KServe's SDK (`kserve.RESTConfig`), except that every field does what it says.

    Attributes:
        protocol: the protocol in lower case; an unsupported one raises an error at the call.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        protocol: str | PredictorProtocol = "v1",
        retries: int = 3,
        http2: bool = False,
        timeout: Timeout = 60,
        cert: Cert | None = None,
        verify: Verify = True,
        auth: Auth | None = None,
        verbose: bool = False,
    ) -> None:
        """Checks and stores the settings.

        Args:
            transport: sends all requests, in place of a transport made from `http2`, `cert` and `verify`; closed with the client.
            protocol: "v1", "v2" or a `PredictorProtocol`, in any case.
            retries: how many times a request is sent again; see `retries.RetryPolicy` for when.
            http2: speak HTTP/2 where the server does; needs `isvcwatch[http2]`.
            timeout: a number is the most seconds that a whole call takes, retries included; a tuple (connect, read, write, pool)
                or `httpx.Timeout` bounds each phase of each attempt, as httpx does; None bounds nothing.
            cert: the client's certificate: a path, (certificate, key) or (certificate, key, password).
            verify: True for the usual CAs, False for none, a path to a CA file or directory, or an `ssl.SSLContext`.
            auth: anything that httpx takes: (user, password), a callable, an `httpx.Auth`.
            verbose: log method, URL, status and duration of each request; never a body, a header or a credential.

        Raises:
            ValueError: a setting can't be used; the message says what can.
        """
        self.transport = _check_transport(transport)
        self.protocol = str(protocol.value if isinstance(protocol, PredictorProtocol) else protocol).strip().lower()
        self.retries = _check_retries(retries)
        self.http2 = _check_flag("http2", http2)
        as_timeout(timeout)
        self.timeout = timeout
        self.cert = _check_cert(cert)
        self.verify = verify
        self.auth = auth
        self.verbose = _check_flag("verbose", verbose)

    def __repr__(self) -> str:
        """The settings, except for those that may contain secrets."""
        return (
            f"RESTConfig(protocol={self.protocol!r}, retries={self.retries}, http2={self.http2}, timeout={self.timeout!r}, "
            f"verbose={self.verbose})"
        )


def as_timeout(timeout: Timeout) -> float | httpx.Timeout | None:
    """Check a timeout, and convert a tuple into an `httpx.Timeout`.

    Raises:
        ValueError: it is neither a positive number nor None, nor a tuple of two to four of these, nor an `httpx.Timeout`.
    """
    if isinstance(timeout, httpx.Timeout):
        return timeout
    phases: tuple[Any, ...] = timeout if isinstance(timeout, tuple) else (timeout,)
    if isinstance(timeout, tuple) and len(timeout) not in _TUPLE_LENGTHS:
        raise ValueError(f"timeout should have 2 to 4 parts (connect, read, write, pool), not {len(timeout)}")
    for phase in phases:
        if phase is not None and not _is_positive(phase):
            raise ValueError(f"timeout should be a positive number of seconds, None, a tuple of them or an httpx.Timeout, not {timeout!r}")
    if isinstance(timeout, tuple):
        return httpx.Timeout(**dict(zip(_PHASES, (*timeout, None, None), strict=False)))
    return None if timeout == math.inf else timeout


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value) and value > 0


def _check_transport(transport: Any) -> httpx.AsyncBaseTransport | None:  # noqa: ANN401 - checked here
    if transport is None or callable(getattr(transport, "handle_async_request", None)):
        checked: httpx.AsyncBaseTransport | None = transport
        return checked
    raise ValueError(f"transport should be an httpx.AsyncBaseTransport, not {type(transport).__name__}")


def _check_retries(retries: object) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ValueError(f"retries should be a whole number, 0 or more, not {retries!r}")
    return retries


def _check_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} should be True or False, not {value!r}")  # noqa: TRY004 - one class for all settings
    return value


def _check_cert(cert: Cert | None) -> Cert | None:
    if isinstance(cert, tuple) and len(cert) not in (2, 3):
        raise ValueError("cert should be a path, (certificate, key) or (certificate, key, password)")
    return cert
