"""Many objects and many writers: whatever they do, in the end the operator knows what the cluster has, and so do the objects."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from rig import kserve_status as kserve
from rig.cluster import ApiError, Cluster
from rig.faultproxy import watches
from rig.process import wait_until
from tests.integration.watching.answers import NOT_READY, READY, RawServer
from tests.integration.watching.faults.services import create, held, is_probed
from tests.integration.watching.operating import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rig.faultproxy import FaultProxy
    from tests.integration.watching.operating import OperatorProcess

pytestmark = pytest.mark.real

HANDS = 6
"""Threads that change objects."""
CALM = ("--period", "5", "--timeout", "2", "--write-rate", "500", "--write-burst", "1000")


def sized(**cases: tuple[int, float]) -> pytest.MarkDecorator:
    """Objects, and seconds for which they are changed: few in every run, many in a long one."""
    marks = {"many": [pytest.mark.long]}
    return pytest.mark.parametrize(
        ("count", "seconds"), [pytest.param(*c, id=name, marks=marks.get(name, [])) for name, c in cases.items()]
    )


@sized(few=(120, 15), many=(2000, 180))
def test_a_storm_of_creations_moves_and_deletions_while_the_watch_is_lossy(
    cluster: Cluster, namespace: str, proxy: FaultProxy, start: Callable[..., OperatorProcess], count: int, seconds: float
) -> None:
    rng = random.Random(count)  # noqa: S311 -- chance, not secrecy
    with RawServer(READY) as well, RawServer(NOT_READY) as ill:
        operator = start(*CALM)
        proxy.rule(watches(), event=lambda event: None if rng.random() < 0.1 else event)
        end = time.monotonic() + seconds

        def storm(hand: int) -> None:
            chance = random.Random(hand)  # noqa: S311 -- likewise
            own = [f"m-{number}" for number in range(hand, count, HANDS)]
            there: set[str] = set()
            for name in own:
                create(cluster, namespace, name, well)
                there.add(name)
            while time.monotonic() < end:
                name = chance.choice(own)
                if name not in there:
                    create(cluster, namespace, name, chance.choice((well, ill)))
                    there.add(name)
                elif chance.random() < 0.4:
                    cluster.delete_isvc(namespace, name)
                    there.discard(name)
                else:
                    cluster.write_status(namespace, name, kserve.ready(name, namespace, chance.choice((well, ill)).base_url))
                if chance.random() < 0.01:
                    proxy.cut_watches()

        with ThreadPoolExecutor(HANDS) as hands:
            for done in [hands.submit(storm, hand) for hand in range(HANDS)]:
                done.result()
        truth = {isvc["metadata"]["name"]: isvc["status"]["address"]["url"] == well.base_url for isvc in cluster.list_isvcs(namespace)}
        assert 0 < len(truth) < count
        wait_until(lambda: held(operator) == truth, 90, "it holds what the cluster has, and no more")
        assert is_probed(operator, len(truth))

        def said(name: str) -> str:
            return cluster.conditions(namespace, name).get("ModelReady", {}).get("status", "")

        wait_until(lambda: all(said(name) == str(truth[name]) for name in sorted(truth)), 90, "each object says what is held")
        assert operator.said("object_failed") == operator.said("service_set_aside") == []


def test_a_second_writer_like_kserve_while_models_flip(cluster: Cluster, namespace: str, start: Callable[..., OperatorProcess]) -> None:
    names = [f"m-{number}" for number in range(200)]
    with RawServer(READY) as server:
        for name in names:
            create(cluster, namespace, name, server)
        operator = start(*CALM, "--period", "2", "--resync", "30")
        for name in names:
            wait_for(cluster, namespace, name, "True", timeout=60)
        end = time.monotonic() + 20

        def write(some: Sequence[str]) -> int:
            """As KServe does: the whole of the status, from a read of its own."""
            generation = 1
            while time.monotonic() < end:
                generation += 1
                for name in some:
                    cluster.write_status(namespace, name, kserve.ready(name, namespace, server.base_url, generation))
            return generation

        with ThreadPoolExecutor(HANDS) as hands:
            writing = [hands.submit(write, names[hand::HANDS]) for hand in range(HANDS)]
            for answer in (NOT_READY, READY, NOT_READY):
                server.answer = answer
                time.sleep(6)
            generations = [done.result() for done in writing]
        for number, name in enumerate(names):
            wait_for(cluster, namespace, name, "False", timeout=60)
            status = cluster.get_isvc(namespace, name)["status"]
            assert status["observedGeneration"] == generations[number % HANDS], "none of KServe's writes was lost"
            assert {c["type"] for c in status["conditions"]} >= {"Ready", "PredictorReady", "IngressReady", "ServerLive", "ModelReady"}

        def is_told_in_order() -> bool:
            told: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
            for event in cluster.events(namespace):
                told[event["regarding"]["name"]].append((event["eventTime"], event["reason"]))
            ways = (["ModelUnready"], ["ModelUnready", "ModelRecovered", "ModelUnready"])
            return all([reason for _, reason in sorted(turns)] in ways for turns in told.values())

        wait_until(is_told_in_order, 30, "each turn is told once, in order")
        time.sleep(2)
        assert is_told_in_order()
        assert operator.running


@sized(few=(100, 0), many=(2000, 0))
def test_malformed_objects_by_the_hundred_disturb_no_other(
    cluster: Cluster, namespace: str, start: Callable[..., OperatorProcess], count: int, seconds: float
) -> None:
    del seconds
    operator = start(*CALM)
    wrong: list[Any] = [*kserve.WRONG_SHAPES.values()]

    def break_one(number: int) -> bool:
        chance = random.Random(number)  # noqa: S311 -- chance, not secrecy
        name = f"wrong-{number}"
        status = kserve.ready(name, namespace)
        for _ in range(chance.randint(1, 3)):
            status[chance.choice(list(status))] = chance.choice([*wrong, None, 0, "", [], {}, [None], {"": None}])
        created = cluster.create_isvc(kserve.isvc(name, namespace))
        for shape in (status, chance.choice(wrong)):
            try:
                cluster.put_status({**created, "status": shape})
            except ApiError:
                continue  # the CRD refuses it: it can't come to us
            return True
        return False

    with ThreadPoolExecutor(HANDS) as hands, RawServer(READY) as server:
        assert sum(hands.map(break_one, range(count))) > count / 10
        create(cluster, namespace, "well", server)
        wait_for(cluster, namespace, "well", "True", timeout=60)
        server.answer = NOT_READY
        wait_for(cluster, namespace, "well", "False", timeout=60)
        assert operator.running
        assert operator.said("object_failed") == operator.said("service_set_aside") == []
        assert operator.get("/livez") == "200 ok\n"
