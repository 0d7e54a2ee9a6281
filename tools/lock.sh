#!/bin/sh
# Writes requirements/*.txt: versions and hashes only, no download addresses, so that any mirror serves. Needs uv on PATH.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url "$@"; }
lock pyproject.toml --extra operator --extra numpy --extra http2 --group dev -o requirements/dev.txt
lock pyproject.toml --extra operator -o requirements/operator.txt
lock --no-deps --group pyproject.toml:triton -o requirements/triton.txt
for part in kserve mlserver ray bentoml flask go kubectl bench build; do
    lock --group "pyproject.toml:$part" -o "requirements/$part.txt"
done
