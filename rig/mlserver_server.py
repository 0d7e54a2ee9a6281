"""Seldon's MLServer with echo models. V2 only, JSON tensors only."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import httpx

from rig.model_server import ModelServer
from rig.process import Child, free_port
from tools import envs

if TYPE_CHECKING:
    from collections.abc import Sequence


class MLServerServer(ModelServer):
    """Not ready or loading: 400, empty. Unknown: 404. Server readiness: 400 while any model is not ready."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(models)
        for model in models:
            home = self.directory / "models" / model
            home.mkdir(parents=True)
            settings = {"name": model, "implementation": "mlserver_echo.Echo"}
            (home / "model-settings.json").write_text(json.dumps(settings))

    def make_ready(self, model: str | None = None) -> None:
        reload = self._told(model, "known")
        super().make_ready(model)
        if reload:
            self._post(f"/v2/repository/models/{model or self.model_name}/load")

    def make_unknown(self, model: str | None = None) -> None:
        self._post(f"/v2/repository/models/{model or self.model_name}/unload")
        self._tell(model, known=False)

    def make_loading(self, model: str | None = None) -> None:
        self.make_unknown(model)
        self._tell(model, loading=True)
        with contextlib.suppress(httpx.ReadTimeout):  # it answers when the model is loaded
            self._post(f"/v2/repository/models/{model or self.model_name}/load", timeout=0.5)

    def _command(self) -> Child:
        settings = {
            "host": "127.0.0.1",
            "http_port": self.port,
            "grpc_port": free_port(),
            "metrics_endpoint": None,
            "parallel_workers": 0,
            "debug": False,
        }
        models = self.directory / "models"
        (models / "settings.json").write_text(json.dumps(settings))
        mlserver = envs.ensure("mlserver") / "bin/mlserver"
        return Child([mlserver, "start", models], self.log, self._environment(), cwd=models)
