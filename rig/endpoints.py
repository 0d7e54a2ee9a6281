"""EndpointSlices as Kubernetes' controller writes them for KServe's Services; none runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rig.kserve_status import Manifest

OWNER = "serving.kserve.io/inferenceservice"
NODES = ("node-a", "node-b")


def endpoint_slice(
    isvc: str, namespace: str, *ready: bool, service: str = "", ending: bool = False, address_type: str = "IPv4"
) -> Manifest:
    """The slice of a Service of an InferenceService.

    Args:
        isvc: the InferenceService's name.
        namespace: the namespace of all.
        ready: whether each of the Service's pods is ready; none for a selector that finds nothing.
        service: the Service's name; by default, the predictor's.
        ending: whether the pods are being deleted.
        address_type: IPv4 or IPv6; a Service with both has a slice of each.
    """
    service = service or f"{isvc}-predictor"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-{address_type.lower()}",
            "namespace": namespace,
            "labels": {
                OWNER: isvc,
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": address_type,
        "ports": [{"name": service, "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [f"10.1.0.{number + 1}" if address_type == "IPv4" else f"fd00::{number + 1}"],
                "conditions": {"ready": is_ready and not ending, "serving": is_ready, "terminating": ending},
                "nodeName": NODES[number % len(NODES)],
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"{service}-6d9f-{number}"},
            }
            for number, is_ready in enumerate(ready)
        ],
    }
