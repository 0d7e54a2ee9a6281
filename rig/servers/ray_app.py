"""A Ray Serve application: `ray_app.py PORT`. Runs in the environment of requirements/ray.txt."""

# What it imports is not installed where types are checked.
# mypy: disable-error-code="import-not-found,misc,untyped-decorator,attr-defined"

from __future__ import annotations

import sys

import ray
from ray import serve


@serve.deployment
class Echo:
    """Gives back what it is sent."""

    async def __call__(self, request: object) -> str:
        return str(request)


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Echo.bind(), route_prefix="/echo", blocking=True)
