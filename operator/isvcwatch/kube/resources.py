"""The API resources that are read or written, and the RBAC rule that each use of them needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the API, by group, version and plural, perhaps with a subresource."""

    group: str
    version: str
    plural: str
    subresource: str = ""
    namespaced: bool = True

    def __str__(self) -> str:
        """The resource as kubectl and RBAC messages write it."""
        return f"{self.plural}{'/' if self.subresource else ''}{self.subresource}{'.' if self.group else ''}{self.group}"

    def rule(self, verb: str) -> str:
        """The RBAC rule that allows the verb, for people to add to the (Cluster)Role of the service account."""
        plural = f"{self.plural}/{self.subresource}" if self.subresource else self.plural
        return f'add the RBAC rule {{apiGroups: ["{self.group}"], resources: ["{plural}"], verbs: ["{verb}"]}}'


def path_of(resource: Resource, namespace: str = "", name: str = "") -> str:
    """The path of a resource's objects in the API, of one namespace or, if none is named, of all; or of one object."""
    parts = ["apis", resource.group, resource.version] if resource.group else ["api", resource.version]
    if namespace and resource.namespaced:
        parts += ["namespaces", namespace]
    parts += [part for part in (resource.plural, name, resource.subresource) if part]
    return "/" + "/".join(quote(part, safe="") for part in parts)


INFERENCE_SERVICES: Final = Resource("serving.kserve.io", "v1beta1", "inferenceservices")
INFERENCE_SERVICE_STATUS: Final = Resource("serving.kserve.io", "v1beta1", "inferenceservices", "status")
SERVING_RUNTIMES: Final = Resource("serving.kserve.io", "v1alpha1", "servingruntimes")
CLUSTER_SERVING_RUNTIMES: Final = Resource("serving.kserve.io", "v1alpha1", "clusterservingruntimes", namespaced=False)
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices")
NAMESPACES: Final = Resource("", "v1", "namespaces", namespaced=False)
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments")
EVENTS: Final = Resource("", "v1", "events")
