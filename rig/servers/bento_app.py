"""A BentoML service that can be told to be unready: `bentoml serve bento_app:Echo`.

Runs in the environment of requirements/bentoml.txt.
"""

# What it imports is not installed where types are checked.
# mypy: disable-error-code="import-not-found,misc,untyped-decorator"

from __future__ import annotations

import os
from pathlib import Path

import bentoml

UNREADY = Path(os.environ["GROUND_STATE"], "unready")


@bentoml.service
class Echo:
    """Gives back what it is sent."""

    @bentoml.api
    def predict(self, text: str) -> str:
        return text

    async def __is_ready__(self) -> bool:
        return not UNREADY.exists()  # noqa: ASYNC240 -- a flag of a test
