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
        (404, True, errors.UnavailableError),
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
    error = from_answer(failure(status), "get", INFERENCE_SERVICES, "iris" if named else "")
    assert type(error) is kind
    assert "inferenceservices.serving.kserve.io" in str(error)
    assert "the server's words" in str(error)


NOT_THERE = {"kind": "Status", "reason": "NotFound", "details": {"name": "iris", "group": "serving.kserve.io", "kind": "inferenceservices"}}


@pytest.mark.parametrize("resource", [INFERENCE_SERVICES, INFERENCE_SERVICE_STATUS])
@pytest.mark.parametrize("details", [NOT_THERE["details"], {"name": "iris"}])
def test_an_object_is_gone_if_the_api_server_names_it(resource: Resource, details: object) -> None:
    body = json.dumps(NOT_THERE | {"details": details}).encode()
    assert type(from_answer(Failure(404, "Not Found", {}, body), "get", resource, "iris")) is errors.GoneError


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"404 page not found\n",
        b"<html>404 Not Found</html>",
        json.dumps(NOT_THERE | {"kind": "Failure"}).encode(),
        json.dumps(NOT_THERE | {"reason": ""}).encode(),
        *[
            json.dumps(NOT_THERE | {"details": details}).encode()
            for details in (
                None,
                {},
                {"name": "fraud", "kind": "inferenceservices"},
                {"name": "iris", "kind": "namespaces"},
                {"name": "iris", "kind": "inferenceservices", "group": "another.io"},
            )
        ],
    ],
)
def test_a_404_that_does_not_name_the_object_says_nothing_about_it(body: bytes) -> None:
    error = from_answer(Failure(404, "Not Found", {}, body), "get", INFERENCE_SERVICES, "iris")
    assert type(error) is errors.UnavailableError
    assert "404" in str(error)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"404 page not found\n", errors.NotServedError),
        (b'{"kind":"Status","reason":"NotFound","details":{}}', errors.NotServedError),
        (b"<html>404 Not Found</html>", errors.UnavailableError),
        (b"", errors.UnavailableError),
    ],
)
def test_a_resource_is_not_served_if_an_api_server_says_so_and_not_a_proxy(body: bytes, kind: type[KubeError]) -> None:
    assert type(from_answer(Failure(404, "Not Found", {}, body), "list", INFERENCE_SERVICES)) is kind


@pytest.mark.parametrize(
    ("resource", "verb", "rule"),
    [
        (INFERENCE_SERVICES, "list", '{apiGroups: ["serving.kserve.io"], resources: ["inferenceservices"], verbs: ["list"]}'),
        (
            INFERENCE_SERVICE_STATUS,
            "patch",
            '{apiGroups: ["serving.kserve.io"], resources: ["inferenceservices/status"], verbs: ["patch"]}',
        ),
        (EVENTS, "create", '{apiGroups: [""], resources: ["events"], verbs: ["create"]}'),
        (CLUSTER_SERVING_RUNTIMES, "get", '{apiGroups: ["serving.kserve.io"], resources: ["clusterservingruntimes"], verbs: ["get"]}'),
    ],
)
def test_a_refusal_names_the_rule_to_add(resource: Resource, verb: str, rule: str) -> None:
    words = f'inferenceservices is forbidden: User "u" cannot {verb} resource "{resource.plural}" in API group "{resource.group}"'
    assert f"add the RBAC rule {rule}" in str(from_answer(failure(403, words), verb, resource, "iris"))


@pytest.mark.parametrize(
    "words", ["unable to create new content in namespace m because it is being terminated", 'admission webhook "w" denied the request: no']
)
def test_a_refusal_that_is_not_rbacs_names_no_rule(words: str) -> None:
    said = str(from_answer(failure(403, words), "create", EVENTS, "iris"))
    assert words in said
    assert "RBAC" not in said


def test_a_subresource_is_named_as_kubectl_names_it() -> None:
    assert str(INFERENCE_SERVICE_STATUS) == "inferenceservices/status.serving.kserve.io"


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b"1", b'"text"', b"{}", b"\xff\xfe\x00"])
def test_without_the_servers_words_the_status_line_speaks(body: bytes) -> None:
    assert "Bad Gateway" in str(from_answer(Failure(502, "Bad Gateway", {}, body), "get", INFERENCE_SERVICES, "iris"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_every_text_is_one_bounded_line(status: int) -> None:
    text = str(from_answer(failure(status, "first\nsecond\r\n\x1b[31m" + "x" * 10_000), "get", INFERENCE_SERVICES, "iris"))
    assert text.isprintable()
    assert len(text) < 1000


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("3", 3), ("100000", 60), ("-1", 0), ("soon", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)]
)
def test_what_the_server_asks_to_wait_is_heard_within_reason(text: str, seconds: float) -> None:
    error = from_answer(failure(429, headers={"Retry-After": text}), "get", INFERENCE_SERVICES, "iris")
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
