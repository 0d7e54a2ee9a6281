"""The operator's settings, which are read from flags and the environment and checked once at start."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final

from isvcwatch.client import tls
from isvcwatch.core.policy import LONGEST, MOST_ROUNDS, SHORTEST_PERIOD, SHORTEST_TIMEOUT, ProbePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENVIRONMENT_PREFIX: Final = "ISVCWATCH_"

WRITE: Final = "write"
OMIT: Final = "omit"
"""The values of `unknown_conditions`: write Unknown on the objects, or leave it off."""

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("json", "console")

LEAST_SHARE: Final = 0.1
"""Of the fleet: less may well share a node."""

SLOWEST_RATE: Final = 0.1
MOST_WRITES: Final = 1000
"""The most writes, a second and at once, that can be set: more than an API server takes from one client."""

UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class SettingsError(ValueError):
    """Some settings can't be used.

    Attributes:
        problems: one line each, saying what to write instead.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the operator runs.

    Attributes:
        kubeconfig: path of a kubeconfig; empty to look in the usual places.
        context: its context to use; empty for the current one.
        namespaces: those to watch; empty for all.
        policy: how services are probed that don't say otherwise.
        unknown_conditions: "write", or "omit" to leave Unknown off the objects.
        resync: seconds between two complete lists of what is watched.
        write_rate: most status writes a second over all services, and most Events.
        write_burst: how many writes may go out at once, after a time with fewer.
        doubt_share: part of the fleet that must fall silent at once for the watcher to doubt its own network; 1 for all of it.
        pod: namespace, name and UID of the pod that it runs in; None where that is not known.
        allow_cidrs: ranges that targets may be in, whatever they are.
        ca_bundles: files of certificates in PEM, of authorities that are trusted beside the system's.
        http_host: address that /livez, /readyz and /metrics are served at; empty for every interface.
        http_port: its port; 0 for any free one.
        log_format: "json" or "console".
        log_level: "debug", "info", "warning" or "error".
    """

    kubeconfig: str = ""
    context: str = ""
    namespaces: tuple[str, ...] = ()
    policy: ProbePolicy = field(default_factory=ProbePolicy)
    unknown_conditions: str = WRITE
    resync: float = 60.0
    write_rate: float = 20.0
    write_burst: int = 100
    doubt_share: float = 0.5
    pod: tuple[str, str, str] | None = None
    allow_cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
    ca_bundles: tuple[str, ...] = ()
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    log_format: str = "json"
    log_level: str = "info"


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be set.

    Attributes:
        flag: the flag's name on the command line, without its dashes.
        metavar: the name of its value in the help.
        help: its one line in the help.
        parse: turns the text into the value; raises a ValueError that says what to write instead.
        many: whether it may be given more than once; in the environment, its values are joined by commas.
    """

    flag: str
    metavar: str
    help: str
    parse: Callable[[str], object]
    many: bool = False

    @property
    def variable(self) -> str:
        """The option's name in the environment."""
        return ENVIRONMENT_PREFIX + self.flag.replace("-", "_").upper()

    @property
    def key(self) -> str:
        """The option's name among the parsed values."""
        return self.flag.replace("-", "_")


def duration(text: str) -> float:
    """Seconds: a plain number, or one with ms, s, m or h."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|)", text.strip())
    if not found:
        raise ValueError("write a number of seconds, such as 10 or 2.5, or one with a unit, such as 500ms or 1m")
    return float(found[1]) * UNITS[found[2]]


def _duration_from(least: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        seconds = duration(text)
        if not least <= seconds <= LONGEST:
            raise ValueError(f"write a time from {least:g} seconds to an hour")
        return seconds

    return parse


def threshold(text: str) -> int:
    """A number of rounds in a row."""
    if not re.fullmatch(r"[0-9]{1,6}", text.strip()) or not 1 <= int(text) <= MOST_ROUNDS:
        raise ValueError(f"write a whole number from 1 to {MOST_ROUNDS}")
    return int(text)


def rate(text: str) -> float:
    """A number a second."""
    if not re.fullmatch(r"\d{1,4}(?:\.\d{1,3})?", text.strip()) or not SLOWEST_RATE <= float(text) <= MOST_WRITES:
        raise ValueError(f"write a number from {SLOWEST_RATE:g} to {MOST_WRITES}")
    return float(text)


def burst(text: str) -> int:
    """A number of writes at once."""
    if not re.fullmatch(r"[0-9]{1,5}", text.strip()) or not 1 <= int(text) <= MOST_WRITES:
        raise ValueError(f"write a whole number from 1 to {MOST_WRITES}")
    return int(text)


def share(text: str) -> float:
    """A part of a whole."""
    if not re.fullmatch(r"(?:0?\.\d{1,4}|[01](?:\.\d{0,4})?)", text.strip()) or not LEAST_SHARE <= float(text) <= 1:
        raise ValueError(f"write a part from {LEAST_SHARE:g} to 1, such as 0.5")
    return float(text)


def pod(text: str) -> tuple[str, str, str]:
    """A pod, by namespace, name and UID."""
    parts = text.strip().split("/")
    if len(parts) != 3 or not all(re.fullmatch(r"[a-z0-9.-]{1,253}", part) for part in parts):  # noqa: PLR2004
        raise ValueError("write NAMESPACE/NAME/UID, as the downward API gives them")
    return parts[0], parts[1], parts[2]


def network(text: str) -> IPv4Network | IPv6Network:
    """A range of addresses."""
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"write a range such as 10.0.0.0/8 or fd00::/8 ({error})") from error


def authorities(text: str) -> str:
    """The path of a file of certificates, which must be readable now."""
    tls.load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), text)
    return text


def bind(text: str) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT or :PORT; the last has no host, for every interface by IPv6 and IPv4."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535 or (":" in host and not host.startswith("[")):  # noqa: PLR2004
        raise ValueError("write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, or :8080 for every interface")
    return host.strip("[]"), int(port)


def namespace(text: str) -> str:
    """A namespace's name."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text.strip()):
        raise ValueError("write a namespace's name: small letters, digits and dashes")
    return text.strip()


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser that takes one of a few words, in upper or lower case."""

    def parse(text: str) -> str:
        if text.strip().lower() not in choices:
            raise ValueError(f"write one of {', '.join(choices)}")
        return text.strip().lower()

    return parse


CLUSTER_OPTIONS: Final = (
    Option("kubeconfig", "PATH", "kubeconfig; else KUBECONFIG, the pod's service account, ~/.kube/config", str),
    Option("context", "NAME", "context of the kubeconfig; else its current one", str),
)
TIMEOUT: Final = Option("timeout", "SECONDS", "time that one request may take (default 2)", _duration_from(SHORTEST_TIMEOUT))
CA_BUNDLE: Final = Option("ca-bundle", "PATH", "authorities to trust beside the system's, in PEM; may be repeated", authorities, many=True)
ALLOW_CIDR: Final = Option("allow-cidr", "CIDR", "range that targets may be in, whatever it is; may be repeated", network, many=True)
CHECK_OPTIONS: Final = (TIMEOUT, CA_BUNDLE)
POLICY_OPTIONS: Final = (
    Option("period", "SECONDS", "time between two rounds of a target (default 10)", _duration_from(SHORTEST_PERIOD)),
    TIMEOUT,
    Option("initial-delay", "SECONDS", "time in which a new target is left alone (default 0)", _duration_from(0.0)),
    Option("failure-threshold", "N", "rounds in a row that must fail before a verdict says so (default 3)", threshold),
    Option("startup-failure-threshold", "N", "the same before there ever was a verdict (default: as --failure-threshold)", threshold),
    Option("success-threshold", "N", "rounds in a row that must succeed before a verdict says so (default 1)", threshold),
    Option(
        "edge-period", "SECONDS", "time between two rounds while a verdict is being confirmed (default 1)", _duration_from(SHORTEST_PERIOD)
    ),
    Option(
        "slow-period",
        "SECONDS",
        "most time between two rounds of a target that has long been down (default 60)",
        _duration_from(SHORTEST_PERIOD),
    ),
)
EXPLAIN_OPTIONS: Final = (*CLUSTER_OPTIONS, *POLICY_OPTIONS, ALLOW_CIDR, CA_BUNDLE)
OPERATORS_OPTIONS: Final = (*POLICY_OPTIONS, ALLOW_CIDR)
"""Those of `explain` that are the running operator's where it can be found; files of its pod are not here."""
RUN_OPTIONS: Final = (
    *CLUSTER_OPTIONS,
    Option("namespace", "NAME", "namespace to watch; may be repeated; all where none is named", namespace, many=True),
    *POLICY_OPTIONS,
    Option("unknown-conditions", "WHAT", "write, or omit to leave Unknown off the objects (default write)", one_of(WRITE, OMIT)),
    Option("resync", "SECONDS", "time between two complete lists of what is watched (default 60)", _duration_from(1.0)),
    Option("write-rate", "N", "most status writes a second, each one reconcile of KServe's, and most Events (default 20)", rate),
    Option("write-burst", "N", "how many of them may go out at once (default 100)", burst),
    Option("doubt-share", "SHARE", "part of the models that must fall silent at once for it to doubt its own network (default 0.5)", share),
    Option("pod", "NAMESPACE/NAME/UID", "the pod that it runs in, for Events about the watcher itself", pod),
    ALLOW_CIDR,
    CA_BUNDLE,
    Option("http-bind", "HOST:PORT", "where /livez, /readyz and /metrics are served (default 127.0.0.1:8080)", bind),
    Option("log-format", "FORMAT", "json or console (default json)", one_of(*LOG_FORMATS)),
    Option("log-level", "LEVEL", "debug, info, warning or error (default info)", one_of(*LOG_LEVELS)),
)


def read(options: Sequence[Option], flags: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> Settings:
    """The settings; a flag beats its variable in the environment.

    Args:
        options: those that the command takes.
        flags: what the command line gave, by option key; empty where it gave none.
        environment: the process's.

    Raises:
        SettingsError: values that can't be used, all of them named.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for option in options:
        given, where = _given(option, flags, environment)
        parsed = []
        for text in given:
            try:
                parsed.append(option.parse(text))
            except ValueError as error:
                problems.append(f"{where}={text}: {error}")
        if parsed:
            values[option.key] = tuple(parsed) if option.many else parsed[-1]
    if problems:
        raise SettingsError(problems)
    return _settings(values)


def flags_in(arguments: Sequence[str], options: Sequence[Option]) -> dict[str, list[str]]:
    """What a command line gives, by option key, as `--flag VALUE` or `--flag=VALUE`; anything else in it is passed over."""
    keys = {f"--{option.flag}": option.key for option in options}
    given: dict[str, list[str]] = {}
    left = iter(arguments)
    for argument in left:
        flag, assigned, value = argument.partition("=")
        if flag in keys:
            given.setdefault(keys[flag], []).append(value if assigned else next(left, ""))
    return given


def origins(options: Sequence[Option], flags: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> tuple[str, ...]:
    """What was set, and whence, as `--period=5` or `ISVCWATCH_PERIOD=5`; all else has its default. The arguments are those of `read`."""
    found = ((option, *_given(option, flags, environment)) for option in options)
    return tuple(f"{where}={','.join(given if option.many else given[-1:])}" for option, given, where in found if given)


def _given(option: Option, flags: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> tuple[list[str], str]:
    """The texts that an option was given, and where; none if it was not set."""
    given = list(flags.get(option.key) or ())
    if given or not environment.get(option.variable, "").strip():
        return given, f"--{option.flag}"
    text = environment[option.variable]
    return [part for part in text.split(",") if part.strip()] if option.many else [text], option.variable


def _settings(values: dict[str, object]) -> Settings:
    policy = ProbePolicy(**{f.name: values.pop(f.name) for f in fields(ProbePolicy) if f.name in values})  # type: ignore[arg-type]
    renamed = {"namespaces": "namespace", "allow_cidrs": "allow_cidr", "ca_bundles": "ca_bundle"}
    given: dict[str, object] = {name: values.pop(key) for name, key in renamed.items() if key in values}
    if "http_bind" in values:
        given["http_host"], given["http_port"] = values.pop("http_bind")  # type: ignore[misc]  # `bind` returns a pair
    return Settings(**given, **values, policy=policy)  # type: ignore[arg-type]  # each option's parser gives its field's type
