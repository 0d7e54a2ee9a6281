# The two commands that matter: `make demo` shows it at work, `make test` proves it. Each installs what it needs.
# Only Python 3.11 or newer, make and the package registries are needed.

PYTHON ?= python3
BIN := .venv/bin
# What a slow first run is doing is said on the terminal; everything installed or built is kept for the next.
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test unit real test-faults bench check format lint types layers lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 | /p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' $(MAKEFILE_LIST)

demo: $(READY) ## three models on a real API server; one falls ill and recovers (KEEP=1 to stay)
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

test: unit real ## all tests, on real parts

unit: $(READY) ## the tests that need nothing but Python, and their coverage
	@$(BIN)/coverage run -m pytest -q tests/unit tests/shipping tests/corpus
	@$(BIN)/coverage report --fail-under=95

real: $(READY) ## the tests on a real API server and real model servers
	@$(BIN)/python -m rig.prepare || true # what can't be had is skipped below, with its reason
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile -m "not long" tests/integration

test-faults: $(READY) ## every fault of the API server and the network before it, the long ones too
	@$(BIN)/python -m rig.prepare controlplane
	@$(BIN)/python -m pytest -q -n 3 --dist load tests/integration/watching/faults

bench: $(READY) ## what a probe costs, ours and others', side by side, in some 30 minutes (QUICK=1: in 3)
	@$(BIN)/python -m bench $(if $(QUICK),--quick)

check: format lint types layers test ## all that CI checks

format: $(READY) ## is everything formatted?
	@$(BIN)/ruff format --check .

lint: $(READY) ## ruff, all rules
	@$(BIN)/ruff check .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

layers: $(READY) ## who may import whom
	@$(BIN)/lint-imports --no-logo

lock: ## write requirements/*.txt anew; needs uv
	@tools/lock.sh

clean: ## remove what was installed here; the cache of built parts stays
	@rm -rf .venv dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): requirements/dev.txt pyproject.toml tools/envs.py
	@command -v $(PYTHON) >/dev/null || { echo "isvcwatch: $(PYTHON) is not on PATH: install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) tools/envs.py dev .venv >/dev/null
	@touch $@
