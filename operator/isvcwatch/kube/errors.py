"""The errors of calls to the API server, by what callers do about them.

KubeError
├── ConfigError      no usable kubeconfig or in-cluster credentials
├── NotServedError   the API server does not know the resource: its CRD is not installed
├── ForbiddenError   RBAC refuses the request; the error names the rule to add
│   └── EndingError  the object's namespace is being deleted
├── GoneError        the object is not there (any more)
├── ConflictError    the object has changed since it was read, or exists already
├── RejectedError    the API server refuses the request itself
└── UnavailableError the API server can't be reached, is overloaded or broken: try again later
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from isvcwatch.core.conditions import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isvcwatch.kube.resources import Resource


class KubeError(Exception):
    """A call to the API server has failed; the error's text is one line for people.

    Attributes:
        retry_after: seconds that the server asked to wait; 0 if it asked for none.
    """

    retry_after = 0.0


class ConfigError(KubeError):
    """No usable kubeconfig or in-cluster credentials."""


class NotServedError(KubeError):
    """The API server does not know the resource: its CRD is not installed."""


class ForbiddenError(KubeError):
    """RBAC refuses the request."""


class EndingError(ForbiddenError):
    """Nothing can be created in a namespace that is being deleted."""


class GoneError(KubeError):
    """The object is not there (any more)."""


class ConflictError(KubeError):
    """The object has changed since it was read, or exists already."""


class RejectedError(KubeError):
    """The API server refuses the request itself."""


class UnavailableError(KubeError):
    """The API server can't be reached, is overloaded or broken.

    Attributes:
        retry_after: seconds that the server asked to wait; 0 if it asked for none.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


TRANSPORT_ERRORS: Final = (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError)
"""The errors that aiohttp raises when no answer came."""

LONGEST_RETRY_AFTER: Final = 60.0
"""The longest wait in seconds that a server may ask for; a longer one is cut to this."""


def from_transport(error: Exception, server: str) -> UnavailableError:
    """The error for a call to which no answer came."""
    return UnavailableError(f"the API server at {server} can't be reached: {one_line(str(error)) or type(error).__name__}")


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer with an error status: its status line, headers and body."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def from_answer(failure: Failure, verb: str, resource: Resource, name: str = "") -> KubeError:  # noqa: PLR0911 -- a table
    """The error for an answer with an error status.

    Args:
        failure: the answer.
        verb: the RBAC verb that was tried.
        resource: the resource that it was tried on.
        name: the object that the request named; empty if it named none.
    """
    what, said = f"{verb} {resource}", _message(failure)
    match failure.status:
        case 401:
            return UnavailableError(f"the API server does not accept our credentials for {what}: {said}")
        case 403 if _ENDING in said:
            return EndingError(f"may not {what}: {said}")
        case 403:
            return ForbiddenError(f"may not {what}: {said}{f'; {resource.rule(verb)}' if _is_of_rbac(said) else ''}")
        case 404:
            return _from_404(failure, verb, resource, name)
        case 410:
            return GoneError(f"{what}: {said}")
        case 409:
            return ConflictError(f"{what}: {said}")
        case 422 if verb == "patch":  # on a list that got shorter, a patch fails before its resourceVersion is checked
            return ConflictError(f"{what}: {said}")
        case 429 | 500 | 502 | 503 | 504:
            return UnavailableError(f"{what}: {failure.status} {said}", _retry_after(failure))
        case status:
            return RejectedError(f"{what}: {status} {said}")


def _is_of_rbac(said: str) -> bool:
    """Whether RBAC refused the request. A terminating namespace, a webhook or a quota may have, by its message; then no RBAC rule helps."""
    return not any(words in said for words in _NOT_RBAC)


_ENDING: Final = "being terminated"
_NOT_RBAC: Final = ("denied the request", "exceeded quota", "admission webhook", "ValidatingAdmissionPolicy")


def _from_404(failure: Failure, verb: str, resource: Resource, name: str) -> KubeError:
    """The error for a 404. What is believed to be gone is forgotten, so a proxy's page must not be taken for an API server's word."""
    said = _message(failure)
    if name and _is_not_found(failure, resource, name):
        return GoneError(f"{verb} {resource}: {said}")
    if not name and _is_not_served(failure):
        return NotServedError(f"{resource} is not served: {said}")
    return UnavailableError(f"{verb} {resource}: 404 {said}")


def _is_not_found(failure: Failure, resource: Resource, name: str) -> bool:
    """Whether a 404 is an API server's word that this object is not there: it then names the object."""
    status = _status(failure)
    details = status.get("details")
    if status.get("kind") != "Status" or status.get("reason") != "NotFound" or not isinstance(details, dict):
        return False
    of_the_kind = details.get("kind", resource.plural) == resource.plural and details.get("group", resource.group) == resource.group
    return of_the_kind and details.get("name") == name


def _is_not_served(failure: Failure) -> bool:
    """Whether a 404 is an API server's own: a Status object, or Go's plain text where no CRD defines the resource."""
    return _status(failure).get("kind") == "Status" or failure.body.strip() == b"404 page not found"


def _message(failure: Failure) -> str:
    """The message of the Status object in an API server's error answer, else the status line's reason."""
    return one_line(str(_status(failure).get("message", failure.reason)))


def _status(failure: Failure) -> dict[str, Any]:
    """The Status object in an API server's error answer; empty if the body is no JSON object."""
    try:
        said = json.loads(failure.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _retry_after(failure: Failure) -> float:
    text = failure.headers.get("Retry-After", "")
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0
