"""The manifests fit together, and fit the project."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from isvcwatch import settings
from isvcwatch.kube import resources
from isvcwatch.version import __version__
from tests.shipping.shipped import BASE, MANIFESTS, NAMESPACED, ROOT, allowed, kustomization, objects, one

if TYPE_CHECKING:
    from pathlib import Path

    from isvcwatch.kube.resources import Resource

DEPLOYMENT = one(BASE, "Deployment")
POD = DEPLOYMENT["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]


@pytest.mark.parametrize("folder", [BASE, NAMESPACED], ids=lambda folder: folder.name)
def test_the_version_is_the_projects(folder: Path) -> None:
    (labels,) = kustomization(folder)["labels"]
    assert labels["pairs"]["app.kubernetes.io/version"] == __version__


def test_the_image_is_the_projects_own_version() -> None:
    assert kustomization(BASE)["images"] == [{"name": CONTAINER["image"], "newTag": __version__}]


def test_there_is_never_a_second_writer() -> None:
    assert DEPLOYMENT["spec"]["replicas"] == 1
    assert DEPLOYMENT["spec"]["strategy"] == {"type": "Recreate"}


def test_deployment_and_service_choose_the_pods_of_the_template() -> None:
    labels = POD["metadata"]["labels"].items()
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= labels
    assert one(BASE, "Service")["spec"]["selector"].items() <= labels


def test_probes_and_the_service_reach_the_port_that_the_operator_binds() -> None:
    (port,) = CONTAINER["ports"]
    environment = {item["name"]: item.get("value") for item in CONTAINER["env"]}
    assert settings.bind(environment["ISVCWATCH_HTTP_BIND"]) == ("", port["containerPort"])  # both families
    paths = {probe: CONTAINER[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {CONTAINER[probe]["httpGet"]["port"] for probe in paths} == {port["name"]}
    assert [item["targetPort"] for item in one(BASE, "Service")["spec"]["ports"]] == [port["name"]]


def test_every_variable_in_the_manifests_is_a_setting() -> None:
    known = {option.variable for option in settings.RUN_OPTIONS}
    text = "".join(file.read_text() for file in MANIFESTS.rglob("*.yaml"))
    named = {word for word in text.replace(":", " ").split() if word.startswith("ISVCWATCH_") and "=" not in word}
    assert named
    assert named <= known


def test_no_service_becomes_a_setting() -> None:
    # A Service `isvcwatch` in the namespace would give every pod an ISVCWATCH_PORT.
    assert POD["spec"]["enableServiceLinks"] is False


def test_the_token_is_asked_for_by_the_pod_alone() -> None:
    assert POD["spec"]["automountServiceAccountToken"] is True
    assert one(BASE, "ServiceAccount")["automountServiceAccountToken"] is False


def test_the_cluster_may_choose_the_user_and_else_it_is_the_images_own_and_not_root() -> None:
    """OpenShift refuses a pod that names its user, since each namespace has a range of its own.

    The image's is a number, since the kubelet can't tell that a name isn't root.
    """
    for context in (POD["spec"]["securityContext"], CONTAINER["securityContext"]):
        assert not context.keys() & {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert re.search(r"^USER [1-9][0-9]*:[1-9][0-9]*$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_memory_is_bounded_and_the_cpu_is_not_throttled() -> None:
    assert set(CONTAINER["resources"]["requests"]) == {"cpu", "memory"}
    assert set(CONTAINER["resources"]["limits"]) == {"memory"}


def rules(resource: Resource, *verbs: str) -> set[tuple[str, str, str]]:
    plural = f"{resource.plural}/{resource.subresource}" if resource.subresource else resource.plural
    return {(resource.group, plural, verb) for verb in verbs}


USED = {
    *rules(resources.INFERENCE_SERVICES, "get", "list", "watch"),
    *rules(resources.INFERENCE_SERVICE_STATUS, "patch"),
    *rules(resources.SERVING_RUNTIMES, "list", "watch"),
    *rules(resources.CLUSTER_SERVING_RUNTIMES, "list", "watch"),
    *rules(resources.ENDPOINT_SLICES, "list", "watch"),
    *rules(resources.NAMESPACES, "get"),
    *rules(resources.EVENTS, "create"),
}


def test_the_cluster_role_allows_what_is_used_and_nothing_else() -> None:
    assert allowed(one(BASE, "ClusterRole")) == USED


def test_the_role_for_one_namespace_is_the_same_less_what_only_a_cluster_has() -> None:
    assert allowed(one(NAMESPACED, "Role")) == USED - rules(resources.CLUSTER_SERVING_RUNTIMES, "list", "watch")


@pytest.mark.parametrize("folder", [BASE, NAMESPACED], ids=lambda folder: folder.name)
def test_the_binding_binds_the_role_beside_it_to_the_account_of_the_pod(folder: Path) -> None:
    (role, binding) = [item for item in objects(folder) if item["kind"].endswith(("Role", "RoleBinding"))]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]}
    (subject,) = binding["subjects"]
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", POD["spec"]["serviceAccountName"])


@pytest.mark.parametrize("item", [*objects(BASE), *objects(NAMESPACED)], ids=lambda item: item["kind"])
def test_every_object_says_what_it_belongs_to(item: dict[str, Any]) -> None:
    assert item["metadata"]["labels"]["app.kubernetes.io/name"] == "isvcwatch"
