"""The manifests against a real API server: it takes every field, admits the pod, and lets the account do no more than it must."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from rig.cluster import ApiError
from tests.shipping.shipped import ALERTS, BASE, NAMESPACED

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.cluster import Cluster
    from tests.integration.shipping.conftest import Kubectl

pytestmark = pytest.mark.real

NAMESPACE = "isvcwatch-system"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:isvcwatch"


def may(admin: Cluster, user: str, verb: str, resource: str, namespace: str) -> bool:
    """What the API server answers about RESOURCE.GROUP/SUBRESOURCE."""
    whole, _, subresource = resource.partition("/")
    plural, _, group = whole.partition(".")
    asked = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": namespace}
    review = {"kind": "SubjectAccessReview", "spec": {"user": user, "resourceAttributes": asked}}
    given = admin.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(given["status"]["allowed"])


def test_one_command_installs_it_all_without_a_warning(installed: str) -> None:
    assert sorted(line.split("/")[0].split(".")[0] for line in installed.splitlines()) == [
        "clusterrole",
        "clusterrolebinding",
        "deployment",
        "namespace",
        "service",
        "serviceaccount",
    ]
    assert all(line.endswith(" created") for line in installed.splitlines())


@pytest.mark.usefixtures("installed")
def test_the_same_command_again_changes_nothing(kubectl: Kubectl) -> None:
    code, said = kubectl.apply("-k", BASE)
    assert code == 0, said
    assert all(line.endswith(" unchanged") for line in said.splitlines()), said


@pytest.mark.usefixtures("installed")
def test_a_field_that_the_api_server_does_not_know_is_refused(kubectl: Kubectl, deployment: dict[str, Any]) -> None:
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    code, said = kubectl.apply("-f", "-", stdin=json.dumps(deployment))
    assert code != 0
    assert 'unknown field "spec.template.spec.containers[0].readinesProbe"' in said


@pytest.mark.usefixtures("installed_namespaced")
def test_the_namespaced_overlay_installs_into_an_existing_namespace_and_nowhere_else(kubectl: Kubectl, admin: Cluster) -> None:
    objects = kubectl.render(NAMESPACED)
    assert sorted(item["kind"] for item in objects) == ["Deployment", "Role", "RoleBinding", "Service", "ServiceAccount"]
    assert {item["metadata"]["namespace"] for item in objects} == {"models"}
    account = "system:serviceaccount:models:isvcwatch"
    assert may(admin, account, "list", "inferenceservices.serving.kserve.io", "models")
    assert not may(admin, account, "list", "inferenceservices.serving.kserve.io", "default")


def test_the_alerts_render_into_the_operators_namespace(kubectl: Kubectl) -> None:
    # Applying them takes the Prometheus Operator's CRDs; tests/shipping looks at their shape.
    objects = kubectl.render(ALERTS)
    assert sorted(item["kind"] for item in objects) == ["PrometheusRule", "ServiceMonitor"]
    assert {item["metadata"]["namespace"] for item in objects} == {NAMESPACE}


def a_pod(deployment: dict[str, Any], name: str) -> dict[str, Any]:
    template = copy.deepcopy(deployment["spec"]["template"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}


@pytest.mark.usefixtures("installed")
def test_the_deployments_pod_is_admitted_under_pod_security_restricted(admin: Cluster, deployment: dict[str, Any]) -> None:
    pod = a_pod(deployment, "as-shipped")
    try:
        created = admin.request("POST", PODS, pod)
    finally:
        admin.delete(pod | {"metadata": {"name": "as-shipped", "namespace": NAMESPACE}})
    assert created["spec"]["serviceAccountName"] == "isvcwatch"
    assert created["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def as_root(spec: dict[str, Any]) -> None:
    spec["securityContext"]["runAsUser"] = 0


def with_capabilities(spec: dict[str, Any]) -> None:
    spec["containers"][0]["securityContext"]["capabilities"] = {}


def with_escalation(spec: dict[str, Any]) -> None:
    del spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"]


def without_seccomp(spec: dict[str, Any]) -> None:
    del spec["securityContext"]["seccompProfile"]


def on_the_nodes_network(spec: dict[str, Any]) -> None:
    spec["hostNetwork"] = True


@pytest.mark.parametrize(
    ("changed", "objection"),
    [
        (as_root, "runAsUser=0"),
        (with_capabilities, "unrestricted capabilities"),
        (with_escalation, "allowPrivilegeEscalation != false"),
        (without_seccomp, "seccompProfile"),
        (on_the_nodes_network, "host namespaces"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_pod_with_more_rights_is_refused_there(
    admin: Cluster, deployment: dict[str, Any], changed: Callable[[dict[str, Any]], None], objection: str
) -> None:
    pod = a_pod(deployment, changed.__name__.replace("_", "-"))
    changed(pod["spec"])
    with pytest.raises(ApiError, match=objection) as refused:
        admin.request("POST", PODS, pod)
    assert refused.value.code == 403
    assert 'violates PodSecurity "restricted' in str(refused.value)


@pytest.mark.parametrize(
    ("verb", "resource", "answer"),
    [
        ("list", "inferenceservices.serving.kserve.io", "yes"),
        ("patch", "inferenceservices.serving.kserve.io/status", "yes"),
        ("create", "events", "yes"),
        ("patch", "inferenceservices.serving.kserve.io", "no"),
        ("update", "inferenceservices.serving.kserve.io/status", "no"),
        ("update", "inferenceservices.serving.kserve.io/finalizers", "no"),
        ("delete", "inferenceservices.serving.kserve.io", "no"),
        ("get", "secrets", "no"),
        ("list", "configmaps", "no"),
        ("list", "pods", "no"),
        ("create", "serviceaccounts/token", "no"),
        ("patch", "clusterroles.rbac.authorization.k8s.io", "no"),
        ("delete", "events", "no"),
        ("create", "events.events.k8s.io", "no"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_the_account_may_do_what_it_must_and_nothing_else(admin: Cluster, verb: str, resource: str, answer: str) -> None:
    assert may(admin, ACCOUNT, verb, resource, "default") is (answer == "yes")
