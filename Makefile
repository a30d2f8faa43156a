# `make` lists every target. The environment is made from requirements.lock when it changes.
SHELL := bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/.ready
# Bytecode is compiled on install: imports are three times slower without.
export UV_COMPILE_BYTECODE = 1
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo down fast test story soak faults check lint types contracts screenshots notebook docs lock clean

help: ## List every target
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: set PYTHON=..."; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=..."; exit 2; }
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' requirements.lock)"
	@echo "installing the locked environment into $(VENV)"
	@$(RUN)/uv pip install --quiet --python $(RUN)/python --require-hashes -r requirements.lock
	@$(RUN)/uv pip install --quiet --python $(RUN)/python --no-deps --editable .
	@touch $@

install: $(READY) ## Make the environment in .venv from the lock

demo: $(READY) ## Run the loop on real data: flights out of New York City in 2013
	@$(RUN)/python demo/run.py

down: $(READY) ## Stop everything the demo started
	@test ! -d .demo || $(RUN)/mlops --project .demo down --serving

fast: $(READY) ## Run the unit tests, without simulations, in under a minute
	@$(RUN)/python -m pytest tests/unit -m "not statistical" --hypothesis-profile=quick -n 2 --dist loadscope

test: $(READY) ## Run the tests, simulations too (a quarter of an hour on two cores)
	@$(RUN)/python -m pytest -m "not story and not soak" -n 3 --dist loadscope  # servers are waited for

story: $(READY) ## Run the long stories with every real part
	@$(RUN)/python -m pytest -m story -n 2 --dist loadscope

soak: $(READY) ## Live a simulated year of weekly windows (a quarter of an hour)
	@$(RUN)/python -m pytest -m soak -s

faults: $(READY) ## Live a day under each foreign setting, one at a time (an hour); a table is written
	@$(RUN)/python benchmarks/foreign_settings.py

check: lint types contracts test docs ## What must pass before you push

lint: $(READY) ## Format and lint
	@$(RUN)/ruff format --check . && $(RUN)/ruff check .

types: $(READY) ## Check types strictly
	@$(RUN)/mypy

contracts: $(READY) ## Check the direction of imports
	@$(RUN)/lint-imports

screenshots: $(READY) ## Take the pictures of docs/tour.md from the demo's project
	@test -d .demo || DEMO_MONTHS=2 $(RUN)/python demo/run.py
	@$(RUN)/mlops --project .demo up
	@$(RUN)/mlops --project .demo schedule set monitor 1d
	@$(RUN)/mlops --project .demo retrain || test $$? -eq 3  # refused, to be seen
	@$(RUN)/python docs/screenshots.py

notebook: $(READY) ## Run the notebook on the demo's project, and keep its outputs
	@test -d .demo || $(RUN)/python demo/run.py
	@$(RUN)/python docs/notebook.py

docs: $(READY) ## Build the documentation; a dead link fails
	@$(RUN)/mkdocs build --quiet --strict

lock: $(READY) ## Resolve the dependencies anew
	@$(RUN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--group demo --group dev pyproject.toml --output-file requirements.lock

clean: down ## Remove the demo and what tools left behind
	@rm -rf .demo site .cache dist .mypy_cache .ruff_cache .pytest_cache
