"""From what the API server sends to frozen objects: real shapes are understood, and nothing makes parsing fail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isvcwatch.core.conditions import MESSAGE_LIMIT, Condition, is_timestamp
from isvcwatch.core.decide import decide, seed
from isvcwatch.core.derive import derive
from isvcwatch.core.objects import ComponentSpec, Container, DeploymentMode, Port, ReadyRoute, Runtime, RuntimeKey
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Misconfigured, Skipped, Target
from isvcwatch.kube import parse
from rig import kserve_status as kserve
from tests.unit.builders import ALL_REFUSED, DEFAULTS, NOW
from tests.unit.builders import component as spec_of
from tests.unit.builders import container as serving

Manifest = dict[str, Any]


def sent(
    spec: Manifest | None = None, annotations: dict[str, str] | None = None, status: Manifest | None = None, **metadata: object
) -> Manifest:
    """An InferenceService as the API server sends it."""
    manifest = kserve.isvc("iris", "models", spec, annotations, status)
    manifest["metadata"] |= {"uid": "u", "resourceVersion": "7", **metadata}
    return manifest


def test_a_ready_service_is_understood() -> None:
    service = parse.inference_service(sent(status=kserve.ready("iris", "models")))
    assert (service.uid, service.namespace, service.name, service.resource_version) == ("u", "models", "iris", "7")
    assert service.mode is DeploymentMode.STANDARD
    assert service.address_url == "http://iris-predictor.models.svc.cluster.local"
    assert service.url == "http://iris-models.example.com"
    assert service.runtime == RuntimeKey("", "kserve-sklearnserver")
    assert service.predictor == ComponentSpec(model_format="sklearn", has_storage=True)
    assert service.transformer is None
    assert [c.type for c in service.conditions or () if c] == ["IngressReady", "PredictorReady", "Ready", "Stopped"]
    assert (service.deleting, service.stopped, service.problem) == (False, False, "")


STAGES: list[tuple[str, Manifest, type]] = [
    ("no status", sent(), Skipped),
    ("progressing", sent(status=kserve.progressing("iris", "models")), Target),
    ("unavailable", sent(status=kserve.unavailable("iris", "models")), Target),
    ("ready", sent(status=kserve.ready("iris", "models")), Target),
    ("a pod lost", sent(status=kserve.pod_lost("iris", "models")), Target),
    ("a failed roll-out", sent(status=kserve.failed_rollout("iris", "models")), Target),
    ("failed to load", sent(status=kserve.failed_to_load("iris", "models")), Target),
    ("recovered", sent(status=kserve.recovered("iris", "models")), Target),
    ("headless", sent(status=kserve.headless("iris", "models")), Target),
    ("a custom container", sent(kserve.container_spec(), status=kserve.custom_container("iris", "models")), Target),
    ("a canary", sent(status=kserve.with_canary("iris", "models")), Target),
    ("no pod", sent(status=kserve.no_pod("iris", "models")), Target),
    ("stopped", sent(status=kserve.stopped()), Skipped),
    ("stopped by annotation, status not yet", sent(annotations={kserve.STOP: "TRUE"}, status=kserve.ready("iris", "models")), Skipped),
    ("started again", sent(status=kserve.started_again("iris", "models")), Target),
    ("an unknown runtime", sent(status=kserve.unknown_runtime()), Skipped),
    ("being deleted", sent(status=kserve.ready("iris", "models"), deletionTimestamp=kserve.TIME), Skipped),
    ("Knative, starting", sent(status=kserve.knative_starting("iris")), Skipped),
    ("Knative, never at zero", sent(status=kserve.knative_ready("iris", "models")), Target),
    (
        "Knative, may be at zero",
        sent(kserve.with_min_replicas(kserve.model_spec(), 0), status=kserve.knative_ready("iris", "models")),
        Skipped,
    ),
    (
        "Standard, minReplicas 0 with an HPA",
        sent(kserve.with_min_replicas(kserve.model_spec(), 0), status=kserve.ready("iris", "models")),
        Target,
    ),
]


@pytest.mark.parametrize(("raw", "outcome"), [s[1:] for s in STAGES], ids=[s[0] for s in STAGES])
def test_each_stage_of_a_life_is_probed_or_left_alone(raw: Manifest, outcome: type) -> None:
    assert type(derive(parse.inference_service(raw), None, DEFAULTS).outcome) is outcome


@pytest.mark.parametrize(
    ("written", "created"),
    [("2026-11-23T18:41:59Z", datetime(2026, 11, 23, 18, 41, 59, tzinfo=UTC)), ("2026-13-23T18:41:59Z", None), ("soon", None), (5, None)],
)
def test_when_a_service_was_created_is_read(written: object, created: datetime | None) -> None:
    raw = sent(kserve.model_spec())
    assert parse.inference_service(raw | {"metadata": raw["metadata"] | {"creationTimestamp": written}}).created == created


TRACEBACK = "Traceback (most recent call last):\n  ...\nRuntimeError: Failed to fetch model.\n"
BLOCKED = {"transitionStatus": "BlockedByFailedLoad"}


@pytest.mark.parametrize(
    ("model", "ready", "failure"),
    [
        ({**BLOCKED, "lastFailureInfo": {"exitCode": 137, "message": "", "reason": "OOMKilled"}}, "False", "exit code 137: OOMKilled"),
        ({**BLOCKED, "lastFailureInfo": {"exitCode": 137}}, "False", "exit code 137"),
        (
            {**BLOCKED, "lastFailureInfo": {"exitCode": 1, "message": TRACEBACK}},
            "False",
            "exit code 1: RuntimeError: Failed to fetch model.",
        ),
        ({"transitionStatus": "InvalidSpec", "lastFailureInfo": {"message": "no runtime"}}, "Unknown", "no runtime"),
        ({"transitionStatus": "", "lastFailureInfo": {"exitCode": 1}}, "False", "exit code 1"),
        ({"transitionStatus": "UpToDate", "lastFailureInfo": {"exitCode": 1}}, "False", ""),
        ({**BLOCKED, "lastFailureInfo": {"exitCode": 1}}, "True", ""),
        ({"transitionStatus": "InProgress"}, "False", ""),
        ({**BLOCKED, "lastFailureInfo": {"exitCode": "x", "message": ["y"]}}, "False", ""),
    ],
)
def test_why_a_model_failed_is_read_while_it_is_not_loaded(model: Manifest, ready: str, failure: str) -> None:
    status = {"modelStatus": model, "conditions": [kserve.condition("Ready", ready)]}
    assert parse.inference_service(sent(kserve.model_spec(), status=status)).failure == failure


def test_a_transformer_and_its_predictor_are_both_found() -> None:
    spec = kserve.transformer_spec(kserve.model_spec(), args=["--model_name=outer"])
    service = parse.inference_service(sent(spec, status=kserve.with_transformer("iris", "models")))
    outcome = derive(service, None, DEFAULTS).outcome
    assert isinstance(outcome, Target)
    assert [(hop.base_url, hop.model_name) for hop in outcome.hops] == [
        ("http://iris-transformer.models.svc.cluster.local", "outer"),
        ("http://iris-predictor.models.svc.cluster.local", "outer"),
    ]


def test_a_canary_that_gets_traffic_is_found_beside_the_stable_predictor() -> None:
    spec = kserve.model_spec() | {"canary": [{"trafficPercent": 20, "predictor": {**kserve.model_spec()["predictor"], "name": "v2"}}]}
    service = parse.inference_service(sent(spec, status=kserve.with_canary("iris", "models")))
    outcome = derive(service, None, DEFAULTS).outcome
    assert isinstance(outcome, Target)
    assert [(hop.part, hop.base_url, hop.grace) for hop in outcome.hops] == [
        ("predictor", "http://iris-predictor.models.svc.cluster.local", 0.0),
        ("canary v2", "http://iris-v2-predictor.models.svc.cluster.local", 0.0),
    ]


@pytest.mark.parametrize(
    ("status", "annotation", "mode"),
    [
        ("Standard", "", DeploymentMode.STANDARD),
        ("RawDeployment", "", DeploymentMode.STANDARD),
        ("Knative", "", DeploymentMode.KNATIVE),
        ("Serverless", "", DeploymentMode.KNATIVE),
        ("ModelMesh", "", DeploymentMode.MODEL_MESH),
        ("", "RawDeployment", DeploymentMode.STANDARD),
        ("", "serverless", DeploymentMode.KNATIVE),
        ("Knative", "RawDeployment", DeploymentMode.KNATIVE),
        ("", "", None),
        ("Strange", "Stranger", None),
    ],
)
def test_the_mode_is_told_by_the_status_first(status: str, annotation: str, mode: DeploymentMode | None) -> None:
    assert parse.inference_service(sent(annotations={kserve.MODE: annotation}, status={"deploymentMode": status})).mode is mode


def test_a_ready_revision_tells_of_knative() -> None:
    status = {"components": {"predictor": {"latestReadyRevision": "iris-predictor-00001"}}}
    assert parse.inference_service(sent(status=status)).mode is DeploymentMode.KNATIVE


@pytest.mark.parametrize(
    ("status", "named", "key"),
    [
        ({"servingRuntimeName": "own"}, "", RuntimeKey("models", "own")),
        ({"clusterServingRuntimeName": "shared"}, "", RuntimeKey("", "shared")),
        ({"clusterServingRuntimeName": "shared"}, "asked", RuntimeKey("", "shared")),
        ({}, "asked", RuntimeKey("models", "asked")),
        ({}, "", None),
    ],
)
def test_the_runtime_is_the_one_that_was_chosen(status: Manifest, named: str, key: RuntimeKey | None) -> None:
    assert parse.inference_service(sent(kserve.model_spec(runtime=named), status=status)).runtime == key


@pytest.mark.parametrize(
    ("predictor", "expected"),
    [
        ({"model": {"modelFormat": {"name": "SKLearn"}, "protocolVersion": "V2"}}, ComponentSpec(None, "sklearn", "v2")),
        ({"sklearn": {"protocolVersion": "v2"}, "minReplicas": 2}, ComponentSpec(2, "sklearn", "v2")),
        ({"triton": {}}, ComponentSpec(None, "triton")),
        (
            {"containers": [{"command": ["serve"], "args": ["--model_name", "m"]}]},
            ComponentSpec(server=Container(command=("serve",), args=("--model_name", "m"))),
        ),
        (
            {"containers": [{"name": "sidecar", "args": ["no"]}, {"name": "kserve-container", "args": ["yes"]}]},
            spec_of(("yes",)),
        ),
        (
            {"containers": [{"ports": [{"name": "none"}, {"containerPort": 9000}, {"containerPort": 9001}]}]},
            ComponentSpec(server=Container(ports=(Port(9000), Port(9001)))),
        ),
        (
            {"model": {"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}, {"name": "C", "value": ""}, None]}},
            spec_of(environment={"A": "1"}),
        ),
        ({"model": {"args": ["a", 1, None, "b"]}}, spec_of(("a", "b"))),
        ({"minReplicas": "0", "model": "text"}, ComponentSpec()),
        ({"containers": {"name": "kserve-container"}}, ComponentSpec()),
        ({"containers": ["text", None]}, ComponentSpec()),
    ],
)
def test_a_component_is_read_in_every_style(predictor: Manifest, expected: ComponentSpec) -> None:
    assert parse.inference_service(sent({"predictor": predictor})).predictor == expected


def test_annotations_are_kept_for_runtimes_to_be_filled_from_but_not_whole_manifests() -> None:
    annotations = {"team": "x", "kubectl.kubernetes.io/last-applied-configuration": "{" + "x" * 5000 + "}"}
    assert parse.inference_service(sent(annotations=annotations)).annotations == {"team": "x"}


def test_a_containers_own_readiness_route_and_the_names_of_its_ports_are_read() -> None:
    container = {
        "ports": [{"containerPort": 9000, "name": "h2c"}, {"containerPort": 8080, "name": "http1"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http1", "scheme": "HTTPS"}},
    }
    service = parse.inference_service(sent({"predictor": {"containers": [container]}}))
    assert service.predictor is not None
    assert service.predictor.server == Container(
        ports=(Port(9000, "h2c"), Port(8080, "http1")), ready=ReadyRoute("/healthz", "http1", "https")
    )


@pytest.mark.parametrize(
    ("container", "seconds"),
    [
        ({}, 0.0),
        ({"startupProbe": {"failureThreshold": 60, "periodSeconds": 5, "initialDelaySeconds": 10}}, 310.0),
        ({"startupProbe": {"httpGet": {}}}, 30.0),
        ({"readinessProbe": {"initialDelaySeconds": 45}}, 45.0),
        ({"startupProbe": "soon", "readinessProbe": {"initialDelaySeconds": "45"}}, 0.0),
        ({"startupProbe": {"failureThreshold": True, "periodSeconds": -1}}, 30.0),
    ],
)
def test_how_long_a_container_may_take_to_start_is_read(container: Manifest, seconds: float) -> None:
    service = parse.inference_service(sent({"predictor": {"containers": [container]}}))
    assert service.predictor is not None
    assert service.predictor.server.startup == seconds


def test_a_stop_that_kserve_was_told_to_ignore_is_none_until_the_status_says_so() -> None:
    ignored = {kserve.STOP: "true", "serving.kserve.io/disable-auto-update": "true"}
    assert not parse.inference_service(sent(annotations=ignored, status=kserve.ready("iris", "models"))).stopped
    assert parse.inference_service(sent(annotations=ignored, status=kserve.stopped())).stopped
    assert parse.inference_service(sent(annotations={kserve.STOP: "true"})).stopped


def test_a_transformer_in_the_predictors_pod_is_told_apart() -> None:
    spec = {"predictor": {"model": {"modelFormat": {"name": "x"}}, "containers": [{"name": "transformer-container", "args": ["--x"]}]}}
    service = parse.inference_service(sent(spec))
    assert service.predictor is not None
    assert service.predictor.collocated == Container(args=("--x",))


@pytest.mark.parametrize("status", kserve.WRONG_SHAPES.values(), ids=kserve.WRONG_SHAPES)
def test_no_wrong_shape_of_a_status_is_more_than_a_problem_to_name(status: object) -> None:
    service = parse.inference_service({**sent(), "status": status})
    derivation = derive(service, None, DEFAULTS)
    if service.problem:
        assert isinstance(derivation.outcome, Skipped)
        assert derivation.outcome.reason is Reason.MALFORMED
    decide(seed(service, NOW), service, NOW)


@pytest.mark.parametrize("conditions", [{"Ready": "True"}, "Ready", 1, True])
def test_conditions_that_are_no_list_are_a_problem(conditions: object) -> None:
    assert parse.inference_service(sent(status={"conditions": conditions})).problem == "status.conditions is not a list"


def test_a_malformed_condition_keeps_its_place() -> None:
    conditions = parse.inference_service(sent(status={"conditions": [None, {"type": "Ready", "status": True}, "text"]})).conditions
    assert conditions == (None, Condition("Ready", ""), None)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({}, "metadata is missing or is not an object"),
        ({"metadata": "iris", "spec": {}}, "metadata is missing or is not an object"),
        ({"metadata": {}}, "spec is missing or is not an object"),
        ({"metadata": {}, "spec": []}, "spec is missing or is not an object"),
        ({"metadata": {}, "spec": {}}, "spec.predictor is missing or is not an object"),
        ({"metadata": {}, "spec": {"predictor": None}}, "spec.predictor is missing or is not an object"),
        ({"metadata": {}, "spec": {"predictor": {"model": {}}}, "status": []}, "status is not an object"),
    ],
)
def test_what_is_malformed_is_named(raw: Manifest, problem: str) -> None:
    assert parse.inference_service(raw).problem == problem


def test_a_runtime_is_understood() -> None:
    spec = {
        "builtInAdapter": {"serverType": "MLServer"},
        "protocolVersions": ["V2", "grpc-v2", 3],
        "supportedModelFormats": [{"name": "SKLearn", "version": "1"}, "text", {}],
        "containers": [
            {"name": "kserve-container", "args": ["--x"], "env": [{"name": "PROTOCOL", "value": "v2"}], "ports": [{"containerPort": 1}]}
        ],
    }
    assert parse.runtime({"metadata": {"name": "r", "namespace": "models"}, "spec": spec}) == Runtime(
        RuntimeKey("models", "r"), "mlserver", ("v2", "grpc-v2"), ("sklearn", ""), serving(("--x",), 1, {"PROTOCOL": "v2"})
    )


@pytest.mark.parametrize("raw", [{}, {"metadata": None, "spec": None}, {"spec": {"containers": 1, "protocolVersions": "v1"}}])
def test_a_malformed_runtime_says_nothing(raw: Manifest) -> None:
    assert parse.runtime(raw) == Runtime(RuntimeKey("", ""))


# Objects shaped vaguely like InferenceServices.

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
urls = st.sampled_from(
    ["http://iris-transformer.models.svc:80", "http://iris-predictor.models.svc", "http://[", "x", "https://h:99999", "http://é"]
)


def vaguely(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly an object with some of the fields, each mostly as it should be."""
    return st.fixed_dictionaries({}, optional={name: field | anything for name, field in fields.items()}) | anything


words = st.sampled_from(["", "True", "False", "Unknown", "ModelReady", "Stopped", "iris", "Standard", "Knative", "v2", "triton"])
container = vaguely(
    name=words,
    args=st.lists(words | st.just("--model_name")),
    env=st.lists(vaguely(name=words, value=words)),
    ports=st.lists(vaguely(containerPort=st.integers())),
)
component = vaguely(
    model=vaguely(modelFormat=vaguely(name=words), protocolVersion=words, runtime=words),
    containers=st.lists(container),
    minReplicas=st.integers(0, 2),
    name=words,
)
condition = vaguely(type=words, status=words, reason=st.text(), message=st.text(), lastTransitionTime=st.text(), severity=words)
address = vaguely(url=urls)
our_annotations = st.sampled_from(["isvcwatch.dev/url", "isvcwatch.dev/period-seconds", "isvcwatch.dev/x", "serving.kserve.io/stop"])
noted = st.dictionaries(our_annotations, urls | st.text(max_size=4), max_size=3)
components = vaguely(predictor=vaguely(address=address, latestReadyRevision=words))
services = st.fixed_dictionaries(
    {
        "metadata": vaguely(uid=words, name=st.just("iris"), namespace=st.just("models"), annotations=noted),
        "spec": vaguely(predictor=component, transformer=component, canary=st.lists(vaguely(predictor=component), max_size=2)),
        "status": vaguely(
            address=address,
            url=urls,
            deploymentMode=words,
            conditions=st.lists(condition, max_size=4),
            components=components,
            canaryStatuses=st.lists(vaguely(name=words, trafficPercent=st.integers(0, 100), ready=st.booleans()), max_size=2),
        ),
    }
)
runtimes = st.fixed_dictionaries(
    {"metadata": vaguely(name=words), "spec": vaguely(protocolVersions=st.lists(words), containers=st.lists(container))}
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(services, st.none() | runtimes)
def test_nothing_shaped_like_a_service_makes_the_way_to_a_decision_fail(raw: Manifest, raw_runtime: Manifest | None) -> None:
    service = parse.inference_service(raw)
    runtime = parse.runtime(raw_runtime) if raw_runtime else None
    derivation = derive(service, runtime, DEFAULTS)
    assert derivation == derive(parse.inference_service(raw), runtime, DEFAULTS)
    if not isinstance(derivation.outcome, Target):
        assert isinstance(derivation.outcome, Skipped | Misconfigured)
        assert len(derivation.outcome.message) < 1000
    record = seed(service, NOW)
    for _ in range(3):
        decision = decide(record, service, NOW)
        for written in decision.conditions:
            assert written.message.isprintable()
            assert len(written.message) <= MESSAGE_LIMIT
            assert is_timestamp(written.last_transition_time)
        record = type(record)(record.health.observe(ALL_REFUSED, DEFAULTS), record.announced)
