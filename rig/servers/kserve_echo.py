"""KServe's ModelServer with echo models: `kserve_echo.py PORT MODEL...`. Runs in the environment of requirements/kserve.txt."""

# What it imports is not installed where types are checked.
# mypy: disable-error-code="import-not-found,misc,no-any-return"

from __future__ import annotations

import sys
from typing import Any

import echo_state
import uvicorn
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelRepository, ModelServer


class LoopbackConfig(uvicorn.Config):
    """ModelServer listens on all addresses and can't be told otherwise."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's own signature)
        super().__init__(*args, **{**kwargs, "host": "127.0.0.1"})


class Echo(Model):
    """Gives back what it is sent: instances as predictions and explanations, each V2 input as an output of the same name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = True

    async def healthy(self) -> bool:
        await echo_state.pause(self.name, "health_delay")
        return echo_state.read(self.name).ready

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ANN401, ARG002
        await echo_state.pause(self.name, "infer_delay")
        if not isinstance(payload, InferRequest):
            return {"predictions": payload["instances"]}
        return InferResponse(
            response_id=payload.id,
            model_name=self.name,
            infer_outputs=[_output(tensor, payload) for tensor in payload.inputs],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )

    async def explain(self, payload: Any, headers: Any = None) -> Any:  # noqa: ANN401, ARG002
        await echo_state.pause(self.name, "infer_delay")
        return {"explanations": payload["instances"]}


def _output(tensor: Any, request: InferRequest) -> InferOutput:  # noqa: ANN401
    output = InferOutput(tensor.name, tensor.shape, tensor.datatype)
    output.set_data_from_numpy(tensor.as_numpy(), binary_data=request.use_binary_outputs)
    return output


class Repository(ModelRepository):
    """Forgets the models that are told to be unknown, as a server does whose model failed to load at start."""

    def get_model(self, name: str) -> Any:  # noqa: ANN401
        return super().get_model(name) if echo_state.read(name).known else None


def main() -> None:
    port, models = int(sys.argv[1]), sys.argv[2:]
    uvicorn.Config = LoopbackConfig
    server = ModelServer(http_port=port, enable_grpc=False, registered_models=Repository(), grace_period=1)
    server.start([Echo(name) for name in models])


if __name__ == "__main__":
    main()
