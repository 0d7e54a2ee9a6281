"""KServe's own ModelServer, with models that can be told to misbehave one by one. V1 and V2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.model_server import FOREVER, SERVERS, ModelServer
from rig.process import Child
from tools import envs

if TYPE_CHECKING:
    from pathlib import Path


class KServeServer(ModelServer):
    """Not ready or loading: 503. Unknown: 404. Server readiness: always 200."""

    def make_unknown(self, model: str | None = None) -> None:
        self._tell(model, known=False)

    def make_loading(self, model: str | None = None) -> None:
        """Answered as not ready: KServe knows no difference."""
        self.make_unready(model)

    def hang_model(self, model: str | None = None) -> None:
        """Nothing about this model is answered; the server and its other models are well."""
        self._tell(model, health_delay=FOREVER, infer_delay=FOREVER)

    def _command(self) -> Child:
        python = envs.ensure("kserve") / "bin/python"
        command: list[str | Path] = [python, SERVERS / "kserve_echo.py", str(self.port), *self.models]
        return Child(command, self.log, self._environment(), cwd=self.directory)
