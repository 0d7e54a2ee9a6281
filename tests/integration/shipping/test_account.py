"""The operator under exactly the shipped account: refused nothing, asking for nothing beyond its role, using every rule of it."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Self

import pytest

from rig import kserve_status
from rig.process import wait_until
from tests.integration.watching.operating import QUICK, OperatorProcess, verdict, wait_for
from tests.shipping.shipped import BASE, NAMESPACED, allowed, one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rig.audit import AuditEntry
    from rig.cluster import Cluster
    from rig.controlplane import ControlPlane

pytestmark = pytest.mark.real

ACCOUNT = "system:serviceaccount:isvcwatch-system:isvcwatch"
TIME_TO_CONFLICT = 60.0  # seconds; the first write or the second is late, as a rule

Rule = tuple[str, str, str]


class Model:
    """A V2 server whose one model is ready or not, as it is told. The client suite has real ones; here the API server is what counts."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            ready: ClassVar[bool] = True

            def do_GET(self) -> None:
                self.send_response(200 if self.ready else 400)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._handler = Handler
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def set_ready(self, ready: bool) -> None:
        self._handler.ready = ready

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def somebody_writing(admin: Cluster, namespace: str, name: str) -> Iterator[None]:
    """Another writer on the object for as long as the block runs, so that writes of ours come too late."""
    over = threading.Event()

    def write() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            admin.patch_isvc(namespace, name, {"metadata": {"annotations": {"example.com/turn": str(turn)}}})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def used(entries: list[AuditEntry]) -> set[Rule]:
    """What the requests take of a role: (group, resource, verb)."""
    found = set()
    for entry in entries:
        if entry.resource:
            group = entry.request_uri.split("/")[2] if entry.request_uri.startswith("/apis/") else ""
            found.add((group, f"{entry.resource}/{entry.subresource}" if entry.subresource else entry.resource, entry.verb))
    return found


@pytest.fixture(scope="module")
def lived(
    empty_cluster: ControlPlane,
    admin: Cluster,
    installed: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[AuditEntry]:
    """A life of the operator: well, unready, well, unready again for the same cause, and a write that came too late. What it asked for."""
    assert installed
    directory: Path = tmp_path_factory.mktemp("account")
    admin.apply_crds()
    namespace = admin.create_namespace()
    account = empty_cluster.kubeconfig_for(admin.create_token("isvcwatch-system", "isvcwatch"))

    def asked() -> list[AuditEntry]:
        return empty_cluster.audit(user=ACCOUNT)

    def too_late() -> bool:
        return any(entry.verb == "patch" and entry.code == 409 for entry in asked())

    def written() -> bool:
        return verdict(admin, namespace, "ranker")[0] == str(ready)

    with Model() as model, OperatorProcess(account, directory, *QUICK) as operator:
        operator.wait_ready()
        annotations = {"isvcwatch.dev/protocol": "v2"}
        admin.create_isvc(
            kserve_status.isvc("ranker", namespace, annotations=annotations), kserve_status.ready("ranker", namespace, model.url)
        )
        wait_for(admin, namespace, "ranker", "True")
        for ready in (False, True, False, True):
            model.set_ready(ready)
            wait_for(admin, namespace, "ranker", str(ready))
        with somebody_writing(admin, namespace, "ranker"):
            for ready in (False, True) * 10:
                model.set_ready(ready)
                wait_until(lambda: too_late() or written(), TIME_TO_CONFLICT, "a write, or one that came too late")
                if too_late():
                    break
        wait_until(written, TIME_TO_CONFLICT, "a write after those that came too late")
        assert too_late()
        operator.stop()
    return asked()


def test_it_is_refused_nothing(lived: list[AuditEntry]) -> None:
    assert [entry for entry in lived if entry.code in {401, 403}] == []


def test_it_asks_for_nothing_beyond_its_role(lived: list[AuditEntry]) -> None:
    assert used(lived) - allowed(one(BASE, "ClusterRole")) == set()


def test_every_rule_of_its_role_is_used(lived: list[AuditEntry]) -> None:
    assert allowed(one(BASE, "ClusterRole")) - used(lived) == set()


def test_beside_its_role_it_only_looks_at_what_the_api_serves(lived: list[AuditEntry]) -> None:
    others = {entry.request_uri.split("?")[0] for entry in lived if not entry.resource}
    assert all(path in {"/api", "/apis", "/version"} or path.startswith(("/api/", "/apis/")) for path in others), others
    assert {entry.verb for entry in lived if not entry.resource} <= {"get"}


@pytest.mark.usefixtures("lived", "installed_namespaced")
def test_in_one_namespace_it_lives_with_the_role_of_that_namespace(empty_cluster: ControlPlane, admin: Cluster, tmp_path: Path) -> None:
    account = empty_cluster.kubeconfig_for(admin.create_token("models", "isvcwatch"))
    isvc = kserve_status.isvc("ranker", "models", annotations={"isvcwatch.dev/protocol": "v2"})
    with Model() as model, OperatorProcess(account, tmp_path, "--namespace", "models", *QUICK) as operator:
        operator.wait_ready()
        admin.create_isvc(isvc, kserve_status.ready("ranker", "models", model.url))
        for ready in (True, False, True):
            model.set_ready(ready)
            wait_for(admin, "models", "ranker", str(ready))
    asked = empty_cluster.audit(user="system:serviceaccount:models:isvcwatch")
    # It tries for the runtimes that only a cluster has, is refused, says so and does without.
    assert {(entry.verb, entry.resource) for entry in asked if entry.code == 403} == {("list", "clusterservingruntimes")}
    assert used(asked) - allowed(one(NAMESPACED, "Role")) == {("serving.kserve.io", "clusterservingruntimes", "list")}
