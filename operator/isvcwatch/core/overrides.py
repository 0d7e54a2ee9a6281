"""Reads and checks our annotations, which override derived values. isvcwatch never writes one: that would roll the service's pods."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from isvcwatch.client import protocols
from isvcwatch.core.policy import LONGEST, LONGEST_TIMEOUT_OF_TENANTS, MOST_ROUNDS, SHORTEST_PERIOD_OF_TENANTS, SHORTEST_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from isvcwatch.core.policy import ProbePolicy

T = TypeVar("T")

PREFIX: Final = "isvcwatch.dev/"
URL: Final = PREFIX + "url"
PROTOCOL: Final = PREFIX + "protocol"
MODEL_NAME: Final = PREFIX + "model-name"
TIMEOUT: Final = PREFIX + "timeout-seconds"
PROTOCOLS: Final = tuple(protocols.PROTOCOLS)
"""The values that the protocol annotation may have."""


class WrongValueError(ValueError):
    """An annotation's value can't be used; the error's text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """The values of a service's annotations; empty for an annotation that is not set.

    Attributes:
        url: the base URL to probe instead of the status's.
        protocol: one of `PROTOCOLS`.
        model_name: the name that the server knows its model by.
        policy: the defaults with the annotations' values put in.
        policy_fields: the policy's fields that an annotation sets.
        unknown: annotations with our prefix that are not known; they are ignored, and `explain` shows them.
    """

    url: str
    protocol: str
    model_name: str
    policy: ProbePolicy
    policy_fields: frozenset[str]
    unknown: tuple[str, ...]


def seconds(text: str, least: float, most: float = LONGEST) -> float:
    """Parse a number of seconds between two bounds, the upper one an hour by default."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise WrongValueError(f"write a number of seconds from {least:g} to {most:g}")
    return value


def rounds(text: str) -> int:
    """Parse a threshold, which is a number of rounds in a row."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MOST_ROUNDS):  # noqa: PLR2004 -- zeros before it
        raise WrongValueError(f"write a whole number from 1 to {MOST_ROUNDS}")
    return int(text)


def base_url(text: str) -> str:
    """Parse a base URL that can be probed: it has http or https and a host, and no credentials, query or fragment."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise WrongValueError("write a URL such as http://my-model.my-namespace.svc.cluster.local:8080")
    if "@" in urlsplit(text).netloc:
        raise WrongValueError("write the URL without a user name or password: credentials don't belong into an object's metadata")
    if "?" in text or "#" in text:
        raise WrongValueError("write the URL without a query or fragment: it is shown in conditions, Events and logs")
    return text


def _protocol(text: str) -> str:
    if text.lower() not in PROTOCOLS:
        raise WrongValueError(f"write one of {', '.join(PROTOCOLS)}")
    return text.lower()


def _model_name(text: str) -> str:
    if not text or not text.isprintable():
        raise WrongValueError("write the model's name as its server knows it")
    return text


POLICY: Final[Mapping[str, tuple[str, Callable[[str], float]]]] = {
    PREFIX + "period-seconds": ("period", lambda text: seconds(text, SHORTEST_PERIOD_OF_TENANTS)),
    TIMEOUT: ("timeout", lambda text: seconds(text, SHORTEST_TIMEOUT, LONGEST_TIMEOUT_OF_TENANTS)),
    PREFIX + "initial-delay-seconds": ("initial_delay", lambda text: seconds(text, 0.0)),
    PREFIX + "failure-threshold": ("failure_threshold", rounds),
    PREFIX + "success-threshold": ("success_threshold", rounds),
    PREFIX + "startup-failure-threshold": ("startup_failure_threshold", rounds),
}
"""The annotations that set fields of the policy, named as the kubelet names these fields."""

KNOWN: Final = frozenset({URL, PROTOCOL, MODEL_NAME, *POLICY})


def read(annotations: Mapping[str, str], defaults: ProbePolicy) -> Overrides:
    """Read a service's annotations.

    Raises:
        WrongValueError: the first annotation that can't be used, and what to write instead.
    """
    ours = {name: value.strip() for name, value in annotations.items() if name.startswith(PREFIX)}

    def checked(name: str, check: Callable[[str], str]) -> str:
        return _checked(name, ours[name], check) if name in ours else ""

    given = {field: _checked(name, ours[name], check) for name, (field, check) in POLICY.items() if name in ours}
    return Overrides(
        checked(URL, base_url),
        checked(PROTOCOL, _protocol),
        checked(MODEL_NAME, _model_name),
        _within_period(replace(defaults, **given), ours),  # type: ignore[arg-type]  # the table pairs each field with a check of its type
        frozenset(given),
        tuple(sorted(ours.keys() - KNOWN)),
    )


def _within_period(policy: ProbePolicy, ours: Mapping[str, str]) -> ProbePolicy:
    """The policy of a tenant, whose timeout may be no longer than the period, so that rounds don't pile up."""
    if TIMEOUT in ours and policy.timeout > policy.period:
        raise _refusal(TIMEOUT, ours[TIMEOUT], f"write at most the period, which is {policy.period:g} s")
    return replace(policy, timeout=min(policy.timeout, policy.period)) if ours.keys() & POLICY.keys() else policy


def _checked(name: str, value: str, check: Callable[[str], T]) -> T:
    try:
        return check(value)
    except WrongValueError as error:
        raise _refusal(name, value, str(error)) from error


def _refusal(name: str, value: str, advice: str) -> WrongValueError:
    return WrongValueError(f"annotation {name}: {shown(value)[:64]!r} can't be used: {advice}")


def shown(url: str) -> str:
    """The URL as it is shown in messages: without a user name, password, query and fragment, even if it is malformed."""
    return re.sub(r"[?#].*", lambda cut: f"{cut[0][0]}…", re.sub(r"//.*@", "//…@", url, flags=re.DOTALL), flags=re.DOTALL)
