"""Everything that takes minutes the first time, made at once and said aloud: `python -m rig.prepare [PART...]`."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rig import build
from rig.process import RigError
from tools import envs

if TYPE_CHECKING:
    from collections.abc import Iterable

ENVIRONMENTS = ("triton", "kserve", "mlserver", "flask", "bentoml", "ray")
CONTROL_PLANE = "controlplane"
PARTS = (CONTROL_PLANE, *ENVIRONMENTS)


def prepare(parts: Iterable[str] = PARTS) -> dict[str, str]:
    """Make what is not in the cache yet: the control plane beside the environments, as one keeps the processor busy and one the network.

    Returns:
        Why a part can't be had, for those that can't.
    """
    wanted = set(parts)
    lanes = [[part for part in PARTS if part in wanted and (part == CONTROL_PLANE) is first] for first in (True, False)]
    with ThreadPoolExecutor(len(lanes)) as pool:
        outcomes = pool.map(lambda lane: [(part, _make(part)) for part in lane], lanes)
        return {part: why for lane in outcomes for part, why in lane if why}


def _make(part: str) -> str | None:
    try:
        if part == CONTROL_PLANE:
            if not os.environ.get("KUBEBUILDER_ASSETS"):
                build.control_plane()
        else:
            envs.ensure(part)
    except (RigError, envs.MissingError) as error:
        return str(error)
    return None


def main() -> None:
    failures = prepare(sys.argv[1:] or PARTS)
    for part, why in failures.items():
        envs.say(f"{part}: {why}")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
