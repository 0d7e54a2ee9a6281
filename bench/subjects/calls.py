"""What a public client is asked for: the same calls of ours and of KServe's, which has the same classes.

Settings: those of `asking`, and `{"call": "ready", "timeout": 2, "at_once": 0}`. The call is "ready" or "infer"; with a number of calls at
once nothing is asked until the next line, and the answer to each line tells how such a burst went.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bench.lines import answer, say
from bench.subjects.asking import Tally, ask_all, count, process_mark

if TYPE_CHECKING:
    from types import ModuleType

    from bench.subjects.asking import Ask, Model

FLOATS: Final = 2**18
"""Elements of four bytes: 1 MiB."""


async def call_by(client: Any, package: ModuleType, given: dict[str, Any]) -> None:  # noqa: ANN401 (of either package)
    """Call as the settings say, until stdin ends.

    Args:
        client: an `InferenceRESTClient`.
        package: where its `InferInput` and `InferRequest` are.
        given: the settings.
    """
    ask = _inferring(client, package) if given["call"] == "infer" else _ready(client)
    if not given["at_once"]:
        await ask_all(ask, given)
        return
    (model,) = given["models"]

    async def burst(_: dict[str, Any]) -> dict[str, Any]:
        tally = Tally()
        began = time.monotonic()
        await asyncio.gather(*(count(ask, model, tally) for _ in range(given["at_once"])))
        return process_mark() | {"seconds": time.monotonic() - began, "answered": tally.answered, "failed": tally.failed}

    say({"asking": 1})
    await answer(burst)


def _ready(client: Any) -> Ask:  # noqa: ANN401
    async def ask(model: Model) -> bool:
        return bool(await client.is_model_ready(model["base_url"], model["name"]))

    return ask


def _inferring(client: Any, package: ModuleType) -> Ask:  # noqa: ANN401
    array = np.arange(FLOATS, dtype=np.float32)

    async def ask(model: Model) -> bool:
        tensor = package.InferInput("x", [FLOATS], "FP32")
        tensor.set_data_from_numpy(array, binary_data=True)
        request = package.InferRequest(model["name"], [tensor], parameters={"binary_data_output": True})
        answered = await client.infer(model["base_url"], request, model_name=model["name"])
        echoed = answered.outputs[0].as_numpy()
        return bool(echoed[-1] == array[-1] and len(echoed) == FLOATS)

    return ask
