"""A web application of somebody's own: `flask_app.py PORT`. Runs in the environment of requirements/flask.txt."""

# What it imports is not installed where types are checked.
# mypy: disable-error-code="import-not-found,untyped-decorator"

from __future__ import annotations

import os
import sys
from pathlib import Path

from flask import Flask

app = Flask(__name__)


@app.get("/healthz")
def healthz() -> tuple[dict[str, str], int]:
    """Its own readiness route."""
    ready = not Path(os.environ["GROUND_STATE"], "unready").exists()
    return {"status": "ok" if ready else "warming up"}, 200 if ready else 503


@app.post("/predict")
def predict() -> dict[str, str]:
    """What it is for."""
    return {"prediction": "echo"}


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]))
