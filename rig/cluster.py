"""What tests and the demo do to a cluster: objects in, statuses as KServe's controller would write them, Events out."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import httpx
import yaml

from rig import kserve_status, kubeconfig
from rig.process import RigError, wait_until

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rig.kserve_status import Manifest

CRDS = Path(__file__).resolve().parent / "crds"
ISVC = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
CONFLICT = 409
NOT_FOUND = 404
RETRIES = 10
# PyYAML's own loader takes half a minute for KServe's CRDs; libyaml's takes a second.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ApiError(RuntimeError):
    """The API server refused: `code` is HTTP's, `reason` Kubernetes' (`Forbidden`, `Conflict`, ...)."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason


def documents(path: Path) -> list[Manifest]:
    """The objects in a YAML file."""
    with path.open() as file:
        return [document for document in yaml.load_all(file, YAML_LOADER) if document]


class Cluster:
    """One user's synchronous view of an API server. Close it, or use it in a `with` block."""

    def __init__(self, config: Path, context: str | None = None) -> None:
        access = kubeconfig.read(config, context)
        self.kubeconfig = config
        self._http = httpx.Client(base_url=access.server, headers=access.headers, verify=access.tls, timeout=30, trust_env=False)
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- any object

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """One request, as it is.

        Raises:
            ApiError: the answer was an error.
        """
        headers = {} if body is None else {"Content-Type": content_type}
        answer = self._http.request(method, path, params=params, headers=headers, content=None if body is None else json.dumps(body))
        if answer.is_success:
            return cast("Manifest", answer.json())
        try:
            status = answer.json()
        except ValueError:
            status = {}
        raise ApiError(answer.status_code, status.get("reason", ""), status.get("message", answer.text[:500]))

    def apply(self, *manifests: Manifest) -> list[Manifest]:
        """Server-side apply, in order; returns when CustomResourceDefinitions among them are served."""
        params = {"fieldManager": "rig", "force": "true"}
        applied = [
            self.request("PATCH", self.path_of(manifest), manifest, params=params, content_type="application/apply-patch+yaml")
            for manifest in manifests
        ]
        for manifest in manifests:
            if manifest["kind"] == "CustomResourceDefinition":
                self._wait_served(manifest)
        return applied

    def apply_files(self, *paths: Path) -> list[Manifest]:
        """Apply YAML files, and all `*.yaml` of directories."""
        files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
        return self.apply(*(document for file in files for document in documents(file)))

    def get(self, manifest: Manifest) -> Manifest:
        """The object that `manifest` (apiVersion, kind, metadata) names, as it is now."""
        return self.request("GET", self.path_of(manifest))

    def delete(self, manifest: Manifest) -> None:
        """Delete it, if it is there."""
        self._delete(self.path_of(manifest))

    def path_of(self, manifest: Manifest) -> str:
        """Its path; the plural comes from the API server."""
        version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        plural, namespaced = self._plural(version, kind)
        where = f"namespaces/{metadata.get('namespace', 'default')}/" if namespaced else ""
        return f"{_api(version)}/{where}{plural}/{metadata['name']}"

    def stream(self, method: str, path: str) -> AbstractContextManager[httpx.Response]:
        """An answer that is read as it comes, such as a watch."""
        return self._http.stream(method, path, timeout=httpx.Timeout(30, read=None))

    def table(self, path: str) -> Manifest:
        """What kubectl would print for a list or an object."""
        headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        return cast("Manifest", self._http.get(path, headers=headers).raise_for_status().json())

    # --- what tests need again and again

    def apply_crds(self, directory: Path | None = None) -> None:
        """Our CRDs, or those of `directory`, or those that ISVC_CRD_DIR names; waits until they are served."""
        self.apply_files(directory or Path(os.environ.get("ISVC_CRD_DIR") or CRDS))

    def create_namespace(self, prefix: str = "test") -> str:
        """A new namespace; returns its name."""
        name = f"{prefix}-{secrets.token_hex(3)}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def delete_namespace(self, name: str) -> None:
        """Remove it with its InferenceServices; finishes what a namespace controller would, as none runs."""
        for isvc in self.list_isvcs(name):
            if isvc["metadata"].get("finalizers"):
                self.patch_isvc(name, isvc["metadata"]["name"], {"metadata": {"finalizers": None}})
        self._delete(ISVC.format(name))
        self._delete(f"/api/v1/namespaces/{name}")
        try:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}}
            self.request("PUT", f"/api/v1/namespaces/{name}/finalize", body)
        except ApiError as error:
            if error.code not in {NOT_FOUND, CONFLICT}:  # a real namespace controller was faster
                raise

    def create_token(self, namespace: str, service_account: str) -> str:
        """A token of an existing ServiceAccount, good for an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        return str(self.request("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"])

    def create_isvc(self, manifest: Manifest, status: Manifest | None = None) -> Manifest:
        """Create an InferenceService (see `kserve_status.isvc`), then write its status where one is given."""
        metadata = manifest["metadata"]
        created = self.request("POST", ISVC.format(metadata["namespace"]), manifest)
        return created if status is None else self.write_status(metadata["namespace"], metadata["name"], status)

    def get_isvc(self, namespace: str, name: str) -> Manifest:
        return self.request("GET", f"{ISVC.format(namespace)}/{name}")

    def list_isvcs(self, namespace: str) -> list[Manifest]:
        return cast("list[Manifest]", self.request("GET", ISVC.format(namespace))["items"])

    def patch_isvc(self, namespace: str, name: str, patch: Manifest) -> Manifest:
        """A merge patch of anything but the status."""
        path = f"{ISVC.format(namespace)}/{name}"
        return self.request("PATCH", path, patch, content_type="application/merge-patch+json")

    def delete_isvc(self, namespace: str, name: str) -> None:
        self._delete(f"{ISVC.format(namespace)}/{name}")

    def conditions(self, namespace: str, name: str) -> dict[str, dict[str, str]]:
        """The conditions of an InferenceService by type; empty without a status."""
        listed = self.get_isvc(namespace, name).get("status", {}).get("conditions", [])
        return {condition["type"]: condition for condition in listed}

    def write_status(self, namespace: str, name: str, status: Manifest) -> Manifest:
        """Write `status` as KServe's controller does: the whole of it, from a read of its own, again after a conflict.

        Conditions that KServe does not know stay, unless the service is stopped, which wipes them.
        """
        for _ in range(RETRIES):
            current = self.get_isvc(namespace, name)
            current["status"] = kserve_status.merged(current.get("status", {}), status)
            try:
                return self.put_status(current)
            except ApiError as error:
                if error.code != CONFLICT:
                    raise
        raise RigError(f"{namespace}/{name}: {RETRIES} conflicts while writing its status")

    def put_status(self, isvc: Manifest) -> Manifest:
        """PUT on the status subresource, as it is; for statuses of any shape, and for conflicts."""
        return self.request("PUT", f"{self.path_of(isvc)}/status", isvc)

    def events(self, namespace: str) -> list[Manifest]:
        """The namespace's Events (events.k8s.io/v1)."""
        listed = self.request("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
        return cast("list[Manifest]", listed["items"])

    # --- within

    def _delete(self, path: str) -> None:
        try:
            self.request("DELETE", path)
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise

    def _plural(self, version: str, kind: str) -> tuple[str, bool]:
        if (version, kind) not in self._plurals:
            for resource in self.request("GET", _api(version))["resources"]:
                if "/" not in resource["name"]:
                    self._plurals[version, resource["kind"]] = (resource["name"], resource["namespaced"])
        try:
            return self._plurals[version, kind]
        except KeyError:
            raise RigError(f"the API server knows no {kind} in {version}") from None

    def _wait_served(self, crd: Manifest) -> None:
        def served() -> bool:
            listed = self.get(crd).get("status", {}).get("conditions") or []
            if not any(item["type"] == "Established" and item["status"] == "True" for item in listed):
                return False
            group, versions = crd["spec"]["group"], crd["spec"]["versions"]
            try:  # Established comes a moment before discovery and the paths themselves
                for version in versions:
                    found = self.request("GET", f"/apis/{group}/{version['name']}")["resources"]
                    if not any(resource["name"] == crd["spec"]["names"]["plural"] for resource in found):
                        return False
                    self.request("GET", f"/apis/{group}/{version['name']}/{crd['spec']['names']['plural']}", params={"limit": "1"})
            except ApiError as error:
                if error.code != NOT_FOUND:
                    raise
                return False
            return True

        wait_until(served, 30, f"{crd['metadata']['name']} is served")


def _api(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
