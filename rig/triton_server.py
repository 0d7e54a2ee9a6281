"""NVIDIA's Triton on the CPU, out of pytriton's wheel, with echo models of its Python backend. V2 only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from rig.model_server import SERVERS, ModelServer
from rig.process import Child, RigError
from tools import envs

if TYPE_CHECKING:
    from collections.abc import Sequence

# Inputs of the echo models, and outputs of the same names: `FP32` of one dimension, `FP32-2d` of two, and so on.
# A request sends any of them.
DATATYPES = (
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
)
ABOUT_PYTHON = (
    "import json, sys, sysconfig as s; print(json.dumps([s.get_path('purelib'), s.get_config_var('LIBDIR'), "
    "s.get_config_var('INSTSONAME') or '', '%d.%d' % sys.version_info[:2]]))"
)


class TritonServer(ModelServer):
    """Not ready, loading and unknown alike: 400 with JSON. Server readiness: 400 once a model of the start has failed."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(models)
        for model in models:
            home = self.directory / "models" / model
            (home / "1").mkdir(parents=True)
            (home / "config.pbtxt").write_text(_config(model))
            shutil.copy(SERVERS / "triton_echo.py", home / "1" / "model.py")
            shutil.copy(SERVERS / "echo_state.py", home / "1")  # the backend heeds no PYTHONPATH

    def stop(self) -> None:
        super().stop()
        for left in Path("/dev/shm").glob(f"{self._shared_memory}*"):  # noqa: S108 (ours; a crash leaves it)
            left.unlink(missing_ok=True)

    @property
    def _shared_memory(self) -> str:
        return self.directory.name

    def make_ready(self, model: str | None = None) -> None:
        reload = self._told(model, "ready") or self._told(model, "loading")
        super().make_ready(model)
        if reload:
            self._post(f"/v2/repository/models/{model or self.model_name}/load")

    def make_unready(self, model: str | None = None) -> None:
        super().make_unready(model)
        self._post(f"/v2/repository/models/{model or self.model_name}/unload")
        self._wait_gone(model)

    def make_unknown(self, model: str | None = None) -> None:
        """Unloaded: Triton knows no difference."""
        self.make_unready(model)

    def make_loading(self, model: str | None = None) -> None:
        self.make_unready(model)
        self._tell(model, loading=True)
        with contextlib.suppress(httpx.ReadTimeout):  # it answers when the model is loaded
            self._post(f"/v2/repository/models/{model or self.model_name}/load", timeout=0.5)

    def _wait_gone(self, model: str | None) -> None:
        self._running().wait_ready(lambda: self._get(f"/v2/models/{model or self.model_name}/ready") is None, 10)

    def _command(self) -> Child:
        environment = envs.ensure("triton")
        packages, library, stub_python = _about(environment)
        triton = packages / "pytriton" / "tritonserver"
        _install_stub(triton, stub_python)
        command: list[str | Path] = [
            triton / "bin" / "tritonserver",
            f"--model-repository={self.directory / 'models'}",
            f"--backend-directory={triton / 'backends'}",
            "--http-address=127.0.0.1",
            f"--http-port={self.port}",
            "--allow-grpc=false",
            "--allow-metrics=false",
            "--exit-on-error=false",
            "--strict-readiness=true",
            "--model-control-mode=explicit",
            "--load-model=*",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
        ]
        env = {
            **self._environment(),
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(library),
        }
        return Child(command, self.log, env, cwd=self.directory)


def _about(environment: Path) -> tuple[Path, Path, str]:
    """Where the environment's packages and its Python's shared library are, and that Python's version."""
    said = subprocess.run([environment / "bin/python", "-c", ABOUT_PYTHON], capture_output=True, text=True, check=True)  # noqa: S603
    packages, library, name, version = json.loads(said.stdout)
    folders = [Path(library), *map(Path, ("/usr/lib", "/usr/lib64", "/lib"))]
    found = next((folder for folder in folders if ".so" in name and (folder / name).exists()), None)
    if found is None:
        raise envs.MissingError(f"Triton's Python backend needs libpython{version}.so (on Debian: apt-get install libpython{version})")
    return Path(packages), found, version


def _install_stub(triton: Path, python: str) -> None:
    """Put the process that runs Python models, built for this version of Python, where the backend looks for it."""
    target = triton / "backends" / "python" / "triton_python_backend_stub"
    source = triton / "python_backend_stubs" / python / target.name
    if not source.is_file():
        raise RigError(f"this Triton runs no models in Python {python}")
    if not target.is_file():
        unfinished = target.with_name(f"stub-{os.getpid()}")
        shutil.copy(source, unfinished)
        unfinished.rename(target)


def _config(model: str) -> str:
    inputs = [_tensor(datatype, dims, optional=True) for datatype in DATATYPES for dims in (1, 2)]
    outputs = [_tensor(datatype, dims) for datatype in DATATYPES for dims in (1, 2)]
    return f'name: "{model}"\nbackend: "python"\nmax_batch_size: 0\ninput [{",".join(inputs)}]\noutput [{",".join(outputs)}]\n'


def _tensor(datatype: str, dimensions: int, *, optional: bool = False) -> str:
    name = datatype if dimensions == 1 else f"{datatype}-{dimensions}d"
    kind = {"BYTES": "STRING"}.get(datatype, datatype)
    dims = ", ".join(["-1"] * dimensions)
    return f'{{ name: "{name}" data_type: TYPE_{kind} dims: [ {dims} ]{" optional: true" if optional else ""} }}'
