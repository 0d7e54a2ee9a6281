"""The CRDs behave as KServe's where a watcher meets them; ISVC_CRD_DIR puts KServe's own to the same test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rig import kserve_status
from rig.cluster import ApiError

if TYPE_CHECKING:
    from rig.cluster import Cluster

OURS = {
    "type": "ModelReady",
    "status": "False",
    "severity": "Info",
    "reason": "ModelNotReady",
    "message": "503",
    "lastTransitionTime": kserve_status.TIME,
}


@pytest.fixture
def iris(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return cluster.create_isvc(kserve_status.isvc("iris", namespace), kserve_status.ready("iris", namespace))


def test_a_status_as_kserve_writes_it_is_kept_whole(cluster: Cluster, namespace: str) -> None:
    for number, status in enumerate(
        [
            kserve_status.progressing("iris", namespace),
            kserve_status.ready("iris", namespace),
            kserve_status.failed_rollout("iris", namespace),
            kserve_status.with_transformer("iris", namespace),
            kserve_status.with_canary("iris", namespace),
            kserve_status.stopped(),
            kserve_status.unknown_runtime(),
            kserve_status.knative_ready("iris", namespace),
        ]
    ):
        created = cluster.create_isvc(kserve_status.isvc(f"iris-{number}", namespace), status)
        assert created["status"] == status


def test_a_condition_loses_the_fields_that_the_schema_does_not_name(cluster: Cluster, iris: dict[str, Any]) -> None:
    iris["status"]["conditions"].append({**OURS, "observedGeneration": 1, "lastProbeTime": kserve_status.TIME})
    assert cluster.put_status(iris)["status"]["conditions"][-1] == OURS


def test_the_list_of_conditions_is_replaced_whole_by_server_side_apply(cluster: Cluster, namespace: str, iris: dict[str, Any]) -> None:
    path = f"{cluster.path_of(iris)}/status"
    manifest = {"apiVersion": iris["apiVersion"], "kind": iris["kind"], "metadata": {"name": "iris", "namespace": namespace}}
    applied = cluster.request(
        "PATCH",
        path,
        {**manifest, "status": {"conditions": [OURS]}},
        params={"fieldManager": "other", "force": "true"},
        content_type="application/apply-patch+yaml",
    )
    assert applied["status"]["conditions"] == [OURS]


@pytest.mark.parametrize("missing", ["type", "status"])
def test_a_condition_needs_a_type_and_a_status(cluster: Cluster, iris: dict[str, Any], missing: str) -> None:
    iris["status"]["conditions"].append({key: value for key, value in OURS.items() if key != missing})
    with pytest.raises(ApiError, match="Required value") as refused:
        cluster.put_status(iris)
    assert refused.value.code == 422


def test_a_wrong_transition_time_is_let_through(cluster: Cluster, iris: dict[str, Any]) -> None:
    """KServe's own schema does not check it, although its controller chokes on it: ours to get right."""
    iris["status"]["conditions"].append({**OURS, "lastTransitionTime": "yesterday"})
    assert cluster.put_status(iris)["status"]["conditions"][-1]["lastTransitionTime"] == "yesterday"


def test_the_status_changes_by_its_subresource_only(cluster: Cluster, namespace: str, iris: dict[str, Any]) -> None:
    cluster.patch_isvc(namespace, "iris", {"status": {"url": "http://elsewhere"}})
    assert cluster.get_isvc(namespace, "iris")["status"] == iris["status"]
    iris["spec"]["predictor"]["minReplicas"] = 3
    written = cluster.put_status(iris)
    assert "minReplicas" not in written["spec"]["predictor"]
    assert written["metadata"]["generation"] == 1


def test_an_old_resource_version_is_a_conflict(cluster: Cluster, iris: dict[str, Any]) -> None:
    iris["status"]["url"] = "http://first"
    cluster.put_status(iris)
    iris["status"]["url"] = "http://second"
    with pytest.raises(ApiError) as refused:
        cluster.put_status(iris)
    assert refused.value.code == 409


def test_an_identical_status_makes_no_new_version(cluster: Cluster, iris: dict[str, Any]) -> None:
    assert cluster.put_status(iris)["metadata"]["resourceVersion"] == iris["metadata"]["resourceVersion"]


def test_a_predictor_is_required(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(ApiError, match=r"spec\.predictor"):
        cluster.create_isvc(kserve_status.isvc("iris", namespace, spec={"transformer": {}}))


def test_kserve_keeps_the_conditions_of_others_and_a_stop_wipes_them(cluster: Cluster, namespace: str, iris: dict[str, Any]) -> None:
    iris["status"]["conditions"].append(OURS)
    cluster.put_status(iris)
    cluster.write_status(namespace, "iris", kserve_status.pod_lost("iris", namespace))
    assert cluster.conditions(namespace, "iris")["ModelReady"] == OURS
    cluster.write_status(namespace, "iris", kserve_status.stopped())
    assert set(cluster.conditions(namespace, "iris")) == {"PredictorReady", "Ready", "Stopped"}


def test_kubectl_prints_kserves_columns(cluster: Cluster, namespace: str, iris: dict[str, Any]) -> None:
    table = cluster.table(f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices")
    columns = [column["name"] for column in table["columnDefinitions"] if not column["priority"]]
    assert columns == ["Name", "URL", "Ready", "Prev", "Latest", "PrevRolledoutRevision", "LatestReadyRevision", "Age"]
    assert table["rows"][0]["cells"][:3] == ["iris", iris["status"]["url"], "True"]


@pytest.mark.parametrize("kind", ["ServingRuntime", "ClusterServingRuntime"])
def test_runtimes_keep_what_the_operator_reads_of_them(cluster: Cluster, namespace: str, kind: str) -> None:
    spec = {
        "protocolVersions": ["v2", "grpc-v2"],
        "supportedModelFormats": [{"name": "sklearn", "version": "1", "autoSelect": True, "priority": 1}],
        "containers": [{"name": "kserve-container", "image": "example.com/mlserver:1", "args": ["--x"]}],
    }
    metadata = {"name": f"runtime-{namespace}", "namespace": namespace}
    if kind == "ClusterServingRuntime":
        del metadata["namespace"]
    manifest = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    [applied] = cluster.apply(manifest)
    cluster.delete(manifest)
    assert applied["spec"] == spec
