"""Takes a closer look at a server whose answer contradicts a guess: finds out where it is, what it is, and which models it has.

`look` is free of I/O: it yields each request and takes the answer. `Look` sends the requests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import structlog

from isvcwatch.client.protocols import Interview, Question, Recognised, Verdict, declared, recognise
from isvcwatch.client.protocols.foreign import takes_no_http1
from isvcwatch.client.protocols.interview import MOST_INQUIRIES
from isvcwatch.client.protocols.urls import join_url, parse_base_url
from isvcwatch.client.transport import WireError
from isvcwatch.core import overrides
from isvcwatch.core.conditions import Status, one_line
from isvcwatch.core.health import Finding
from isvcwatch.core.reasons import MEANINGS, Reason
from isvcwatch.probing.places import Call, Whereabouts, by_tls, elsewhere, may_speak_tls, protocol_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from isvcwatch.client.protocols import Answer
    from isvcwatch.client.protocols.interview import Steps
    from isvcwatch.client.transport import Ask
    from isvcwatch.core.targets import Hop

log = structlog.get_logger(__name__)

MOST_MODELS: Final = 8
"""The most models of one server that are asked for in each round if it is not known which one is the service's."""

NO_ANSWER: Final = frozenset(
    {
        Reason.CONNECTION_REFUSED,
        Reason.CONNECTION_TIMED_OUT,
        Reason.CONNECTION_LOST,
        Reason.UNREACHABLE,
        Reason.NAME_NOT_FOUND,
        Reason.TIMED_OUT,
        Reason.TLS_FAILED,
        Reason.TLS_REQUIRED,
        Reason.MESH_TLS,
        Reason.INVALID_ANSWER,
    }
)
"""Findings that may mean that the server is at another base URL."""

FOREIGN: Final = frozenset({Reason.ROUTE_NOT_FOUND, Reason.UNEXPECTED_ANSWER})
"""Findings that may mean that the server speaks another protocol."""

ABOUT_A_NAME: Final = frozenset({Reason.MODEL_NOT_FOUND, Reason.MODEL_NOT_READY, Reason.MODEL_LOADING})
"""Findings that may mean that the model has another name."""

REFUSALS: Final = {401: Reason.UNAUTHORIZED, 403: Reason.FORBIDDEN}
"""Statuses of a server that may be any, since it tells nothing to who has no credential."""

SERVER_ERRORS: Final = 500
"""The lowest HTTP status of a server error."""


@dataclass(frozen=True, slots=True)
class Learned:
    """The outcome of a closer look.

    Attributes:
        hops: the hops to ask from now on: one, or one for each of several models.
        note: how they were found, for messages; empty if they are as derived.
        doubt: the finding to report if an answer contradicts a guess that remains; None for the usual one.
        server: the server's product name, for people; empty if it was not recognised.
        models: the names of the models that the server lists; None if it has no list.
    """

    hops: tuple[Hop, ...]
    note: str = ""
    doubt: Finding | None = None
    server: str = ""
    models: tuple[str, ...] | None = None


Looking: TypeAlias = "Generator[Call, Answer | WireError, Learned]"


def look(hop: Hop, found: Finding) -> Looking:
    """Take a closer look at a hop.

    Args:
        hop: the hop that was asked.
        found: the finding from its answer.
    """
    if found.reason not in NO_ANSWER:
        return (yield from _interviewed(Whereabouts(hop), found))
    place = yield from _placed(hop, found)
    if place.answer is None:
        return Learned((place.hop,), place.note, place.doubt)
    if protocol_of(hop).read(Question.MODEL_READY, place.answer, hop.model_name).verdict is Verdict.YES:
        return Learned((place.hop,), place.note)
    return (yield from _interviewed(place, found))


def _placed(hop: Hop, found: Finding) -> Generator[Call, Answer | WireError, Whereabouts]:
    """Where the server of a hop answers that gives no answer as it was asked."""
    if not may_speak_tls(hop, found):
        return (yield from elsewhere(hop))
    place = yield from by_tls(hop)
    if place.note or place.doubt is not None:
        return place
    other = yield from elsewhere(hop)
    return replace(other, asked=place.asked + other.asked)


def _interviewed(place: Whereabouts, found: Finding) -> Looking:
    """What a server that answers says of itself."""
    interview = Interview(MOST_INQUIRIES - place.asked)
    server = yield from _asked(place.hop, recognise(interview))
    learned = _concluded(place.hop, found, server, interview)
    return replace(learned, note="; ".join(filter(None, (place.note, learned.note))))


def _asked(hop: Hop, steps: Steps[Recognised | None]) -> Generator[Call, Answer | WireError, Recognised | None]:
    """Interview the server of a hop."""
    try:
        inquiry = next(steps)
        while True:
            came = yield Call(hop.base_url, inquiry, hop.verified)
            inquiry = steps.send(None if isinstance(came, WireError) else came)
    except StopIteration as stopped:
        found: Recognised | None = stopped.value
        return found


def _concluded(hop: Hop, found: Finding, server: Recognised | None, interview: Interview) -> Learned:
    if server is None:
        return _unknown_server(hop, found, interview)
    protocol = hop.protocol if hop.protocol in server.protocols else server.protocols[0]
    spoken = replace(hop, protocol=protocol, protocol_certain=True)
    note = "" if protocol == hop.protocol else f"asked as {server.server} is"
    if protocol_of(spoken).path(Question.MODEL_READY, hop.model_name) is None:
        return _declared(hop, server.server) or Learned((spoken,), note, server=server.server)
    if protocol_of(spoken).server_vouches and not _hides_its_list(spoken, server):
        learned = _vouching(spoken, note, server)
    elif server.models is None:
        learned = Learned((spoken,), note, None if hop.name_certain else _name_unknown(hop, f"{server.server} shows no list of its models"))
    else:
        learned = _listed(spoken, note, server, server.models)
    return replace(learned, server=server.server, models=server.models)


def _hides_its_list(hop: Hop, server: Recognised) -> bool:
    """Whether the server is asked by a list that it did not show, so that a guess at the name is still one when it shows it."""
    return server.models is None and protocol_of(hop).asks_server_too


def _vouching(hop: Hop, note: str, server: Recognised) -> Learned:
    """The outcome for a server whose own readiness covers its models, so that the model's name does not matter."""
    models = server.models or ()
    name = hop.model_name if hop.name_certain or not models or hop.model_name in models else models[0]
    return Learned((replace(hop, model_name=name, name_certain=True),), note)


def _listed(hop: Hop, note: str, server: Recognised, models: tuple[str, ...]) -> Learned:
    if hop.name_certain or hop.model_name in models:
        return Learned((replace(hop, name_certain=True),), note)
    if not models:
        return Learned((hop,), note, _none_listed(hop, server.server))
    if len(models) > MOST_MODELS:
        return Learned((hop,), note, _name_unknown(hop, f"it lists {len(models)} models"))
    known = tuple(replace(hop, model_name=name, name_certain=True) for name in models)
    how = f"asked as `{models[0]}`, the one model the server lists"
    if not hop.own_host:  # whose answers are quoted nowhere
        how = f"asked by the server's own list of {len(models)}"
    elif len(models) > 1:
        how = f"asked as {', '.join(f'`{name}`' for name in models)}: the server lists them, and none as `{hop.model_name}`"
    return Learned(known, one_line("; ".join(filter(None, (note, how))), 256))


def _none_listed(hop: Hop, server: str) -> Finding:
    if hop.has_model:
        return Finding(
            Status.FALSE, Reason.MODEL_NOT_FOUND, f"{hop.base_url} lists no model ({server}): it failed to load, or was unloaded"
        )
    return Finding(
        Status.UNKNOWN,
        Reason.MODEL_NAME_UNKNOWN,
        f"{hop.base_url} lists no model ({server}), and the {hop.part} names none that it should have; models that are added by "
        "TrainedModels are not watched",
    )


def _unknown_server(hop: Hop, found: Finding, interview: Interview) -> Learned:
    heard = interview.heard
    if any(takes_no_http1(answer) for answer in heard):
        return Learned((hop,), doubt=_grpc(hop))
    if heard and all(answer.status >= SERVER_ERRORS for answer in heard):
        return Learned((hop,), doubt=found)  # whichever server it is, its clients get errors
    by_own_route = _declared(hop, "")
    if by_own_route is not None:
        return by_own_route
    if (refused := refusal(interview)) is not None:
        path, reason = refused
        return Learned((hop,), doubt=Finding(Status.UNKNOWN, reason, f"{hop.base_url}: {path} answered {MEANINGS[reason]}"))
    return Learned(
        (hop,),
        doubt=Finding(
            Status.UNKNOWN,
            Reason.UNKNOWN_SERVER,
            f"{hop.base_url} answers, but is no model server that isvcwatch knows; give its container a readinessProbe.httpGet that tells "
            f"whether it can serve, or say by annotation {overrides.PROTOCOL} which protocol it speaks (either rolls the pods)",
        ),
    )


def refusal(interview: Interview) -> tuple[str, Reason] | None:
    """The first route that wanted a credential, and the reason to report; None if none did.

    A server that refuses some routes may be one that is known, whatever it answers elsewhere.
    """
    for (_, path), answer in interview.answers.items():
        if answer is not None and answer.status in REFUSALS:
            return path, REFUSALS[answer.status]
    return None


def _grpc(hop: Hop) -> Finding:
    return Finding(
        Status.UNKNOWN,
        Reason.UNSUPPORTED_PROTOCOL,
        f"what is behind {hop.base_url} speaks HTTP/2 alone, as gRPC does, and isvcwatch asks in HTTP/1.1; where its server answers HTTP "
        f"elsewhere in the cluster, say where by annotation {overrides.URL} (adding it rolls the pods)",
    )


def _declared(hop: Hop, server: str) -> Learned | None:
    """The outcome that asks by the container's own readiness route; None if it has none."""
    if not hop.ready_path:
        return None
    asked = replace(hop, protocol=declared.NAME, protocol_certain=False, name_certain=True)
    return Learned((asked,), f"asked by its container's own readinessProbe, {hop.ready_path}", server=server)


def _name_unknown(hop: Hop, why: str) -> Finding:
    return Finding(
        Status.UNKNOWN,
        Reason.MODEL_NAME_UNKNOWN,
        f"{hop.base_url} does not know `{hop.model_name}`, a name that was only guessed, and {why}; say by annotation "
        f"{overrides.MODEL_NAME} what the server calls it (adding it rolls the pods)",
    )


def tempered(hop: Hop, found: Finding, doubt: Finding | None) -> Finding:
    """The finding to report: Unknown and what to do, if the finding contradicts a guess, and else the finding itself.

    Args:
        hop: the hop that was asked, as it is known by now.
        found: the finding from its answer.
        doubt: the finding that a closer look gave for this case, if any.
    """
    if found.reason in ABOUT_A_NAME and not hop.name_certain:
        return doubt or _name_unknown(hop, "the server could not be asked for its own")
    if found.reason in FOREIGN and not hop.protocol_certain:
        return doubt or found
    if doubt is not None and _explains(doubt, hop, found):
        return doubt
    if hop.may_sleep and found.reason in {Reason.CONNECTION_REFUSED, Reason.CONNECTION_TIMED_OUT, Reason.UNREACHABLE}:
        return Finding(
            Status.UNKNOWN,
            Reason.SCALES_TO_ZERO,
            f"{found.message}; an autoscaler that is not KServe's own may have scaled it to zero, where that is as it should be",
        )
    if found.reason == Reason.NAME_NOT_FOUND and not hop.address_certain:
        return Finding(
            Status.UNKNOWN,
            Reason.INVALID_ADDRESS,
            f"{found.message}: the status names a Service that KServe does not make; say by annotation {overrides.URL} where it is "
            "(adding it rolls the pods)",
        )
    return found


def _explains(doubt: Finding, hop: Hop, found: Finding) -> bool:
    """Whether the finding of a closer look is the better one for a server that fails."""
    if may_speak_tls(hop, found):
        return doubt.reason in {Reason.MESH_TLS, Reason.TLS_FAILED}
    return found.reason == Reason.SERVER_ERROR and not hop.protocol_certain


def contradicts(derived: Hop, hop: Hop, found: Finding) -> bool:
    """Whether a finding contradicts a guess, so that a closer look may find out more.

    Args:
        derived: the hop as derived from the specification.
        hop: the hop that was asked: the derived one, or the one learned since.
        found: the finding from its answer.
    """
    if found.reason in FOREIGN:
        return not derived.protocol_certain
    if found.reason == Reason.SERVER_ERROR:
        return not hop.protocol_certain
    if found.reason == Reason.MODEL_NOT_FOUND:
        return not derived.name_certain
    if found.reason in ABOUT_A_NAME:
        return not hop.name_certain
    if may_speak_tls(hop, found):
        return True
    return found.reason in NO_ANSWER and (bool(derived.other_urls) or hop.base_url != derived.base_url)


class Cancellable(Protocol):
    """Something under way that can be cancelled."""

    def cancel(self) -> None:
        """Cancel it; no callback is called any more."""


class Look:
    """A closer look under way.

    Args:
        hop: the hop that was asked.
        found: the finding from its answer.
        ask: prepares a request.
        start: sends the request, and calls back with the answer.
        done: takes what was learned; None if a bug ended the look.
    """

    __slots__ = ("_ask", "_done", "_hop", "_start", "_steps", "_under_way")

    def __init__(
        self,
        hop: Hop,
        found: Finding,
        ask: Callable[..., Ask],
        start: Callable[[Ask, Callable[[Answer | WireError], None]], Cancellable],
        done: Callable[[Learned | None], None],
    ) -> None:
        self._hop = hop
        self._ask = ask
        self._start = start
        self._done = done
        self._steps = look(hop, found)
        self._under_way: Cancellable | None = None
        self._go_on(None)

    def cancel(self) -> None:
        """Cancel the look."""
        if self._under_way:
            self._under_way.cancel()
            self._under_way = None

    def _go_on(self, came: Answer | WireError | None) -> None:
        self._under_way = None
        try:
            call = next(self._steps) if came is None else self._steps.send(came)
            while (ask := self._made_ready(call)) is None:
                call = self._steps.send(WireError("it can't be asked"))
        except StopIteration as stopped:
            self._done(stopped.value)
        except Exception:  # a bug must not stop the probing of others
            log.exception("look_crashed", url=self._hop.base_url)
            self._done(None)
        else:
            self._under_way = self._start(ask, self._go_on)

    def _made_ready(self, call: Call) -> Ask | None:
        try:
            url = join_url(parse_base_url(call.base_url), call.inquiry.path)
            inquiry = call.inquiry
            return self._ask(
                url,
                own_host=self._hop.own_host,
                method=inquiry.method,
                body=inquiry.body,
                verified=call.verified,
                routed=self._hop.routed,
            )
        except (WireError, ValueError):
            return None
