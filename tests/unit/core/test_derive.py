"""What is probed, and where each value comes from: KServe's own rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from isvcwatch.core import overrides
from isvcwatch.core.backing import Backing
from isvcwatch.core.conditions import Condition
from isvcwatch.core.derive import Derivation, derive, is_own_host
from isvcwatch.core.objects import Canary, ComponentSpec, Container, DeploymentMode, Port, ReadyRoute, Replica, Runtime, RuntimeKey
from isvcwatch.core.policy import ProbePolicy
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Component, Hop, Misconfigured, Skipped, Target
from tests.unit.builders import DEFAULTS, annotated, component, container, isvc

if TYPE_CHECKING:
    from isvcwatch.core.objects import InferenceService

PREDICTOR = "http://iris-predictor.models.svc.cluster.local"
TRANSFORMER = "http://iris-transformer.models.svc.cluster.local"


def runtime(**fields: Any) -> Runtime:  # noqa: ANN401 -- any field
    server = container(fields.pop("arguments", ()), fields.pop("port", None), fields.pop("environment", None))
    return Runtime(RuntimeKey("", "kserve-server"), server=server, **fields)


def derived(service: InferenceService, on: Runtime | None = None) -> Derivation:
    return derive(service, on, DEFAULTS)


def target_of(service: InferenceService, on: Runtime | None = None) -> Target:
    outcome = derived(service, on).outcome
    assert isinstance(outcome, Target), outcome
    return outcome


def hop_of(service: InferenceService, on: Runtime | None = None) -> Hop:
    (hop,) = target_of(service, on).hops
    return hop


def origin_of(field: str, service: InferenceService, on: Runtime | None = None) -> str:
    return next(source.origin for source in derived(service, on).sources if source.field == field)


class TestLeftAlone:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"problem": "spec is missing or is not an object"}, Reason.MALFORMED),
            ({"deleting": True}, Reason.DELETING),
            ({"stopped": True}, Reason.STOPPED),
            ({"mode": DeploymentMode.MODEL_MESH}, Reason.MODEL_MESH),
            ({"address_url": "", "url": ""}, Reason.NO_ADDRESS),
            ({"mode": DeploymentMode.KNATIVE, "predictor": component(min_replicas=0)}, Reason.SCALES_TO_ZERO),
            ({"mode": DeploymentMode.KNATIVE, "transformer": component(min_replicas=0)}, Reason.SCALES_TO_ZERO),
            ({"mode": None, "predictor": component(min_replicas=0)}, Reason.SCALES_TO_ZERO),
            ({"mode": DeploymentMode.KNATIVE, "annotations": {"autoscaling.knative.dev/min-scale": "0"}}, Reason.SCALES_TO_ZERO),
            ({"deleting": True, "stopped": True}, Reason.DELETING),
            ({"stopped": True, "address_url": "", "url": ""}, Reason.STOPPED),
        ],
    )
    def test_a_service_that_can_not_be_judged_is_skipped(self, changes: dict[str, Any], reason: Reason) -> None:
        outcome = derived(isvc(**changes)).outcome
        assert isinstance(outcome, Skipped)
        assert outcome.reason is reason
        assert outcome.message.isprintable()

    @pytest.mark.parametrize("autoscaler", ["none", "external", "keda", "None"])
    def test_standard_mode_may_sleep_without_an_hpa(self, autoscaler: str) -> None:
        annotations = {"serving.kserve.io/autoscalerClass": autoscaler}
        outcome = derived(isvc(predictor=component(min_replicas=0), annotations=annotations)).outcome
        assert isinstance(outcome, Skipped)
        assert outcome.reason is Reason.SCALES_TO_ZERO

    def test_a_stop_comes_before_a_wrong_annotation(self) -> None:
        assert isinstance(derived(replace(annotated(protocol="v9"), stopped=True)).outcome, Skipped)


class TestNeverAtZero:
    @pytest.mark.parametrize(
        "changes",
        [
            {"predictor": component(min_replicas=0)},
            {"predictor": component(min_replicas=0), "annotations": {"serving.kserve.io/autoscalerClass": "hpa"}},
            {"predictor": component(min_replicas=0), "annotations": {"serving.kserve.io/autoscalerClass": "HPA"}},
            {"mode": DeploymentMode.KNATIVE, "predictor": component(min_replicas=None)},
            {"mode": DeploymentMode.KNATIVE, "predictor": component(min_replicas=1)},
            {"mode": DeploymentMode.KNATIVE, "annotations": {"autoscaling.knative.dev/min-scale": "1"}},
            {"mode": DeploymentMode.STANDARD, "annotations": {"autoscaling.knative.dev/min-scale": "0"}},
            {"mode": None},
        ],
    )
    def test_it_is_probed(self, changes: dict[str, Any]) -> None:
        assert isinstance(derived(isvc(**changes)).outcome, Target)


class TestAddress:
    def test_the_in_cluster_address_comes_first(self) -> None:
        assert hop_of(isvc()).base_url == PREDICTOR
        assert origin_of("predictor URL", isvc()) == "status.address.url"

    def test_the_external_url_is_the_last_resort(self) -> None:
        service = isvc(address_url="")
        assert hop_of(service).base_url == "http://iris-models.example.com"
        assert not hop_of(service).own_host
        assert origin_of("predictor URL", service) == "status.url"

    def test_an_annotation_overrides_both(self) -> None:
        service = annotated(url="http://other.models.svc:9000/base")
        assert hop_of(service).base_url == "http://other.models.svc:9000/base"
        assert origin_of("predictor URL", service) == "annotation isvcwatch.dev/url"

    def test_a_headless_service_is_reached_at_the_port_of_its_address(self) -> None:
        assert hop_of(isvc(address_url=PREDICTOR + ":9000")).base_url == PREDICTOR + ":9000"

    @pytest.mark.parametrize(
        "url", ["iris", "http://", "grpc://iris:9000", "http://iris:port", "http://[::1", "http://a b", "http://me:pw@iris"]
    )
    def test_an_address_that_can_not_be_used_is_named(self, url: str) -> None:
        outcome = derived(isvc(address_url=url)).outcome
        assert isinstance(outcome, Misconfigured)
        assert outcome.reason is Reason.INVALID_ADDRESS
        assert len(outcome.message) < 400
        assert "me:pw" not in outcome.message

    def test_the_hosts_own_namespace_is_told_by_its_name(self) -> None:
        assert hop_of(isvc()).own_host
        assert not hop_of(annotated(url="http://iris-predictor.others.svc")).own_host

    @pytest.mark.parametrize(
        ("pods", "own"), [((), True), (("iris-0",), True), (("iris-0", "iris-1"), True), (("",), False), (("iris-0", ""), False)]
    )
    def test_a_service_whose_endpoints_are_no_pods_leads_wherever_its_maker_wants(self, pods: tuple[str, ...], own: bool) -> None:
        for service, url in ((isvc(), PREDICTOR), (annotated(url="http://mine.models.svc"), "http://mine.models.svc")):
            name = url.removeprefix("http://").split(".")[0]
            behind = [Backing(name, tuple(Replica(f"10.1.0.{number}", pod) for number, pod in enumerate(pods)))]
            outcome = derive(service, None, DEFAULTS, behind).outcome
            assert isinstance(outcome, Target)
            assert outcome.hops[0].own_host is own

    def test_an_annotations_service_without_slices_may_be_anybodys_but_for_those_that_kserve_makes(self) -> None:
        assert not hop_of(annotated(url="http://mine.models.svc")).own_host
        assert not hop_of(annotated(url="http://iris-metrics.models.svc")).own_host
        assert hop_of(annotated(url="http://iris-predictor.models.svc:9000")).own_host
        in_status = replace(
            isvc(), component_urls={"predictor": "http://elsewhere.models.svc"}, annotations={overrides.URL: "http://elsewhere.models.svc"}
        )
        assert hop_of(in_status).own_host

    def test_knatives_names_may_lead_to_its_gateway_and_no_others(self) -> None:
        knative = isvc(mode=DeploymentMode.KNATIVE, address_url="http://iris.models.svc.cluster.local")
        assert hop_of(knative).routed
        assert not hop_of(replace(knative, annotations={overrides.URL: "http://iris.models.svc.cluster.local"})).routed
        assert not hop_of(isvc()).routed

    def test_the_clusters_domain_is_what_kserve_wrote_and_not_what_an_annotation_says(self) -> None:
        elsewhere = isvc(address_url="http://iris-predictor.models.svc.corp.example")
        assert hop_of(elsewhere).own_host
        assert hop_of(replace(elsewhere, annotations={overrides.URL: "http://iris-predictor.models.svc.corp.example:9000"})).own_host
        assert not hop_of(replace(elsewhere, annotations={overrides.URL: "http://other.models.svc.attacker.example"})).own_host
        assert not hop_of(annotated(url="http://iris.models.svc.attacker.example")).own_host

    @pytest.mark.parametrize(
        ("url", "own"),
        [
            ("http://iris.models.svc", True),
            ("http://iris.models.svc:8080/base", True),
            ("http://iris.models.svc.cluster.local", True),
            ("http://iris.models.svc.cluster.local.", True),
            ("http://iris.models.svc.attacker.example", False),
            ("http://iris.models.svc.cluster.local.attacker.example", False),
            ("http://pod.iris.models.svc", False),
            ("http://IRIS.MODELS.SVC", True),
            ("http://iris.others.svc", False),
            ("http://iris.models", False),
            ("http://iris", False),
            ("http://models.svc", False),
            ("http://iris.models.example.com", False),
            ("http://10.0.0.1", False),
            ("http://[fd00::1]", False),
            ("http://", False),
        ],
    )
    def test_a_host_is_the_objects_own_where_it_is_a_service_in_its_namespace(self, url: str, own: bool) -> None:
        assert is_own_host(url, "models") is own


class TestTransformer:
    def test_both_hops_are_probed_entry_first(self) -> None:
        service = isvc(address_url=TRANSFORMER, transformer=component())
        assert [(hop.component, hop.base_url) for hop in target_of(service).hops] == [
            (Component.TRANSFORMER, TRANSFORMER),
            (Component.PREDICTOR, PREDICTOR),
        ]

    def test_the_predictors_own_address_in_the_status_comes_first(self) -> None:
        service = isvc(address_url=TRANSFORMER, transformer=component(), component_urls={"predictor": "http://p.models.svc"})
        assert target_of(service).hops[1].base_url == "http://p.models.svc"
        assert origin_of("predictor URL", service) == "status.components.predictor.address.url"

    @pytest.mark.parametrize("url", ["nonsense", "http://[", "http://p:99999"])
    def test_a_predictors_address_that_can_not_be_used_is_named_and_the_transformer_is_asked(self, url: str) -> None:
        service = isvc(address_url=TRANSFORMER, transformer=component(), component_urls={"predictor": url})
        assert [hop.component for hop in target_of(service).hops] == [Component.TRANSFORMER]
        assert derived(service).note.startswith("predictor not asked: the status says ")

    def test_a_predictor_by_grpc_is_named_and_its_transformer_by_rest_is_asked(self) -> None:
        grpc = ComponentSpec(protocol_version="grpc-v2", server=Container(ports=(Port(8081, "h2c"),)))
        service = isvc(address_url=TRANSFORMER, transformer=component(), predictor=grpc)
        assert [(hop.component, hop.protocol) for hop in target_of(service).hops] == [(Component.TRANSFORMER, "v2")]
        assert derived(service).note.startswith("predictor not asked: the predictor is reached at port 'h2c' (8081)")
        assert "annotation" not in derived(service).note
        assert origin_of("not asked", service).startswith("the predictor is reached at port 'h2c'")

    @pytest.mark.parametrize(
        ("predictor", "on", "port"),
        [
            (component(port=9000), None, 9000),
            (component(), runtime(port=8085), 8085),
            (component(port=9000), runtime(port=8085), 9000),
            (component(), runtime(), 8080),
            (None, None, 8080),
        ],
    )
    def test_behind_a_headless_transformer_the_predictors_container_port_is_used(
        self, predictor: ComponentSpec | None, on: Runtime | None, port: int
    ) -> None:
        service = isvc(address_url=TRANSFORMER + ":8080", transformer=component(), predictor=predictor)
        assert target_of(service, on).hops[1].base_url == f"{PREDICTOR}:{port}"

    @pytest.mark.parametrize("url", ["http://gateway.example.com/iris", "http://10.0.0.1:8080", "http://other-transformer.models.svc"])
    def test_behind_an_address_that_is_not_the_transformers_service_nothing_is_guessed(self, url: str) -> None:
        (hop,) = target_of(isvc(address_url=url, transformer=component())).hops
        assert hop.component is Component.TRANSFORMER

    def test_an_annotated_url_is_all_that_is_probed(self) -> None:
        service = replace(annotated(url="http://x.models.svc"), transformer=component())
        assert [hop.base_url for hop in target_of(service).hops] == ["http://x.models.svc"]

    @pytest.mark.parametrize(
        ("predictor", "transformer"), [("v1", "v1"), ("v2", "v2"), ("grpc-v2", "v2"), ("grpc-v1", "v1"), ("vllm", "v1"), ("", "v1")]
    )
    def test_it_speaks_its_predictors_version(self, predictor: str, transformer: str) -> None:
        spec = component(model_format="vllm") if predictor == "vllm" else component(protocol_version=predictor)
        service = isvc(address_url=TRANSFORMER, transformer=component(), predictor=spec)
        sources = derived(service).sources
        assert next(source.value for source in sources if source.field == "transformer protocol") == transformer

    def test_its_model_goes_by_its_own_argument(self) -> None:
        service = isvc(
            address_url=TRANSFORMER,
            transformer=component(arguments=("--model_name=outer",)),
            predictor=component(arguments=("--model_name=inner",)),
        )
        assert [hop.model_name for hop in target_of(service).hops] == ["outer", "inner"]
        assert origin_of("transformer model name", service) == "spec.transformer: --model_name"

    def test_without_an_argument_its_model_goes_by_the_services_name(self) -> None:
        service = isvc(address_url=TRANSFORMER, transformer=component())
        assert origin_of("transformer model name", service) == "metadata.name"


class TestProtocol:
    @pytest.mark.parametrize(
        ("predictor", "on", "protocol"),
        [
            (component(), None, "v1"),
            (None, None, "v1"),
            (component(protocol_version="v2"), None, "v2"),
            (component(protocol_version="v1"), runtime(server_type="mlserver"), "v1"),
            (component(), runtime(server_type="mlserver"), "v2"),
            (component(), runtime(server_type="triton"), "v2"),
            (component(), runtime(server_type="torchserve"), "v1"),
            (component(), runtime(server_type="mlserver", protocol_versions=("v1",)), "v2"),
            (component(model_format="triton"), None, "v2"),
            (component(model_format="mlserver"), None, "v2"),
            (component(), runtime(protocol_versions=("v2",)), "v2"),
            (component(), runtime(protocol_versions=("v2", "v1")), "v1"),
            (component(), runtime(protocol_versions=("grpc-v2", "v2")), "v2"),
            (component(), runtime(protocol_versions=("strange", "v2")), "v2"),
            (component(environment={"PROTOCOL": "V2"}), None, "v2"),
            (component(environment={"PROTOCOL": "v2"}), runtime(environment={"PROTOCOL": "v1"}), "v2"),
            (component(), runtime(environment={"PROTOCOL": "v2"}), "v2"),
            (component(environment={"PROTOCOL": "v2"}), runtime(protocol_versions=("v1",)), "v1"),
            (component(model_format="vllm"), None, "vllm"),
            (component(model_format="vllm", protocol_version="v2"), None, "vllm"),
            (component(), runtime(model_formats=("vllm",), protocol_versions=("v2",)), "vllm"),
            (component(protocol_version="v2"), runtime(model_formats=("vllm",)), "v2"),
        ],
    )
    def test_the_first_that_is_set(self, predictor: ComponentSpec | None, on: Runtime | None, protocol: str) -> None:
        assert hop_of(isvc(predictor=predictor), on).protocol == protocol

    def test_an_annotation_comes_first(self) -> None:
        service = replace(annotated(protocol="openai"), predictor=component(protocol_version="v2"))
        assert hop_of(service).protocol == "openai"
        assert origin_of("predictor protocol", service) == "annotation isvcwatch.dev/protocol"

    @pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v2", "v3", "x" * 1000])
    def test_one_that_can_not_be_asked_is_named_with_what_to_do(self, protocol: str) -> None:
        outcome = derived(isvc(predictor=component(protocol_version=protocol))).outcome
        assert isinstance(outcome, Misconfigured)
        assert outcome.reason is Reason.UNSUPPORTED_PROTOCOL
        assert "isvcwatch.dev/protocol (adding it rolls the pods)" in outcome.message
        assert len(outcome.message) < 400

    def test_an_annotation_makes_an_unsupported_one_askable(self) -> None:
        service = replace(annotated(protocol="v2"), predictor=component(protocol_version="grpc-v2"))
        assert hop_of(service).protocol == "v2"

    def test_a_runtime_is_named_as_the_origin(self) -> None:
        assert "runtime kserve-server" in origin_of("predictor protocol", isvc(), runtime(protocol_versions=("v2",)))


class TestModelName:
    @pytest.mark.parametrize(
        ("spec", "name"),
        [
            (component(), "iris"),
            (component(arguments=("--model_name=other",)), "other"),
            (component(arguments=("--model_name", "other")), "other"),
            (component(arguments=("--model-name=other",)), "other"),
            (component(arguments=("--served-model-name", "other", "--port", "80")), "other"),
            (component(arguments=("python", "-m", "server", "--model_name", "other")), "other"),
            (component(arguments=("--model_name", "first", "--model_name", "second")), "second"),
            (component(arguments=("--model_name",)), "iris"),
            (component(arguments=("--model_name=",)), "iris"),
            (component(arguments=("--model_name={{.Name}}",)), "iris"),
            (component(arguments=("--model_name", "$(NAME)")), "iris"),
            (component(arguments=("--model_names=x", "-model_name=y")), "iris"),
            (component(environment={"MLSERVER_MODEL_NAME": "env"}), "env"),
            (component(environment={"MLSERVER_MODEL_NAME": "env"}, arguments=("--model_name=argument",)), "env"),
        ],
    )
    def test_the_first_that_is_set(self, spec: ComponentSpec, name: str) -> None:
        assert hop_of(isvc(predictor=spec)).model_name == name

    def test_without_a_predictor_it_is_the_services_name(self) -> None:
        assert hop_of(isvc(predictor=None)).model_name == "iris"

    def test_an_annotation_comes_first(self) -> None:
        service = replace(annotated(model_name="mine"), predictor=component(environment={"MLSERVER_MODEL_NAME": "env"}))
        assert hop_of(service).model_name == "mine"


class TestCertainty:
    @pytest.mark.parametrize(
        ("predictor", "on", "certain"),
        [
            (component(), None, False),
            (component(("--model_name=m",)), None, True),
            (component(), runtime(arguments=("--model_name={{.Name}}",)), True),
            (component(), runtime(arguments=("--model_name={{.Labels.gone}}",)), False),
            (component(("--model_name=m",)), runtime(server_type="triton"), False),
            (component(("--model_name=m",)), runtime(server_type="torchserve"), False),
            (component(environment={"MLSERVER_MODEL_NAME": "m"}), runtime(server_type="mlserver"), False),
            (component(("--model=/mnt/models",), model_format="vllm"), None, True),
            (component(model_format="vllm"), None, False),
        ],
    )
    def test_a_name_is_certain_where_the_server_is_started_with_it(
        self, predictor: ComponentSpec, on: Runtime | None, certain: bool
    ) -> None:
        assert hop_of(isvc(predictor=predictor), on).name_certain is certain

    @pytest.mark.parametrize(
        ("predictor", "certain"),
        [
            (component(("--model=/m",), model_format="vllm"), False),
            (component(("--served-model-name=m",), model_format="vllm"), True),
            (component(("--served_model_name=m",), model_format="vllm"), True),
            (component(("--model_name=m",), model_format="huggingface"), False),
            (component(("--model_name=m",), model_format="sklearn"), True),
        ],
    )
    def test_a_runtime_that_could_not_be_read_may_have_a_flag_that_comes_first(self, predictor: ComponentSpec, certain: bool) -> None:
        assert hop_of(isvc(predictor=predictor, runtime=RuntimeKey("", "unreadable"))).name_certain is certain

    def test_an_annotation_settles_protocol_and_name(self) -> None:
        hop = hop_of(annotated(protocol="v1", model_name="m"))
        assert hop.protocol_certain
        assert hop.name_certain

    @pytest.mark.parametrize(("on", "certain"), [(runtime(server_type="triton"), True), (runtime(protocol_versions=("v2",)), False)])
    def test_a_protocol_is_certain_where_the_server_is_known(self, on: Runtime, certain: bool) -> None:
        assert hop_of(isvc(predictor=component()), on).protocol_certain is certain

    def test_sources_tell_guesses_apart(self) -> None:
        sources = {source.field: source.certain for source in derived(isvc()).sources}
        assert not sources["predictor model name"]
        assert sources["predictor URL"]
        assert sources["period"]


class TestCommandLines:
    @pytest.mark.parametrize(
        ("predictor", "on", "name"),
        [
            (component(("--model_name=own",)), runtime(arguments=("--model_name=theirs",)), "own"),
            (component(), runtime(arguments=("--model_name=theirs", "--port=1")), "theirs"),
            (component(), runtime(arguments=("--model_name={{.Annotations.team}}-{{ .Name }}",)), "a-iris"),
            (component(), runtime(arguments=("--model_name={{.Labels.kind}}",)), "sort"),
            (component(("--model_name=$(NAME)",), environment={"NAME": "given"}), None, "given"),
            (component(("--model_name=a", "--served-model-name=b"), model_format="huggingface"), None, "b"),
            (component(("--served-model-name", "first", "second"), model_format="vllm"), None, "first"),
            (component(("--model", "/mnt/models"), model_format="vllm"), None, "/mnt/models"),
            (component(("vllm", "serve", "org/model", "--port=1")), None, "org/model"),
            (component(("--model=org/other",), model_format="sklearn"), None, "iris"),
            (component(("sh", "-c", "set -e; exec vllm serve /m \\\n  --served_model_name 'a b' $@")), None, "a b"),
            (component(("bash", "-c", "server --model_name '")), None, "iris"),
        ],
    )
    def test_the_name_is_what_the_servers_own_parser_reads(self, predictor: ComponentSpec, on: Runtime | None, name: str) -> None:
        service = isvc(predictor=predictor, annotations={"team": "a"}, labels={"kind": "sort"})
        assert hop_of(service, on).model_name == name

    def test_tensorflow_serving_has_a_default(self) -> None:
        hop = hop_of(isvc(predictor=component(("/usr/bin/tensorflow_model_server", "--port=9000"))))
        assert (hop.model_name, hop.name_certain) == ("default", True)

    def test_a_command_that_runs_vllm_is_asked_as_vllm(self) -> None:
        predictor = component(("python3", "-m", "vllm.entrypoints.openai.api_server"), protocol_version="v2")
        assert hop_of(isvc(predictor=predictor)).protocol == "vllm"

    @pytest.mark.parametrize(("image", "protocol"), [("vllm/vllm-openai:v1", "vllm"), ("e/vllm@sha256:0", "vllm"), ("e/novllms:1", "v1")])
    def test_an_image_of_vllm_is_asked_as_vllm_where_nothing_else_is_said(self, image: str, protocol: str) -> None:
        assert hop_of(isvc(predictor=ComponentSpec(server=Container(image=image)))).protocol == protocol


class TestPorts:
    GRPC = Container(ports=(Port(9000, "h2c"),))

    @pytest.mark.parametrize("name", ["h2c", "grpc", "grpc-port", "http2-grpc"])
    def test_a_port_that_is_grpc_by_its_name_is_not_asked(self, name: str) -> None:
        outcome = derived(isvc(predictor=ComponentSpec(server=Container(ports=(Port(9000, name),))))).outcome
        assert isinstance(outcome, Misconfigured)
        assert outcome.reason is Reason.UNSUPPORTED_PROTOCOL
        assert "isvcwatch.dev/url" in outcome.message

    def test_a_headless_service_is_asked_at_the_port_of_its_address_whatever_is_declared(self) -> None:
        assert hop_of(isvc(address_url=PREDICTOR + ":8080", predictor=ComponentSpec(server=self.GRPC))).base_url == PREDICTOR + ":8080"
        assert isinstance(derived(isvc(address_url=PREDICTOR + ":9000", predictor=ComponentSpec(server=self.GRPC))).outcome, Misconfigured)

    def test_the_plain_port_beside_it_is_asked_in_standard_mode_only(self) -> None:
        both = ComponentSpec(server=Container(ports=(Port(9000, "h2c"), Port(8080, "http1"))))
        assert hop_of(isvc(predictor=both)).base_url == PREDICTOR + ":8080"
        assert isinstance(derived(isvc(predictor=both, mode=DeploymentMode.KNATIVE)).outcome, Misconfigured)

    def test_an_annotation_comes_first(self) -> None:
        service = replace(annotated(url="http://x.models.svc:9000"), predictor=ComponentSpec(server=self.GRPC))
        assert hop_of(service).base_url == "http://x.models.svc:9000"

    def test_the_runtimes_port_is_asked_about_too(self) -> None:
        on = replace(runtime(), server=self.GRPC)
        assert isinstance(derived(isvc(predictor=ComponentSpec()), on).outcome, Misconfigured)

    @pytest.mark.parametrize(
        ("path", "port", "declared", "found"),
        [("/ok", 8080, (), "/ok"), ("/ok", "web", (Port(5000, "web"),), "/ok"), ("/ok", 8085, (Port(5000),), ""), ("/ok", "no", (), "")],
    )
    def test_a_readiness_route_counts_where_it_is_reached_at_the_same_port(
        self, path: str, port: int | str, declared: tuple[Port, ...], found: str
    ) -> None:
        server = Container(ports=declared, ready=ReadyRoute(path, port))
        assert hop_of(isvc(predictor=ComponentSpec(server=server))).ready_path == found


class TestTLS:
    """What the container says of TLS, where KServe's address says http."""

    BY_PROBE = Container(ready=ReadyRoute("/ok", 8080, "https"))
    CERTIFICATE = ("--ssl-certfile=/tls/tls.crt", "--ssl-keyfile", "/tls/tls.key")

    @pytest.mark.parametrize(
        ("server", "why"),
        [
            (BY_PROBE, "spec.predictor: readinessProbe with scheme HTTPS"),
            (Container(ports=(Port(9000, "web"),), ready=ReadyRoute("/", "web", "https")), "readinessProbe with scheme HTTPS"),
            (Container(args=CERTIFICATE), "spec.predictor: --ssl-"),
            (Container(args=("--ssl_certfile", "/tls/tls.pem")), "spec.predictor: --ssl_certfile"),
            (Container(args=("--ssl-cert-file", "/c", "--ssl-key-file", "/k")), "spec.predictor: --ssl-"),
            (Container(environment={"NIM_SSL_MODE": "tls"}), "spec.predictor: env NIM_SSL_MODE"),
            (Container(environment={"KSERVE_TLS_CERT_FILE": "/tls/tls.crt"}), "spec.predictor: env KSERVE_TLS_CERT_FILE"),
            (Container(ports=(Port(8443, "https-api"),)), "spec.predictor: port https-api"),
        ],
    )
    def test_it_is_asked_by_https_at_the_same_port_and_its_origin_is_told(self, server: Container, why: str) -> None:
        service = isvc(predictor=ComponentSpec(server=server))
        hop = hop_of(service)
        assert (hop.base_url, hop.tls_by_spec, hop.verified) == (PREDICTOR.replace("http:", "https:") + ":80", True, True)
        assert hop.other_urls[0] == PREDICTOR
        assert why in origin_of("predictor URL", service)

    def test_a_runtimes_flags_count(self) -> None:
        on = runtime(arguments=self.CERTIFICATE)
        assert hop_of(isvc(), on).tls_by_spec
        assert "runtime kserve-server: --ssl-" in origin_of("predictor URL", isvc(), on)

    @pytest.mark.parametrize(
        "server",
        [
            Container(),
            Container(environment={"NIM_SSL_MODE": "disabled"}),
            Container(ready=ReadyRoute("/ok", 9090, "https")),
            Container(args=CERTIFICATE, ready=ReadyRoute("/ok", 8080)),
            Container(ports=(Port(8080, "http"), Port(8443, "https"))),
        ],
        ids=["nothing", "NIM's off", "another port's probe", "the kubelet asks by http", "another port's name"],
    )
    def test_it_is_asked_as_kserve_says_where_nothing_speaks_for_tls_at_that_port(self, server: Container) -> None:
        hop = hop_of(isvc(predictor=ComponentSpec(server=server)))
        assert (hop.base_url, hop.tls_by_spec) == (PREDICTOR, False)

    def test_an_annotation_a_gateway_another_mode_and_kserves_own_https_are_left_as_they_are(self) -> None:
        spec = ComponentSpec(server=self.BY_PROBE)
        for service in (
            replace(annotated(url="http://x.models.svc"), predictor=spec),
            isvc(predictor=spec, address_url="", url="http://iris.example.com"),
            isvc(predictor=spec, mode=DeploymentMode.KNATIVE),
            isvc(predictor=spec, address_url=PREDICTOR.replace("http:", "https:")),
        ):
            assert not hop_of(service).tls_by_spec

    def test_the_containers_own_https_route_can_be_asked_then(self) -> None:
        assert hop_of(isvc(predictor=ComponentSpec(server=self.BY_PROBE))).ready_path == "/ok"

    def test_a_headless_address_keeps_its_port(self) -> None:
        service = isvc(address_url=PREDICTOR + ":8080", predictor=ComponentSpec(server=self.BY_PROBE))
        assert hop_of(service).base_url == PREDICTOR.replace("http:", "https:") + ":8080"


class TestOddAddresses:
    @pytest.mark.parametrize("route", ["/v1/models/iris:predict", "/v2/models/iris/infer", "/v2/models/iris/versions/1/infer"])
    def test_an_inference_route_at_the_end_is_no_part_of_the_base(self, route: str) -> None:
        assert hop_of(isvc(address_url=PREDICTOR + route)).base_url == PREDICTOR

    def test_a_service_that_kserve_does_not_make_is_a_guess(self) -> None:
        hop = hop_of(isvc(address_url="http://iris.models.svc.cluster.local"))
        assert not hop.address_certain
        assert PREDICTOR in hop.other_urls
        assert "http://iris-predictor-default.models.svc.cluster.local" in hop.other_urls

    def test_in_knative_mode_it_is_what_knative_makes(self) -> None:
        hop = hop_of(isvc(address_url="http://iris.models.svc.cluster.local", mode=DeploymentMode.KNATIVE))
        assert hop.address_certain
        assert not hop.other_urls

    def test_a_headless_address_may_name_the_wrong_port(self) -> None:
        hop = hop_of(isvc(address_url=PREDICTOR + ":8080", predictor=component(port=8888)))
        assert hop.other_urls == (PREDICTOR + ":8888",)

    def test_a_named_predictor_has_a_service_of_that_name(self) -> None:
        service = isvc(address_url=TRANSFORMER, transformer=ComponentSpec(), predictor=ComponentSpec(name="stable"))
        assert target_of(service).hops[1].base_url == "http://iris-stable-predictor.models.svc.cluster.local"

    def test_a_predictor_behind_its_own_proxy_is_asked_there(self) -> None:
        annotations = {"security.opendatahub.io/enable-auth": "true"}
        service = isvc(address_url=TRANSFORMER, transformer=ComponentSpec(), annotations=annotations)
        assert target_of(service).hops[1].base_url == "https://iris-predictor.models.svc.cluster.local:8443"

    def test_a_collocated_transformer_is_what_is_asked(self) -> None:
        predictor = ComponentSpec(server=TestPorts.GRPC, collocated=container(("--model_name=outer",), 8080))
        hop = hop_of(isvc(predictor=predictor))
        assert (hop.base_url, hop.model_name) == (PREDICTOR, "outer")

    @pytest.mark.parametrize(("autoscaler", "sleeps"), [("external", True), ("KEDA", True), ("hpa", False), ("none", False)])
    def test_an_autoscaler_of_others_may_have_taken_it_to_zero(self, autoscaler: str, sleeps: bool) -> None:
        service = isvc(annotations={"serving.kserve.io/autoscalerClass": autoscaler})
        assert hop_of(service).may_sleep is sleeps


class TestPolicy:
    def test_the_settings_hold_where_no_annotation_says_otherwise(self) -> None:
        defaults = ProbePolicy(period=7.0)
        outcome = derive(annotated(failure_threshold="5"), None, defaults).outcome
        assert isinstance(outcome, Target)
        assert outcome.policy == replace(defaults, failure_threshold=5)

    def test_its_origin_is_told(self) -> None:
        service = annotated(failure_threshold="5")
        assert origin_of("failure threshold", service) == "annotation"
        assert origin_of("period", service) == "settings"

    def test_a_wrong_annotation_makes_it_misconfigured(self) -> None:
        outcome = derived(annotated(period_seconds="soon")).outcome
        assert isinstance(outcome, Misconfigured)
        assert outcome.reason is Reason.INVALID_ANNOTATION
        assert "isvcwatch.dev/period-seconds: 'soon'" in outcome.message

    def test_an_annotation_that_means_nothing_is_shown_as_ignored(self) -> None:
        (ignored,) = (source for source in derived(annotated(perod="5")).sources if source.field == "ignored")
        assert ignored.value == "isvcwatch.dev/perod"


class TestGrace:
    COMING = Condition("Ready", "False", "InProgress")
    CREATED = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def seconds_of(self, *conditions: Condition, server: Container | None = None, **annotations: str) -> float | None:
        """Seconds from the service's creation in which it may be starting."""
        found = derived(self.service(*conditions, server=server, **annotations)).starts_until
        return (found - self.CREATED).total_seconds() if found else None

    def service(self, *conditions: Condition, server: Container | None = None, **annotations: str) -> InferenceService:
        spec = ComponentSpec(server=server or Container())
        return replace(annotated(**annotations), created=self.CREATED, conditions=conditions, predictor=spec)

    def test_a_service_that_is_coming_has_ten_minutes_from_its_creation(self) -> None:
        assert self.seconds_of(self.COMING) == 600
        assert origin_of("may start until", self.service(self.COMING)).startswith("600 s from metadata.creationTimestamp")

    def test_or_as_long_as_its_container_says(self) -> None:
        assert self.seconds_of(self.COMING, server=Container(startup=1200)) == 1200
        assert self.seconds_of(self.COMING, server=Container(startup=5)) == 5

    def test_after_a_stop_it_counts_from_the_new_start(self) -> None:
        started = Condition("Stopped", "False", last_transition_time="2026-11-23T13:00:00Z")
        assert self.seconds_of(self.COMING, started) == 3600 + 600
        assert self.seconds_of(self.COMING, replace(started, last_transition_time="soon")) == 600
        assert self.seconds_of(self.COMING, replace(started, last_transition_time="2026-11-23T11:00:00Z")) == 600

    def test_what_kserve_calls_ready_is_to_be_proven_at_once(self) -> None:
        assert self.seconds_of(Condition("Ready", "True")) is None
        assert self.seconds_of() is None

    def test_a_turn_of_kserves_ready_changes_nothing_of_the_target(self) -> None:
        assert derived(self.service(self.COMING)).outcome == derived(self.service(Condition("Ready", "True"))).outcome

    def test_an_annotation_comes_first(self) -> None:
        assert self.seconds_of(self.COMING, startup_failure_threshold="7") is None
        assert target_of(self.service(self.COMING, startup_failure_threshold="7")).policy.patience == 7


def canary(name: str, spec: ComponentSpec, **fields: Any) -> Canary:  # noqa: ANN401 -- any field
    return Canary(replace(spec, name=name), **fields)


class TestCanaries:
    STABLE = component(model_format="sklearn")
    ON = RuntimeKey("", "kserve-server")

    def hops_of(self, *canaries: Canary, on: Runtime | None = None, **changes: Any) -> list[Hop]:  # noqa: ANN401 -- any field
        return list(target_of(isvc(predictor=self.STABLE, canaries=canaries, runtime=self.ON, **changes), on).hops)

    def test_each_that_gets_traffic_is_asked_at_its_own_service(self) -> None:
        hops = self.hops_of(canary("v2", self.STABLE, traffic=20, ready=True), canary("v3", self.STABLE, traffic=30, ready=True))
        assert [(hop.part, hop.base_url) for hop in hops] == [
            ("predictor", PREDICTOR),
            ("canary v2", "http://iris-v2-predictor.models.svc.cluster.local"),
            ("canary v3", "http://iris-v3-predictor.models.svc.cluster.local"),
        ]
        assert all(hop.own_host and hop.address_certain for hop in hops)

    def test_one_that_gets_none_is_not_asked(self) -> None:
        assert len(self.hops_of(canary("v2", self.STABLE))) == 1

    def test_there_are_none_but_in_standard_mode_and_at_no_annotated_address(self) -> None:
        one = canary("v2", self.STABLE, traffic=20, ready=True)
        assert len(self.hops_of(one, mode=DeploymentMode.KNATIVE)) == 1
        assert len(self.hops_of(one, annotations={overrides.URL: "http://elsewhere.models.svc"})) == 1

    def test_it_speaks_as_its_own_spec_and_runtime_say(self) -> None:
        v2 = runtime(protocol_versions=("v2",), arguments=["--model_name={{.Name}}"])
        alike = canary("a", self.STABLE, traffic=10, ready=True)
        another = canary("b", self.STABLE, runtime="another-server", traffic=10, ready=True)
        own = canary("c", component(["--model_name=mine"], 9000), traffic=10, ready=True)
        stable, *canaries = self.hops_of(alike, another, own, on=v2)
        assert (canaries[0].protocol, canaries[0].model_name, canaries[0].name_certain) == (stable.protocol, "iris", True)
        assert not canaries[1].name_certain
        assert (canaries[2].model_name, canaries[2].name_certain) == ("mine", True)

    def test_one_that_kserve_calls_not_ready_has_its_time_to_start(self) -> None:
        slow = component(model_format="sklearn")
        slow = replace(slow, server=replace(slow.server, startup=90.0))
        canaries = [canary("a", self.STABLE, traffic=10, ready=True), canary("b", self.STABLE, traffic=10), canary("c", slow, traffic=10)]
        assert [hop.grace for hop in self.hops_of(*canaries)] == [0.0, 0.0, 600.0, 90.0]

    def test_a_turn_of_its_readiness_changes_nothing_of_the_target(self) -> None:
        assert self.hops_of(canary("a", self.STABLE, traffic=10)) == self.hops_of(canary("a", self.STABLE, traffic=10, ready=True))

    def test_each_value_says_where_it_comes_from(self) -> None:
        service = isvc(predictor=self.STABLE, canaries=(canary("v2", self.STABLE, traffic=20),), runtime=self.ON)
        assert origin_of("canary v2 URL", service).startswith("the Service that KServe's Standard mode makes")
        assert origin_of("canary v2 model name", service)

    def test_one_that_can_not_be_asked_is_named_and_the_others_are_asked(self) -> None:
        grpc = replace(self.STABLE, server=Container(ports=(Port(9000, "grpc"),)))
        canaries = (canary("v2", grpc, traffic=20), canary("v3", self.STABLE, traffic=20))
        service = isvc(predictor=self.STABLE, canaries=canaries, runtime=self.ON)
        assert [hop.part for hop in target_of(service).hops] == ["predictor", "canary v3"]
        assert derived(service).note.startswith("canary v2 not asked: the predictor is reached at port 'grpc' (9000)")

    @pytest.mark.parametrize(
        ("traffic", "note"),
        [((40, 60), "the stable predictor gets no traffic"), ((40, 59), ""), ((100,), "the stable predictor gets no traffic")],
    )
    def test_a_stable_predictor_that_gets_no_traffic_is_said_to_have_none(self, traffic: tuple[int, ...], note: str) -> None:
        canaries = tuple(canary(f"v{n}", self.STABLE, traffic=part) for n, part in enumerate(traffic))
        assert derived(isvc(predictor=self.STABLE, canaries=canaries, runtime=self.ON)).note == note


def test_a_target_carries_the_services_identity() -> None:
    target = target_of(isvc())
    assert (target.uid, target.namespace, target.name) == ("uid-of-iris", "models", "iris")


def test_the_same_object_derives_the_same() -> None:
    assert derived(isvc(), runtime(port=1)) == derived(isvc(), runtime(port=1))


def test_the_first_condition_of_a_type_is_the_one_that_counts() -> None:
    assert isvc(conditions=None).condition("Ready") is None
