# The recipes that people and CI share. Everything lands in .venv; `make` alone lists the recipes.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
WORKERS ?= auto

BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements.lock
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup guests run test long test-long bench lint format types docs lock clean

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install the project and its locked dependencies into .venv

$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "setup: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
ifneq ($(UV),)
	$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "setup: Python's venv is missing; on Debian install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --no-build-isolation -e .
endif
	@touch $@

guests: ## fetch the Debian kernels and build the initramfs (ARGS="--arch amd64" for one alone)
	$(PYTHON) tools/fetch_guests.py $(ARGS)

run: $(READY) ## the demonstration; with ARGS, `worldswitch run` with them
	@$(BIN)/worldswitch $(if $(ARGS),run $(ARGS),demo)

test: $(READY) ## the tests that every change runs; ARGS go to pytest
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long" $(ARGS)

long: $(READY) ## the long suite alone: a million states of each instruction format, fuzzing
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m long $(ARGS)

test-long: $(READY) ## all tests, the long ones too
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

bench: $(READY) ## measure the budgets, beside QEMU and Unicorn where they are installed
	@$(BIN)/worldswitch bench $(ARGS)

lint: $(READY) ## ruff, the formatter's check, the import contracts and the project's own checks
	$(BIN)/ruff check src tests tools
	$(BIN)/ruff format --check src tests tools
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_tree.py

format: $(READY) ## let ruff rewrite what it can
	$(BIN)/ruff check --fix src tests tools
	$(BIN)/ruff format src tests tools

types: $(READY) ## pyright, strict on src
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(READY) ## build the documentation into site/, strictly
	$(BIN)/mkdocs build --quiet --strict

lock: ## pin the dependencies anew in requirements.lock (needs uv)
	@test -n "$(UV)" || { echo "lock: uv is needed" >&2; exit 1; }
	@{ echo "# Exact versions and digests of everything 'make setup' installs. Made by 'make lock'."; \
	    $(UV) pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-annotate \
	        --no-emit-index-url --no-emit-find-links --group dev pyproject.toml; } > $(LOCK).new
	@mv $(LOCK).new $(LOCK)

clean: ## remove what the recipes made here (the guest images stay)
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
