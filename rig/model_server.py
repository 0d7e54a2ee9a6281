"""What all real model servers have in common: several echo models, told one by one to be well or not."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from rig.process import Child, RigError, free_port
from rig.servers import echo_state

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVERS = Path(__file__).with_name("servers")
READY_TIMEOUT = 90.0  # seconds; under 10 on an idle machine
ATTEMPTS = 3
FOREVER = 3600.0  # seconds
LIVE = "/v2/health/live"


class ModelServer(ABC):
    """A server in a process of its own on loopback. Use `start()`, then `stop()`, or a `with` block.

    Methods that take `model` mean the first of `models` when it is left out.
    """

    def __init__(self, models: Sequence[str]) -> None:
        self.models = tuple(models)
        self.directory = Path(tempfile.mkdtemp(prefix="isvcwatch-server-"))
        self.port = 0
        self._state = self.directory / "state"
        self._state.mkdir()
        self._states: dict[str, dict[str, bool | float]] = {}
        self._child: Child | None = None

    @classmethod
    def start(cls, *models: str) -> Self:
        """Start one with echo models of these names (`echo` without any), ready to answer.

        Raises:
            RigError: it did not start; the end of its log is in the message.
            tools.envs.MissingError: its environment can't be made.
        """
        this = cls(models or ("echo",))
        atexit.register(this.stop)
        try:
            this._launch_somewhere()
        except BaseException:
            this.stop()
            raise
        return this

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def model_name(self) -> str:
        return self.models[0]

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    # --- one model

    def make_ready(self, model: str | None = None) -> None:
        """Well again, whatever was wrong with the model."""
        self.resume()
        self._tell(model)

    def make_unready(self, model: str | None = None) -> None:
        """The server answers that the model is not ready."""
        self._tell(model, ready=False)

    @abstractmethod
    def make_unknown(self, model: str | None = None) -> None:
        """The server no longer knows the model."""

    @abstractmethod
    def make_loading(self, model: str | None = None) -> None:
        """The model is being loaded, until `make_ready`."""

    def slow(self, seconds: float, model: str | None = None) -> None:
        """Inference takes that long, and readiness where the server asks the model for it."""
        self._tell(model, health_delay=seconds, infer_delay=seconds)

    def hang_inference(self, model: str | None = None) -> None:
        """Readiness is answered, inference never."""
        self._tell(model, infer_delay=FOREVER)

    # --- the whole server

    def hang(self) -> None:
        """Accepts connections and answers nothing, until `make_ready` or `resume`."""
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def crash(self) -> None:
        """Ends at once; connections are refused. `restart()` or `reset()` brings it back at the same address."""
        self._running().kill()

    def restart(self) -> None:
        self._running().kill()
        self._launch()

    def reset(self) -> None:
        """As it was after `start()`."""
        if not self._running().running:
            self._forget()
            self._launch()
        for model in self.models:
            self.make_ready(model)

    def stop(self) -> None:
        """End it and remove what it wrote."""
        atexit.unregister(self.stop)
        if self._child:
            self._child.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- within

    @abstractmethod
    def _command(self) -> Child:
        """Start the process on `self.port`."""

    def _ready(self) -> bool:
        """Whether it serves, and all models that have not been told otherwise are ready."""
        well = (model for model in self.models if not self._states.get(model))
        return all(self._get(path) for path in (LIVE, *(f"/v2/models/{model}/ready" for model in well)))

    def _get(self, path: str) -> httpx.Response | None:
        """A successful answer, or None."""
        try:
            answer = httpx.get(self.base_url + path, timeout=2, trust_env=False)
        except httpx.TransportError:
            return None
        return answer if answer.is_success else None

    def _post(self, path: str, timeout: float = 30) -> None:
        answer = httpx.post(self.base_url + path, json={}, timeout=timeout, trust_env=False)
        if answer.is_error:
            raise RigError(f"{path}: {answer.status_code} {answer.text[:500]}")

    def _tell(self, model: str | None, **state: bool | float) -> None:
        name = model or self.model_name
        self._states[name] = state
        echo_state.write(self._state, name, state)

    def _told(self, model: str | None, field: str) -> bool:
        """Whether the last word about the model had `field` in it."""
        return field in self._states.get(model or self.model_name, {})

    def _forget(self) -> None:
        for model in self.models:
            self._tell(model)

    def _running(self) -> Child:
        if self._child is None:
            raise RigError("the server has not been started")
        return self._child

    def _environment(self) -> dict[str, str]:
        return {"GROUND_STATE": str(self._state), "PYTHONPATH": str(SERVERS)}

    def _launch_somewhere(self) -> None:
        for attempt in range(ATTEMPTS):
            self.port = free_port()
            try:
                self._launch()
            except RigError as error:
                if attempt == ATTEMPTS - 1 or "address already in use" not in str(error).lower():
                    raise
            else:
                return

    def _launch(self) -> None:
        self._child = self._command()
        try:
            self._child.wait_ready(self._ready, READY_TIMEOUT)
        except RigError:
            self._child.kill()
            raise
