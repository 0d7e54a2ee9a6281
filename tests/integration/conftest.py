"""The real parts as fixtures. What can't be had skips its tests, or fails them where ISVCWATCH_REQUIRE_REAL=1."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rig import prepare
from rig.app_server import AppServer
from rig.cluster import Cluster
from rig.controlplane import ControlPlane, User
from rig.kserve_server import KServeServer
from rig.mlserver_server import MLServerServer
from rig.model_server import ModelServer
from rig.triton_server import TritonServer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

MODELS = ("iris", "fraud")
SERVER_FIXTURES = {"kserve_server": "kserve", "mlserver_server": "mlserver", "triton_server": "triton"}
# What a test that asks for the fixture needs from the cache.
APP_FIXTURES = {"flask_server": "flask", "bentoml_server": "bentoml", "ray_server": "ray"}
NEEDS = {"control_plane": prepare.CONTROL_PLANE, "kubeconfig": prepare.CONTROL_PLANE, **SERVER_FIXTURES, **APP_FIXTURES}
FAILURES = pytest.StashKey[dict[str, str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses a real part is `real`, so that `-m real` and `-m "not real"` need no reminding."""
    for item in items:
        if needs(item):
            item.add_marker(pytest.mark.real)


@pytest.hookimpl(tryfirst=True)  # xdist's workers have a loop of their own
def pytest_runtestloop(session: pytest.Session) -> None:
    """Build and install before the first test, uncaptured: it takes minutes once, and says so."""
    if session.config.option.collectonly:
        return
    wanted = {part for item in getattr(session, "items", ()) for part in needs(item)}
    if given_kubeconfig():
        wanted.discard(prepare.CONTROL_PLANE)
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        session.config.stash[FAILURES] = prepare.prepare(wanted)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped real test is a failure where the real tier is required."""
    report = yield
    required = os.environ.get("ISVCWATCH_REQUIRE_REAL") == "1" and item.get_closest_marker("real")
    if required and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"ISVCWATCH_REQUIRE_REAL=1, but this was to be skipped: {why}"
    return report


def needs(item: pytest.Item) -> set[str]:
    """The parts that a test uses, by fixture or by a fixture's name as parameter."""
    names = set(getattr(item, "fixturenames", ()))
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        names |= {value for value in item.callspec.params.values() if isinstance(value, str)}
    return {NEEDS[name] for name in names & NEEDS.keys()}


def given_kubeconfig() -> Path | None:
    """ISVCWATCH_TEST_KUBECONFIG: a cluster to use instead of starting one."""
    named = os.environ.get("ISVCWATCH_TEST_KUBECONFIG")
    return Path(named) if named else None


def had(config: pytest.Config, part: str) -> None:
    """Skip where a part can't be had; one that can and does not start is an error, not a skip."""
    if why := config.stash[FAILURES].get(part):
        pytest.skip(why)


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """An API server of our own, with its audit log; `stranger` may do nothing."""
    if given_kubeconfig():
        pytest.skip("needs an API server of our own, with its audit log, and ISVCWATCH_TEST_KUBECONFIG names another")
    had(pytestconfig, prepare.CONTROL_PLANE)
    with ControlPlane.start(users=[User("stranger")]) as started:
        yield started


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """The admin's kubeconfig, of the cluster given or of one of our own."""
    if given := given_kubeconfig():
        return given
    started: ControlPlane = request.getfixturevalue("control_plane")
    return started.kubeconfig


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    """The admin's view of the cluster, CRDs applied."""
    with Cluster(kubeconfig) as admin:
        admin.apply_crds()
        yield admin


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace."""
    name = cluster.create_namespace()
    yield name
    cluster.delete_namespace(name)


@pytest.fixture(scope="session")
def kserve_server(pytestconfig: pytest.Config) -> Iterator[KServeServer]:
    """KServe's ModelServer with `iris` and `fraud`."""
    had(pytestconfig, "kserve")
    with KServeServer.start(*MODELS) as server:
        yield server


@pytest.fixture(scope="session")
def mlserver_server(pytestconfig: pytest.Config) -> Iterator[MLServerServer]:
    """MLServer with `iris` and `fraud`."""
    had(pytestconfig, "mlserver")
    with MLServerServer.start(*MODELS) as server:
        yield server


@pytest.fixture(scope="session")
def triton_server(pytestconfig: pytest.Config) -> Iterator[TritonServer]:
    """Triton with `iris` and `fraud`."""
    had(pytestconfig, "triton")
    with TritonServer.start(*MODELS) as server:
        yield server


@pytest.fixture
def flask_server(pytestconfig: pytest.Config) -> Iterator[AppServer]:
    """A web application of somebody's own, with a readiness route at `/healthz`."""
    had(pytestconfig, "flask")
    with AppServer("flask") as server:
        yield server


@pytest.fixture
def bentoml_server(pytestconfig: pytest.Config) -> Iterator[AppServer]:
    """A BentoML service."""
    had(pytestconfig, "bentoml")
    with AppServer("bentoml") as server:
        yield server


@pytest.fixture
def ray_server(pytestconfig: pytest.Config) -> Iterator[AppServer]:
    """A Ray Serve application."""
    had(pytestconfig, "ray")
    with AppServer("ray") as server:
        yield server


@pytest.fixture(autouse=True)
def servers_well_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test told a model server to be, the next test finds it well."""
    used = [request.getfixturevalue(name) for name in SERVER_FIXTURES if name in request.fixturenames]
    yield
    for server in used:
        assert isinstance(server, ModelServer)
        server.reset()
