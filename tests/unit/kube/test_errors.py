"""Trouble with the API server, in terms that callers act on."""

from __future__ import annotations

import json

import aiohttp
import pytest

from isvcwatch.kube import errors
from isvcwatch.kube.backoff import FIRST, LAST, pause
from isvcwatch.kube.errors import Failure, KubeError, UnavailableError, from_answer, from_transport
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, EVENTS, INFERENCE_SERVICE_STATUS, INFERENCE_SERVICES, Resource


def failure(status: int, message: object = "the server's words", headers: dict[str, str] | None = None) -> Failure:
    return Failure(status, "Status Line", headers or {}, json.dumps({"kind": "Status", "message": message}).encode())


@pytest.mark.parametrize(
    ("status", "named", "kind"),
    [
        (400, True, errors.RejectedError),
        (401, True, errors.UnavailableError),
        (403, True, errors.ForbiddenError),
        (404, True, errors.GoneError),
        (404, False, errors.NotServedError),
        (405, True, errors.RejectedError),
        (409, True, errors.ConflictError),
        (410, False, errors.GoneError),
        (413, True, errors.RejectedError),
        (422, True, errors.RejectedError),
        (429, True, errors.UnavailableError),
        (500, True, errors.UnavailableError),
        (502, True, errors.UnavailableError),
        (503, True, errors.UnavailableError),
        (504, True, errors.UnavailableError),
        (302, True, errors.RejectedError),
    ],
)
def test_each_status_is_its_kind_of_trouble(status: int, named: bool, kind: type[KubeError]) -> None:
    error = from_answer(failure(status), "get", INFERENCE_SERVICES, named=named)
    assert type(error) is kind
    assert "inferenceservices.serving.kserve.io" in str(error)
    assert "the server's words" in str(error)


@pytest.mark.parametrize(
    ("resource", "verb", "rule"),
    [
        (INFERENCE_SERVICES, "list", '{apiGroups: ["serving.kserve.io"], resources: ["inferenceservices"], verbs: ["list"]}'),
        (
            INFERENCE_SERVICE_STATUS,
            "patch",
            '{apiGroups: ["serving.kserve.io"], resources: ["inferenceservices/status"], verbs: ["patch"]}',
        ),
        (EVENTS, "create", '{apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create"]}'),
        (CLUSTER_SERVING_RUNTIMES, "get", '{apiGroups: ["serving.kserve.io"], resources: ["clusterservingruntimes"], verbs: ["get"]}'),
    ],
)
def test_a_refusal_names_the_rule_to_add(resource: Resource, verb: str, rule: str) -> None:
    words = f'inferenceservices is forbidden: User "u" cannot {verb} resource "{resource.plural}" in API group "{resource.group}"'
    assert f"add the RBAC rule {rule}" in str(from_answer(failure(403, words), verb, resource, named=True))


@pytest.mark.parametrize(
    "words", ["unable to create new content in namespace m because it is being terminated", 'admission webhook "w" denied the request: no']
)
def test_a_refusal_that_is_not_rbacs_names_no_rule(words: str) -> None:
    said = str(from_answer(failure(403, words), "create", EVENTS, named=True))
    assert words in said
    assert "RBAC" not in said


def test_a_subresource_is_named_as_kubectl_names_it() -> None:
    assert str(INFERENCE_SERVICE_STATUS) == "inferenceservices/status.serving.kserve.io"


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b"1", b'"text"', b"{}", b"\xff\xfe\x00"])
def test_without_the_servers_words_the_status_line_speaks(body: bytes) -> None:
    assert "Bad Gateway" in str(from_answer(Failure(502, "Bad Gateway", {}, body), "get", INFERENCE_SERVICES, named=True))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_every_text_is_one_bounded_line(status: int) -> None:
    text = str(from_answer(failure(status, "first\nsecond\r\n\x1b[31m" + "x" * 10_000), "get", INFERENCE_SERVICES, named=True))
    assert text.isprintable()
    assert len(text) < 1000


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("3", 3), ("100000", 60), ("-1", 0), ("soon", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)]
)
def test_what_the_server_asks_to_wait_is_heard_within_reason(text: str, seconds: float) -> None:
    error = from_answer(failure(429, headers={"Retry-After": text}), "get", INFERENCE_SERVICES, named=True)
    assert isinstance(error, UnavailableError)
    assert error.retry_after == seconds


@pytest.mark.parametrize(("cause", "words"), [(aiohttp.ClientError("no route"), "no route"), (TimeoutError(), "TimeoutError")])
def test_no_answer_names_the_server_and_the_cause(cause: Exception, words: str) -> None:
    error = from_transport(cause, "https://api.example:6443")
    assert str(error) == f"the API server at https://api.example:6443 can't be reached: {words}"
    assert error.retry_after == 0


def test_every_kind_is_a_kube_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) == 9  # KubeError itself, too
    assert all(issubclass(kind, KubeError) for kind in kinds)


@pytest.mark.parametrize("tries", [0, 1, 5, 10, 10_000])
def test_the_pause_grows_to_a_bound(tries: int) -> None:
    longest = min(LAST, FIRST * 2 ** min(tries, 10))
    assert all(longest / 2 <= pause(tries) <= longest for _ in range(50))


def test_the_pause_is_at_least_what_the_server_asked_for() -> None:
    assert pause(0, 42.0) == 42.0
