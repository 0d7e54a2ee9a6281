"""The inference client, which has the interface of KServe's documented class, for V1 and V2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import httpx

from isvcwatch.client.config import RESTConfig
from isvcwatch.client.errors import InvalidInput, UnsupportedProtocol, status_error
from isvcwatch.client.framing import BINARY_TYPE, CONTENT_LENGTH_HEADER, json_length_of
from isvcwatch.client.headers import handed_on
from isvcwatch.client.jsonbody import dump_json, load_json
from isvcwatch.client.messages import InferRequest, InferResponse, outputs_in_shared_memory
from isvcwatch.client.plain import v2_request
from isvcwatch.client.protocols import Question, Verdict, named
from isvcwatch.client.protocols.urls import escape_segment
from isvcwatch.client.retries import RetryPolicy
from isvcwatch.client.sending import Sender, as_it_is, below

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import TracebackType

    from isvcwatch.client.config import CallTimeout
    from isvcwatch.client.tensors import RequestedOutput

    BaseUrl = str | httpx.URL
    Headers = Mapping[str, str] | None

_V1 = "v1"
_V2 = "v2"


class InferenceRESTClient:
    """Asks model servers over HTTP: inference, explanation, health.

    A drop-in for `kserve.InferenceRESTClient`. One client serves any number of base URLs at once; close it, or use it by
    `async with`. A base URL's path and query are kept, model names are escaped, redirects are not followed.

    Every call raises `httpx.InvalidURL` for a base URL without `http://` or `https://`, `httpx.TransportError` (ConnectError,
    ReadTimeout, …) when there is no answer, and `UnsupportedProtocol` when the configured protocol has no such call; nothing is
    sent then.
    """

    def __init__(self, config: RESTConfig | None = None, *, retry_policy: RetryPolicy | None = None) -> None:
        """Opens the client; nothing is connected before the first call.

        Args:
            config: how to connect, ask and retry; the defaults where None.
            retry_policy: decides on retries and waits, in place of the configuration's `retries`.

        Raises:
            ValueError: the configuration names certificates that can't be used.
        """
        self._config = RESTConfig() if config is None else config
        self._sender = Sender(self._config, retry_policy or RetryPolicy(retries=self._config.retries))

    async def infer(
        self,
        base_url: BaseUrl,
        data: InferRequest | Mapping[str, Any] | bytes,
        model_name: str | None = None,
        headers: Headers = None,
        response_headers: MutableMapping[str, str] | None = None,
        is_graph_endpoint: bool = False,
        timeout: CallTimeout = httpx.USE_CLIENT_DEFAULT,  # noqa: ASYNC109 - KServe's signature
    ) -> InferResponse | dict[str, Any]:
        """Asks a model, or an inference graph.

        The request is sent again only if it can't have reached the server.

        Args:
            base_url: the server, with a path where it has one; a graph's whole URL.
            data: an `InferRequest`, whose `model_version`, if set, goes into the route of V1 and V2; or a dict: in V1 and for a graph
                sent as it is, in V2 a request's JSON, or tensors by name as nested lists; or a body already encoded, sent as it is.
            model_name: needed unless the URL is a graph's.
            headers: to send; not changed. Those that frame a body or speak of a connection (Content-Length, …) are left out.
            response_headers: filled with the answer's headers, names in lower case; those of an error's answer too.
            is_graph_endpoint: whether the URL is an inference graph's: it is used unchanged, whatever the protocol.
            timeout: in seconds, instead of the configuration's; None for none.

        Returns:
            V2: an `InferResponse`. V1 and graphs: the answer's JSON as it is.

        Raises:
            ValueError: there is no model name; nothing was sent.
            InvalidInput: the data can't be sent (nothing was), or the answer can't be read.
            httpx.HTTPStatusError: the status is no 2xx; the message holds the server's own.
        """
        is_v2 = self._config.protocol == _V2 and not is_graph_endpoint
        target = as_it_is(base_url) if is_graph_endpoint else below(base_url, self._infer_route(model_name, data))
        body, sent_headers = _encode(data, headers, is_v2)
        response = await self._sender.post(target, sent_headers, body, timeout)
        if response_headers is not None:
            response_headers.update(response.headers)
        if not response.is_success:
            raise status_error(response)
        if is_v2:
            length = json_length_of(response.headers.get(CONTENT_LENGTH_HEADER), response.content)
            return InferResponse.from_bytes(response.content, length, _asked_in_shared_memory(body, sent_headers))
        return load_json(response.content, "the answer")  # type: ignore[no-any-return] # as the server sent it

    async def explain(
        self,
        base_url: BaseUrl,
        model_name: str,
        data: InferRequest | Mapping[str, Any],
        headers: Headers = None,
        timeout: CallTimeout = httpx.USE_CLIENT_DEFAULT,  # noqa: ASYNC109 - KServe's signature
    ) -> dict[str, Any]:
        """Asks for an explanation; V1 only.

        Args:
            base_url: the server, with a path where it has one.
            model_name: the model's name.
            data: the request's JSON, sent as it is; or an `InferRequest`, whose `model_version`, if set, goes into the route.
            headers: to send; not changed. Those that frame a body or speak of a connection (Content-Length, …) are left out.
            timeout: in seconds, instead of the configuration's; None for none.

        Returns:
            The answer's JSON as it is.

        Raises:
            ValueError: there is no model name; nothing was sent.
            InvalidInput: the data can't be sent (nothing was), or the answer can't be read.
            httpx.HTTPStatusError: the status is no 2xx; the message holds the server's own.
        """
        self._require(_V1)
        target = below(base_url, f"/v1/{_model_path(model_name, data)}:explain")
        body, sent_headers = _encode(data, headers, is_v2=False)
        response = await self._sender.post(target, sent_headers, body, timeout)
        if not response.is_success:
            raise status_error(response)
        return load_json(response.content, "the answer")  # type: ignore[no-any-return] # as the server sent it

    async def is_server_ready(
        self,
        base_url: BaseUrl,
        headers: Headers = None,
        timeout: CallTimeout = httpx.USE_CLIENT_DEFAULT,  # noqa: ASYNC109 - KServe's signature
    ) -> bool:
        """Whether the server is ready; V2 only.

        KServe's ModelServer says yes even without a model; MLServer and Triton say yes only if their models are ready too.

        Args:
            base_url: the server, with a path where it has one.
            headers: to send; not changed. Those that frame a body or speak of a connection (Content-Length, …) are left out.
            timeout: in seconds, instead of the configuration's; None for none.

        Returns:
            True if it says so. False if it says no, or says 200 with a body that is no answer of the protocol.

        Raises:
            httpx.HTTPStatusError: the status says nothing about readiness (401, 403, 404, 429, 3xx, 5xx other than 503).
        """
        return await self._ask(Question.SERVER_READY, base_url, headers, timeout)

    async def is_server_live(
        self,
        base_url: BaseUrl,
        headers: Headers = None,
        timeout: CallTimeout = httpx.USE_CLIENT_DEFAULT,  # noqa: ASYNC109 - KServe's signature
    ) -> bool:
        """Whether the server is live.

        Args:
            base_url: the server, with a path where it has one.
            headers: to send; not changed. Those that frame a body or speak of a connection (Content-Length, …) are left out.
            timeout: in seconds, instead of the configuration's; None for none.

        Returns:
            True if it says so. False if it says no, or says 200 with a body that is no answer of the protocol.

        Raises:
            httpx.HTTPStatusError: the status says nothing about liveness (401, 403, 404, 429, 3xx, 5xx other than 503).
        """
        return await self._ask(Question.SERVER_LIVE, base_url, headers, timeout)

    async def is_model_ready(
        self,
        base_url: BaseUrl,
        model_name: str,
        headers: Headers = None,
        timeout: CallTimeout = httpx.USE_CLIENT_DEFAULT,  # noqa: ASYNC109 - KServe's signature
    ) -> bool:
        """Whether a model is ready.

        Args:
            base_url: the server, with a path where it has one.
            model_name: the model's name.
            headers: to send; not changed. Those that frame a body or speak of a connection (Content-Length, …) are left out.
            timeout: in seconds, instead of the configuration's; None for none.

        Returns:
            True if the server says so. False if it says no (loading and unknown are no), or says 200 with a body that is no answer
            of the protocol.

        Raises:
            ValueError: there is no model name; nothing was sent.
            httpx.HTTPStatusError: the status says nothing about readiness (401, 403, 429, 3xx, 5xx other than 503).
        """
        return await self._ask(Question.MODEL_READY, base_url, headers, timeout, model_name)

    async def close(self) -> None:
        """Closes the client and its transport; calls after it raise RuntimeError."""
        await self._sender.aclose()

    async def aclose(self) -> None:
        """The same as `close`, by httpx's name for it."""
        await self.close()

    async def __aenter__(self) -> Self:
        """The client, closed at the block's end."""
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None) -> None:
        """Closes the client."""
        await self.close()

    async def _ask(
        self, question: Question, base_url: BaseUrl, headers: Headers, limit: CallTimeout, model_name: str | None = None
    ) -> bool:
        name = self._require(_V1, _V2)
        protocol = named(name)
        route = protocol.path(question, model_name)
        if route is None:
            raise UnsupportedProtocol(name, (_V2,))
        reply = await self._sender.ask(below(base_url, route), headers, limit)
        verdict = protocol.read(question, reply.answer, model_name).verdict
        if verdict is Verdict.NO_ANSWER and not httpx.codes.is_success(reply.status_code):
            raise status_error(reply.response())
        return verdict is Verdict.YES

    def _infer_route(self, model_name: str | None, data: object) -> str:
        if model_name is None:
            raise ValueError("model_name should not be 'None' unless is_graph_endpoint is True")
        if self._require(_V1, _V2) == _V1:
            return f"/v1/{_model_path(model_name, data)}:predict"
        return f"/v2/{_model_path(model_name, data)}/infer"

    def _require(self, *supported: str) -> str:
        if self._config.protocol not in supported:
            raise UnsupportedProtocol(self._config.protocol, supported)
        return self._config.protocol


def _model_path(model_name: str, data: object) -> str:
    """The model's part of a route, with the request's version if it has one: V1 and V2 write it alike.

    Source: the Open Inference Protocol's `inference_rest.md` for V2; for V1 TensorFlow Serving's RESTful API
    (`/v1/models/${MODEL_NAME}[/versions/${VERSION}]:predict`), from which KServe's V1 comes.
    """
    path = f"models/{escape_segment(model_name)}"
    version = data.model_version if isinstance(data, InferRequest) else None
    # A request made from gRPC messages has an empty version if it names none. 0 is a version.
    return path if version is None or version == "" else f"{path}/versions/{escape_segment(str(version))}"


def _encode(data: InferRequest | Mapping[str, Any] | bytes, headers: Headers, is_v2: bool) -> tuple[bytes, httpx.Headers]:
    """The body, and the caller's headers with those that the body needs; neither the data nor the given headers are changed."""
    sent_headers = handed_on(headers)
    if not isinstance(data, bytes):  # the body is encoded here, so the caller's headers about a body are not about this one
        for name in (CONTENT_LENGTH_HEADER, "content-encoding"):
            sent_headers.pop(name, None)
    if isinstance(data, InferRequest):
        content, json_length = data.to_rest()
        if isinstance(content, bytes):
            sent_headers[CONTENT_LENGTH_HEADER] = str(json_length)
            sent_headers["content-type"] = BINARY_TYPE
            return content, sent_headers
        body = dump_json(content)
    elif isinstance(data, Mapping):
        body = dump_json(v2_request(data) if is_v2 else data)
    elif isinstance(data, bytes):
        body = data
    else:
        raise InvalidInput(f"data should be an InferRequest or a dict, not {type(data).__name__}")
    sent_headers.setdefault("content-type", "application/json")
    return body, sent_headers


def _asked_in_shared_memory(body: bytes, headers: httpx.Headers) -> list[RequestedOutput]:
    """The outputs that a sent request asks for in shared memory, read from its body, whatever that was made from."""
    try:
        length = json_length_of(headers.get(CONTENT_LENGTH_HEADER), body)
    except InvalidInput:  # the caller's own header is not valid, which is for the server to report
        return []
    return outputs_in_shared_memory(body, length)
