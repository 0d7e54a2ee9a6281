"""An echo runtime for MLServer. Runs in the environment of requirements/mlserver.txt."""

# What it imports is not installed where types are checked.
# mypy: disable-error-code="import-not-found,misc,no-any-return"

from __future__ import annotations

import echo_state
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Echo(MLModel):
    """Gives each input back as an output of the same name."""

    @property
    def ready(self) -> bool:
        return self._loaded and echo_state.read(self.name).ready

    @ready.setter
    def ready(self, value: bool) -> None:
        self._loaded = value

    async def load(self) -> bool:
        await echo_state.loaded(self.name)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        await echo_state.pause(self.name, "infer_delay")
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            outputs=[
                ResponseOutput(
                    name=tensor.name,
                    shape=tensor.shape,
                    datatype=tensor.datatype,
                    data=tensor.data,
                    parameters=tensor.parameters,
                )
                for tensor in payload.inputs
            ],
        )
