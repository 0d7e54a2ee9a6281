"""The servers of the Open Inference Protocol, which name themselves on `/v2`: KServe's SDK, MLServer, Triton, OpenVINO, TorchServe.

Sources: the protocol's "server metadata"; its repository extension for `POST /v2/repository/index` (MLServer wants a JSON body); KServe's
`/v1/models`; OpenVINO Model Server's `/v1/config`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isvcwatch.client.protocols.health import text
from isvcwatch.client.protocols.interview import Recognised, names

if TYPE_CHECKING:
    from isvcwatch.client.protocols.interview import Interview, Steps


def recognise(interview: Interview) -> Steps[Recognised | None]:
    """Recognise one of these servers by the name that it gives itself."""
    about = yield from interview.json("/v2")
    name = text(about, "name")
    server = f"{name} {text(about, 'version')}".strip()
    kind = name.lower()
    if kind == "kserve":
        listed = yield from interview.json("/v1/models")
        return Recognised(server, ("v1", "v2", "openai"), names(listed.get("models"), "name") if "models" in listed else None)
    if kind in {"mlserver", "triton"}:
        index = yield from interview.items("/v2/repository/index", "POST", b"{}")
        return Recognised(server, ("v2",), None if index is None else names(index, "name"))
    if kind == "openvino model server":
        config = yield from interview.json("/v1/config")
        return Recognised(server, ("v2",), names(list(config), "") if config else None)
    if kind == "torchserve":  # its V2 routes say ready whatever state its models are in
        return Recognised(server, ("torchserve",))
    return None
