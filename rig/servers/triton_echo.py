"""An echo model for Triton's Python backend. Runs in the environment of requirements/triton.txt."""

# What it imports is not installed where types are checked.
# mypy: disable-error-code="import-not-found,misc,no-any-return"

from __future__ import annotations

import asyncio
from typing import Any

import echo_state
import triton_python_backend_utils as pb  # Triton's own, on its path


class TritonPythonModel:
    """Gives each input back as an output of the same name."""

    def initialize(self, args: dict[str, str]) -> None:
        self.name = args["model_name"]
        asyncio.run(echo_state.loaded(self.name))
        if not echo_state.read(self.name).ready:
            raise pb.TritonModelException("told not to load")

    def execute(self, requests: list[Any]) -> list[Any]:
        asyncio.run(echo_state.pause(self.name, "infer_delay"))
        return [pb.InferenceResponse([_output(tensor) for tensor in request.inputs()]) for request in requests]


def _output(tensor: Any) -> Any:  # noqa: ANN401
    if tensor.name().startswith("BYTES"):  # DLPack knows no strings, numpy no BF16
        return pb.Tensor(tensor.name(), tensor.as_numpy())
    return pb.Tensor.from_dlpack(tensor.name(), tensor.to_dlpack())
