"""Makes SSL contexts, and shares one between all clients that have the usual settings.

Loading the CA bundle takes some 27 ms, far more than the rest of a client's creation. httpx 0.28 deprecates paths in
`verify` and all of `cert`, so the contexts are made here.
"""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from isvcwatch.client.config import Cert, RESTConfig, Verify


def ssl_context(config: RESTConfig) -> ssl.SSLContext:
    """The context for a configuration; shared with all clients that have `verify=True`, no `cert` and the same `http2`.

    Raises:
        ValueError: `verify`, `cert`, SSL_CERT_FILE or SSL_CERT_DIR names a file that can't be used; the message says which.
    """
    return lazy_context(config)()


def lazy_context(config: RESTConfig) -> Callable[[], ssl.SSLContext]:
    """Makes the context for a configuration when it is first needed, so that plain HTTP needs no certificates.

    The environment is read at once, and `verify` and `cert` are checked at once if they are given.

    Raises:
        ValueError: as `ssl_context`; for a fault in SSL_CERT_FILE or SSL_CERT_DIR, the returned function raises it.
    """
    file, directory = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    if config.verify is True and config.cert is None:
        return functools.partial(_usual_context, config.http2, file, directory)
    context = _with_usual_authorities(file, directory) if config.verify is True else _verifying(config.verify)
    if config.cert is not None:
        _load_cert(context, config.cert)
    return lambda: context


@functools.cache
def _usual_context(http2: bool, file: str, directory: str) -> ssl.SSLContext:
    """The context with the usual CAs. Each value of `http2` has its own, since httpcore sets the ALPN protocols on the context itself."""
    del http2
    return _with_usual_authorities(file, directory)


def _with_usual_authorities(file: str, directory: str) -> ssl.SSLContext:
    """A context that trusts the CAs in SSL_CERT_FILE or SSL_CERT_DIR, in httpx's order; certifi's if neither is set."""
    if file:
        try:
            return ssl.create_default_context(cafile=file)
        except OSError as error:  # includes ssl.SSLError
            raise ValueError(f"SSL_CERT_FILE: no certificates of authorities can be read from {file!r}: {error}") from error
    if directory:
        if not any(Path(part).is_dir() for part in directory.split(os.pathsep)):  # OpenSSL would silently trust no CA
            raise ValueError(f"SSL_CERT_DIR: there is no directory {directory!r}")
        return ssl.create_default_context(capath=directory)
    return httpx.create_ssl_context(trust_env=False)


def _verifying(verify: Verify) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, bool):
        return httpx.create_ssl_context(verify=verify)
    if not isinstance(verify, str | os.PathLike):
        raise ValueError(f"verify should be True, False, a path or an ssl.SSLContext, not {verify!r}")  # noqa: TRY004 - a setting
    path = Path(verify)
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # includes ssl.SSLError
        raise ValueError(f"verify: no certificates of authorities can be read from {str(path)!r}: {error}") from error


def trusting(bundles: Iterable[str]) -> ssl.SSLContext:
    """A context that trusts further authorities beside the system's. Takes some 30 ms.

    Args:
        bundles: files of certificates in PEM.

    Raises:
        ValueError: a file can't be used; the message says which.
    """
    context = ssl.create_default_context()
    for path in bundles:
        load_authorities(context, path)
    return context


def load_authorities(context: ssl.SSLContext, path: str) -> None:
    """Trust the authorities in a file of certificates in PEM.

    Raises:
        ValueError: the file can't be used.
    """
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:  # includes ssl.SSLError
        why = error.strerror if error.filename or not isinstance(error, ssl.SSLError) else "no certificate in PEM is in it"
        raise ValueError(f"write the path of a file with certificates of authorities in PEM ({why})") from error


def _load_cert(context: ssl.SSLContext, cert: Cert) -> None:
    certificate, key, password = (*cert, None, None)[:3] if isinstance(cert, tuple) else (cert, None, None)
    try:
        # Without a password, OpenSSL would ask for one on the terminal. An empty one makes it raise an error instead.
        context.load_cert_chain(certificate, key, password if password is not None else "")
    except (OSError, TypeError, ValueError) as error:
        files = " and ".join(repr(str(file)) for file in (certificate, key) if file is not None)
        raise ValueError(f"cert: the client's certificate can't be loaded from {files}: {error}") from error
