"""What can go wrong with the API server, in terms that callers act on.

KubeError
├── ConfigError      no usable kubeconfig or in-cluster credentials
├── NotServedError   the API server does not know the resource: its CRD is not installed
├── ForbiddenError   RBAC refuses; names the rule to add
├── GoneError        the object is not there (any more)
├── ConflictError    it has changed since it was read, or exists already
├── RejectedError    the API server refuses the request itself
└── UnavailableError it can't be reached, is overloaded or broken: try again later
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp

from isvcwatch.core.conditions import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.kube.resources import Resource


class KubeError(Exception):
    """Any trouble with the API server; its text is one line for people."""


class ConfigError(KubeError):
    """No usable kubeconfig or in-cluster credentials."""


class NotServedError(KubeError):
    """The API server does not know the resource: its CRD is not installed."""


class ForbiddenError(KubeError):
    """RBAC refuses."""


class GoneError(KubeError):
    """The object is not there (any more)."""


class ConflictError(KubeError):
    """The object has changed since it was read, or exists already."""


class RejectedError(KubeError):
    """The API server refuses the request itself."""


class UnavailableError(KubeError):
    """The API server can't be reached, is overloaded or broken.

    Attributes:
        retry_after: seconds that the server asked to wait; 0 where it did not.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


TRANSPORT_ERRORS: Final = (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError)
"""What aiohttp raises when there was no answer."""

LONGEST_RETRY_AFTER: Final = 60.0
"""Seconds; a server that asks for more is asked again after this."""


def from_transport(error: Exception, server: str) -> UnavailableError:
    """No answer came."""
    return UnavailableError(f"the API server at {server} can't be reached: {one_line(str(error)) or type(error).__name__}")


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is an error: its status line, headers and body."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def from_answer(failure: Failure, verb: str, resource: Resource, *, named: bool) -> KubeError:  # noqa: PLR0911 -- a table
    """The error that an answer stands for.

    Args:
        failure: the answer.
        verb: the RBAC verb that was tried.
        resource: what it was tried on.
        named: whether one object was named, so that a 404 means that this one is gone.
    """
    what, said = f"{verb} {resource}", _message(failure)
    match failure.status:
        case 401:
            return UnavailableError(f"the API server does not accept our credentials for {what}: {said}")
        case 403:
            return ForbiddenError(f"may not {what}: {said}{f'; {resource.rule(verb)}' if _is_of_rbac(said) else ''}")
        case 404 if not named:
            return NotServedError(f"{resource} is not served: {said}")
        case 404 | 410:
            return GoneError(f"{what}: {said}")
        case 409:
            return ConflictError(f"{what}: {said}")
        case 422 if verb == "patch":  # applied before its resourceVersion is checked: where a list got shorter meanwhile, its place is gone
            return ConflictError(f"{what}: {said}")
        case 429 | 500 | 502 | 503 | 504:
            return UnavailableError(f"{what}: {failure.status} {said}", _retry_after(failure))
        case status:
            return RejectedError(f"{what}: {status} {said}")


def _is_of_rbac(said: str) -> bool:
    """Whether a refusal is RBAC's: a namespace that ends, a webhook or a quota says no in words of its own, and no rule helps."""
    return not any(words in said for words in _NOT_RBAC)


_NOT_RBAC: Final = ("being terminated", "denied the request", "exceeded quota", "admission webhook", "ValidatingAdmissionPolicy")


def _message(failure: Failure) -> str:
    """The message of the Status object that API servers answer errors with, else the status line's."""
    try:
        said = json.loads(failure.body)["message"]
    except (ValueError, TypeError, KeyError):
        said = failure.reason
    return one_line(str(said))


def _retry_after(failure: Failure) -> float:
    text = failure.headers.get("Retry-After", "")
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0
