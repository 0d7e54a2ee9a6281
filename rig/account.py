"""The account that the operator ships with: its namespace, ServiceAccount and role, out of the manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rig.cluster import documents

if TYPE_CHECKING:
    from rig.cluster import Cluster

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests" / "base"
NAMESPACE = "isvcwatch-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:isvcwatch"


def install_account(cluster: Cluster) -> str:
    """Apply the shipped namespace, service account and role; a token of that account."""
    files = [MANIFESTS / name for name in ("namespace.yaml", "serviceaccount.yaml", "rbac.yaml")]
    manifests = [document for file in files for document in documents(file)]
    for manifest in manifests:
        if manifest["kind"] == "ServiceAccount":  # kustomize puts it there
            manifest["metadata"]["namespace"] = NAMESPACE
    cluster.apply(*manifests)
    return cluster.create_token(NAMESPACE, "isvcwatch")
