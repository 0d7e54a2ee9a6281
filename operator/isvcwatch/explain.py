"""`isvcwatch explain`: shows what would be probed, which field each value came from, and which values are only a guess."""

from __future__ import annotations

import asyncio
import functools
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from isvcwatch import settings
from isvcwatch.client.tls import trusting
from isvcwatch.client.transport import Transport
from isvcwatch.core.backing import backings
from isvcwatch.core.conditions import one_line
from isvcwatch.core.derive import Derivation, derive
from isvcwatch.core.objects import DeploymentMode, RuntimeKey
from isvcwatch.core.reasons import Reason
from isvcwatch.core.targets import Target
from isvcwatch.engine import LOOKUP_SHARE
from isvcwatch.kube import errors, parse
from isvcwatch.kube.api import Api
from isvcwatch.kube.connection import connect
from isvcwatch.kube.deployed import deployed
from isvcwatch.kube.resources import CLUSTER_SERVING_RUNTIMES, ENDPOINT_SLICES, INFERENCE_SERVICES, SERVING_RUNTIMES
from isvcwatch.kube.servers import ApiServers
from isvcwatch.probing.addresses import AddressPolicy
from isvcwatch.probing.prober import Prober
from isvcwatch.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isvcwatch.client.transport import Ask
    from isvcwatch.core.backing import Backing
    from isvcwatch.core.health import Round
    from isvcwatch.core.objects import InferenceService, Runtime
    from isvcwatch.kube.deployed import Deployed
    from isvcwatch.probing.addresses import Address
    from isvcwatch.settings import Settings

NAMESPACE: Final = "default"
"""The namespace of an object in a file that names none, as with kubectl."""

RUNTIMES: Final = frozenset({"ServingRuntime", "ClusterServingRuntime"})


MOST_KINDS: Final = 5
MOST_OF_A_KIND: Final = 64
"""How many kinds of objects that can't be explained are named, and with how many characters."""

REFUSED: Final = (
    "The operator does not connect there either. --allow-cidr CIDR allows a range, to it and to this command; "
    "--anywhere lets this command alone connect to any address, from a machine of your own."
)
"""What to do where the address of a service is refused."""


class FileError(Exception):
    """A file can't be used; the error's text says which one, and why."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How the servers are asked as well.

    Attributes:
        anywhere: whether at any address, in place of those that the operator may connect to: whoever may annotate a service chooses its
            address, which this command, run in a pod, could reach although they can't.
        denied: the API server's addresses, as far as they are known.
    """

    anywhere: bool = False
    denied: tuple[Address, ...] = ()


async def explain(given: Given, namespace: str, name: str, asking: Asking | None = None) -> str:
    """Describe to people what is derived for a service, by the settings of the operator that runs, where it can be found.

    Args:
        given: which cluster, and the policy.
        namespace: the service's namespace.
        name: its name.
        asking: how to ask its servers as well; None to leave them alone.

    Raises:
        KubeError: the service can't be read.
        SettingsError: some settings can't be used.
    """
    own, _ = given.settled(None)
    connection = await connect(own.kubeconfig, own.context)
    try:
        api = Api(connection)
        isvc = parse.inference_service(await api.get(INFERENCE_SERVICES, namespace, name))
        runtime, note = await _runtime(api, isvc)
        behind = await _behind(api, isvc)
        if asking is not None:
            denied = set(connection.server_addresses())
            await ApiServers(api, denied.update).look()
            asking = replace(asking, denied=tuple(denied))
        found = await deployed(api)
    finally:
        await connection.close()
    try:
        followed, words = given.settled(found)
    except settings.SettingsError:  # the operator's own: it is of another version
        followed, words = given.settled(None)
    return f"{await _explained(followed, isvc, runtime, note, asking, behind)}\n\n{words}"


async def of_files(given: Given, names: Sequence[str], asking: Asking | None = None) -> str:
    """Describe to people what is derived for the services in YAML files, without a cluster.

    Args:
        given: the policy.
        names: paths; `-` for standard input. Runtimes may stand in any of them.
        asking: how to ask the servers as well; None to leave them alone.

    Raises:
        FileError: a file can't be read, or no InferenceService is in any.
    """
    followed, words = given.settled(None)
    objects = [found for name in names for found in _objects(name)]
    runtimes = {key: parse.runtime(found) for found in objects if _kind(found) in RUNTIMES for key in (_key(found),)}
    services = [found for found in objects if _kind(found) == "InferenceService"]
    if not services:
        raise FileError(_no_service(objects, names))
    parts = []
    for raw in services:
        isvc, notes = _as_deployed(parse.inference_service(_placed(raw)))
        runtime, note = _chosen(isvc, runtimes)
        parts.append(await _explained(followed, isvc, runtime, (*notes, *note), asking))
    return "\n\n\n".join(parts) + f"\n\n{words}"


def by_settings(set_by: Sequence[str], of_operator: Sequence[str] = (), where: str = "") -> str:
    """The sentence about the settings that the explanation follows: the running operator's, but for those that this command was given.

    Args:
        set_by: what was set for this command, and whence, as `settings.origins` tells.
        of_operator: likewise for the operator that runs.
        where: its Deployment; empty if none was found.
    """
    if where:
        theirs = f"{', '.join(of_operator)}, and the defaults" if of_operator else "the defaults"
        own = f" This command's own come first: {', '.join(set_by)}." if set_by else ""
        return f"By the settings of the operator {where}: {theirs}.{own}"
    whence = f"{', '.join(set_by)}, and the defaults" if set_by else "the defaults, since no flag or variable is set"
    return f"By this command's own settings: {whence}. Those of an operator that runs elsewhere may differ."


@dataclass(frozen=True, slots=True)
class Given:
    """What this command was given.

    Attributes:
        flags: by option key.
        environment: the process's.
    """

    flags: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]

    def settled(self, found: Deployed | None) -> tuple[Settings, str]:
        """The settings to follow, and the sentence about them.

        Raises:
            SettingsError: some can't be used.
        """
        own = settings.origins(settings.EXPLAIN_OPTIONS, self.flags, self.environment)
        if found is None:
            return settings.read(settings.EXPLAIN_OPTIONS, self.flags, self.environment), by_settings(own)
        theirs = settings.flags_in(found.arguments, settings.OPERATORS_OPTIONS)
        variables = {option.variable: found.environment.get(option.variable, "") for option in settings.OPERATORS_OPTIONS}
        flags = {option.key: self._of(option, theirs) for option in settings.EXPLAIN_OPTIONS}
        merged = settings.read(settings.EXPLAIN_OPTIONS, flags, {**variables, **_set(self.environment)})
        return merged, by_settings(own, settings.origins(settings.OPERATORS_OPTIONS, theirs, variables), found.where)

    def _of(self, option: settings.Option, theirs: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """What an option is given: this command's flag, else its variable, else the operator's flag."""
        if own := self.flags.get(option.key):
            return own
        return () if self.environment.get(option.variable, "").strip() else theirs.get(option.key, ())


def _set(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are not empty."""
    return {name: value for name, value in environment.items() if value.strip()}


def _no_service(objects: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Why nothing in the files can be explained: they hold only what goes with an InferenceService, or objects of other kinds."""
    others = [kind for kind in dict.fromkeys(map(_kind, objects)) if kind and kind not in RUNTIMES][:MOST_KINDS]
    files = ", ".join(names)
    if others:
        return f"explain takes an InferenceService, with its runtime, and not {' or '.join(map(_with_article, others))}, as in {files}"
    return f"no InferenceService is in {files}: write the path of its YAML"


def _kind(raw: Mapping[str, Any]) -> str:
    """The object's kind, for people too; empty if it has none."""
    kind = raw.get("kind")
    return one_line(kind, MOST_OF_A_KIND) if isinstance(kind, str) else ""


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIO' else 'a'} {kind}"


async def _explained(
    followed: Settings,
    isvc: InferenceService,
    runtime: Runtime | None,
    notes: Sequence[str],
    asking: Asking | None,
    behind: Sequence[Backing] = (),
) -> str:
    derivation = derive(isvc, runtime, followed.policy, behind)
    parts = [describe(isvc, derivation), *(f"Note: {note}." for note in notes)]
    if asking and isinstance(derivation.outcome, Target):
        parts.append(await _asked(derivation.outcome, followed, asking))
    return "\n\n".join(parts)


async def _behind(api: Api, isvc: InferenceService) -> tuple[Backing, ...]:
    """What stands behind the service's Services; nothing where that may not be read."""
    try:
        page = await api.list_page(ENDPOINT_SLICES, isvc.namespace, selector=f"{parse.SERVICE_LABEL}={isvc.name}")
    except errors.KubeError:
        return ()
    return backings(map(parse.endpoint_slice, page.get("items") or ()))


def describe(isvc: InferenceService, derivation: Derivation) -> str:
    """The derivation as text for people."""
    outcome = derivation.outcome
    if isinstance(outcome, Target):
        head = f"{isvc.namespace}/{isvc.name} is probed every {outcome.policy.period:g} s."
    else:
        head = f"{isvc.namespace}/{isvc.name} is not probed: {outcome.message} ({outcome.reason})."
    if not derivation.sources:
        return head
    rows = [(s.field, s.value, "" if s.certain else "a guess", s.origin) for s in derivation.sources]
    return f"{head}\n\n{table(('FIELD', 'VALUE', '', 'FROM'), rows)}"


async def _asked(target: Target, followed: Settings, asking: Asking) -> str:
    """Probe the target for one round, as the operator does, and describe which requests were sent and what was found."""
    addresses = AddressPolicy(followed.allow_cidrs, asking.denied, anywhere=asking.anywhere)
    trust = functools.partial(trusting, followed.ca_bundles)
    transport = _Listening(
        guard=addresses.objection,
        host_guard=addresses.host_objection,
        leads_away=addresses.leads_away,
        tls=trust,
        lookup_share=LOOKUP_SHARE,
    )
    try:
        prober = Prober(transport, _Uncounted())
        plan = prober.plan(target)
        ended: asyncio.Future[Round | None] = asyncio.get_running_loop().create_future()
        prober.start(plan, ended.set_result)
        found = await ended
    finally:
        await transport.aclose()
    rows = [(ask.method, ask.url) for ask in transport.asked]
    learned = [f"Learned: {ladder.note}." for ladder in plan.ladders if ladder.note]
    verdict = f"ModelReady would be {found.model_ready.status}: {found.model_ready.message} ({found.model_ready.reason})." if found else ""
    refused = REFUSED if found and found.model_ready.reason == Reason.TARGET_REFUSED else ""
    return "\n\n".join(filter(None, (table(("ASKED", "URL"), rows), *learned, verdict, refused)))


class _Listening(Transport):
    """A transport that remembers what it was asked for."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 -- the transport's own
        super().__init__(**options)
        self.asked: list[Ask] = []

    def start(self, ask: Ask, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 -- the transport's own
        """Remember the request, and send it."""
        self.asked.append(ask)
        return super().start(ask, *arguments, **options)


class _Uncounted:
    """Drops all measurements, since nobody reads the metrics of this command."""

    def probe(self, outcome: str, seconds: float) -> None:
        """Count nothing."""

    def inquired(self) -> None:
        """Count nothing."""

    def looked(self, result: str) -> None:
        """Count nothing."""


def _objects(name: str) -> list[Mapping[str, Any]]:
    """The objects in a file. A List, as kubectl writes it, is replaced by its items."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        found = [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{name} can't be read: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise FileError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    return [item for document in found for item in _items(document) if isinstance(item, dict)]


def _items(document: Mapping[str, Any]) -> Sequence[Any]:
    items = document.get("items")
    return items if isinstance(items, list) and items else (document,)


def _placed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the default namespace put in where it names none."""
    metadata = raw.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    return {**raw, "metadata": {"namespace": NAMESPACE, "name": "", "uid": "of-a-file", **named}}


def _as_deployed(isvc: InferenceService) -> tuple[InferenceService, tuple[str, ...]]:
    """The service with the address that KServe will give it, where its YAML has no status yet."""
    if isvc.address_url or isvc.url or isvc.problem:
        return isvc, ()
    mode = isvc.mode or DeploymentMode.STANDARD
    service = isvc.name
    if mode is DeploymentMode.STANDARD:
        name = f"-{isvc.predictor.name}" if isvc.predictor and isvc.predictor.name and not isvc.transformer else ""
        service = f"{isvc.name}{name}-{'transformer' if isvc.transformer else 'predictor'}"
    note = f"it has no status yet: the address is the one that KServe gives it in {mode} mode"
    return replace(isvc, mode=mode, address_url=f"http://{service}.{isvc.namespace}.svc.cluster.local"), (note,)


def _key(raw: Mapping[str, Any]) -> RuntimeKey:
    key = parse.runtime(raw).key
    return RuntimeKey("", key.name) if _kind(raw) == "ClusterServingRuntime" else RuntimeKey(key.namespace or NAMESPACE, key.name)


def _chosen(isvc: InferenceService, runtimes: Mapping[RuntimeKey, Runtime]) -> tuple[Runtime | None, tuple[str, ...]]:
    """The runtime that the service names, else the only one that has its model format. A note says so where the choice is not certain."""
    if isvc.runtime is not None:
        found = runtimes.get(isvc.runtime) or runtimes.get(RuntimeKey("", isvc.runtime.name))
        return found, () if found else (f"runtime {isvc.runtime.name} is in none of the files",)
    wanted = isvc.predictor.model_format if isvc.predictor else ""
    fitting = [runtime for runtime in runtimes.values() if wanted and wanted in runtime.model_formats]
    if len(fitting) == 1:
        return fitting[0], (f"it names no runtime: {fitting[0].key.name} is the one in the files that has the format {wanted}",)
    return None, ("it names no runtime, and the files don't have just one for it: KServe's choice may say more",) if wanted else ()


async def _runtime(api: Api, isvc: InferenceService) -> tuple[Runtime | None, tuple[str, ...]]:
    """The service's runtime, and a note where it could not be read."""
    if isvc.runtime is None:
        return None, ()
    problem = ""
    for resource, key in ((SERVING_RUNTIMES, isvc.runtime), (CLUSTER_SERVING_RUNTIMES, RuntimeKey("", isvc.runtime.name))):
        if resource.namespaced and not key.namespace:
            continue
        try:
            raw = await api.find(resource, key.namespace, key.name)  # by the right to list: the operator's role has no `get`
        except (errors.GoneError, errors.NotServedError):
            problem = f"runtime {key.name} was not found"
        except errors.KubeError as error:
            problem = f"runtime {key.name} could not be read: {error}"
        else:
            return parse.runtime(raw), ()
    return None, (f"{problem}, so the protocol comes from the service alone",)
