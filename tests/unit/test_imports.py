"""The client stands on its own: neither Kubernetes nor numpy is loaded for a health check."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["isvcwatch", "isvcwatch.client", "isvcwatch.cli", "isvcwatch.check"])
def test_nothing_of_the_operator_is_loaded(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'kopf', 'kubernetes', 'aiohttp', 'prometheus_client', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "[]\n"
