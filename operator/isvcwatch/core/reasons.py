"""The reasons that conditions, Events, metrics' labels and docs/conditions.md share."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The reason of a condition; `MEANINGS` explains each one in words."""

    # The server answered.
    MODEL_READY = "ModelReady"
    MODEL_NOT_READY = "ModelNotReady"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_LOADING = "ModelLoading"
    SERVER_READY = "ServerReady"
    SERVER_NOT_READY = "ServerNotReady"
    SERVER_LIVE = "ServerLive"
    SERVER_NOT_LIVE = "ServerNotLive"
    SERVER_ERROR = "ServerError"
    # It answered something that says nothing about health.
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    REDIRECTED = "Redirected"
    ROUTE_NOT_FOUND = "RouteNotFound"
    TOO_MANY_REQUESTS = "TooManyRequests"
    UNEXPECTED_ANSWER = "UnexpectedAnswer"
    NO_SUCH_ROUTE = "NoSuchRoute"
    UNKNOWN_SERVER = "UnknownServer"
    MODEL_NAME_UNKNOWN = "ModelNameUnknown"
    MODELS_DISAGREE = "ModelsDisagree"
    # It has not answered well yet.
    STARTING = "Starting"
    # It did not answer.
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_LOST = "ConnectionLost"
    UNREACHABLE = "Unreachable"
    TIMED_OUT = "TimedOut"
    CONNECTION_TIMED_OUT = "ConnectionTimedOut"
    NAME_NOT_FOUND = "NameNotFound"
    RESOLVER_FAILED = "ResolverFailed"
    TLS_FAILED = "TLSFailed"
    TLS_REQUIRED = "TLSRequired"
    MESH_TLS = "MeshTLS"
    INVALID_ANSWER = "InvalidAnswer"
    PROBE_FAILED = "ProbeFailed"
    # What Kubernetes says about its endpoints, whatever it answers.
    NO_ENDPOINTS = "NoEndpoints"
    NONE_READY = "NoneReady"
    ROLLOUT_FAILED = "RolloutFailed"
    # Replicas disagree.
    SOME_REPLICAS_FAIL = "SomeReplicasFail"
    # Silence that says nothing about the model.
    NEVER_REACHED = "NeverReached"
    NAMESPACE_SILENT = "NamespaceSilent"
    # It was not asked.
    TARGET_REFUSED = "TargetRefused"
    INVALID_ANNOTATION = "InvalidAnnotation"
    INVALID_ADDRESS = "InvalidAddress"
    UNSUPPORTED_PROTOCOL = "UnsupportedProtocol"
    STOPPED = "Stopped"
    DELETING = "Deleting"
    MODEL_MESH = "ModelMesh"
    SCALES_TO_ZERO = "ScalesToZero"
    NO_ADDRESS = "NoAddress"
    MALFORMED = "Malformed"


class EventReason(StrEnum):
    """The reasons of Events, each of which tells of a change of ModelReady."""

    MODEL_UNREADY = "ModelUnready"
    MODEL_RECOVERED = "ModelRecovered"
    MODEL_UNKNOWN = "ModelUnknown"
    SOME_REPLICAS_FAIL = "SomeReplicasFail"
    ALL_REPLICAS_SERVE = "AllReplicasServe"
    WATCHER_IMPAIRED = "WatcherImpaired"
    WATCHER_RECOVERED = "WatcherRecovered"
    MASS_OUTAGE = "MassOutage"
    NAMESPACE_UNREACHED = "NamespaceUnreached"
    NAMESPACE_REACHED = "NamespaceReached"


CUT: Final = frozenset({Reason.NEVER_REACHED, Reason.NAMESPACE_SILENT})
"""Reasons that are told once for their namespace."""

QUIET: Final = CUT | {Reason.STARTING}
"""Reasons that no Event on an object tells of."""

MEANINGS: Final[dict[Reason, str]] = {
    Reason.MODEL_READY: "every server on the way says that it can serve the model",
    Reason.MODEL_NOT_READY: "the server knows the model and says that it is not ready",
    Reason.MODEL_NOT_FOUND: "the server does not know the model: it failed to load, was unloaded, or goes by another name",
    Reason.MODEL_LOADING: "the server is still loading the model",
    Reason.SERVER_READY: "the server says that it is ready, or serves a ready model",
    Reason.SERVER_NOT_READY: "the server answers and says that it is not ready",
    Reason.SERVER_LIVE: "the server answers",
    Reason.SERVER_NOT_LIVE: "the server answers and says that it is not live",
    Reason.SERVER_ERROR: "the server, or a proxy before it, answered with an error (5xx)",
    Reason.UNAUTHORIZED: "401: the server wants a credential, so its health can't be told",
    Reason.FORBIDDEN: "403: the server, or a proxy, refuses the watcher, so its health can't be told",
    Reason.REDIRECTED: "3xx: the address redirects, and redirects are not followed",
    Reason.ROUTE_NOT_FOUND: "404 on a route that every server of this protocol has: it speaks another protocol, or the base path is wrong",
    Reason.TOO_MANY_REQUESTS: "429: the server is turning requests away, so its health can't be told",
    Reason.UNEXPECTED_ANSWER: "the answer is not one that this protocol has: something else is listening there",
    Reason.NO_SUCH_ROUTE: "this protocol has no way to ask",
    Reason.UNKNOWN_SERVER: "something answers there, but not as any model server that isvcwatch knows, nor by a readiness route of its own",
    Reason.MODEL_NAME_UNKNOWN: "the server does not know the name that was guessed for the model, and can't be asked for its own",
    Reason.MODELS_DISAGREE: "the server has several models, some ready and some not, and which of them is the service's is not known",
    Reason.STARTING: "it has not been ready yet, and still has time to start",
    Reason.CONNECTION_REFUSED: "nothing listens at the address: no pod is ready behind the Service",
    Reason.CONNECTION_LOST: "the connection was closed or reset before the answer was complete",
    Reason.UNREACHABLE: "the network has no way to the address",
    Reason.TIMED_OUT: "no answer within the timeout",
    Reason.CONNECTION_TIMED_OUT: "no TCP connection within the timeout: packets to the address are dropped, or its node is gone",
    Reason.NO_ENDPOINTS: "the Service has no endpoint: its selector finds no pod, so that clients get no answer",
    Reason.NONE_READY: "the Service has endpoints, and none of them is ready, so that clients get no answer",
    Reason.ROLLOUT_FAILED: "the latest roll-out has failed, and the pods of before it serve on",
    Reason.SOME_REPLICAS_FAIL: "some of its replicas fail while others serve: True where most clients get an answer, else False",
    Reason.NEVER_REACHED: "no server in the namespace has ever answered the watcher: a network policy or a mesh may keep it out",
    Reason.NAMESPACE_SILENT: "all servers in the namespace have fallen silent together: something may keep the watcher out",
    Reason.NAME_NOT_FOUND: "the host name does not exist: the Service is missing",
    Reason.RESOLVER_FAILED: "the watcher's DNS resolver does not answer, so nothing can be told",
    Reason.TLS_FAILED: "the TLS handshake failed: the certificate is not trusted, is for another host, or the port speaks no TLS",
    Reason.TLS_REQUIRED: "the server takes HTTPS alone at the address, which says http",
    Reason.MESH_TLS: "the server, or a mesh's proxy before it, wants a client certificate, and the watcher has none",
    Reason.INVALID_ANSWER: "what came back is not HTTP, or breaks its rules or the watcher's bounds",
    Reason.PROBE_FAILED: "the probe itself failed: a bug of isvcwatch, its log has the traceback",
    Reason.TARGET_REFUSED: "the address is not one that isvcwatch may connect to",
    Reason.INVALID_ANNOTATION: "an isvcwatch.dev/ annotation has a value that can't be used",
    Reason.INVALID_ADDRESS: "the address in the status can't be used",
    Reason.UNSUPPORTED_PROTOCOL: "the service speaks only a protocol that isvcwatch can't ask yet",
    Reason.STOPPED: "the service is stopped",
    Reason.DELETING: "the service is being deleted",
    Reason.MODEL_MESH: "ModelMesh replaces the whole status at every turn: nothing can be kept there",
    Reason.SCALES_TO_ZERO: "the service may be scaled to zero, where a probe would wake it or keep it awake",
    Reason.NO_ADDRESS: "KServe has not given the service an address yet",
    Reason.MALFORMED: "the object lacks what watching it needs",
}
"""The meaning of each reason, in the words of docs/conditions.md."""
