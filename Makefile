# The project's commands. CONTRIBUTING.md says when to use which.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV_PYTHON := .venv/bin/python

# What `make lock` may see: nothing published after this day. The newest of everything breaks Celery
# (docs/adr/0017-pins.md). moto's pin is younger, and the only exception.
LOCK_DATE := 2026-10-26
LOCK_EXCEPTIONS := --exclude-newer-package moto=2026-11-20

# All tests go through two processes, a file at a time; a choice of them through one, whose output is in order.
ALL_TESTS := --numprocesses 2 --dist loadfile

.PHONY: bench help setup test nightly soak-proof check format lab demo lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what the project needs into .venv; the other commands do this by themselves
	@.ci/setup

test: setup ## Run all tests; ARGS="tests/core -k soak" chooses among them
	@.ci/browser
	@$(VENV_PYTHON) -m pytest $(or $(ARGS),$(ALL_TESTS))

nightly: setup ## Run the campaigns that take too long for each change, whole
	@SLUICE_NIGHTLY=1 $(VENV_PYTHON) -m pytest -m "nightly or shared" --timeout 7200 $(ARGS)

soak-proof: setup ## Let 100,000 random worlds try to break the soak; CASES=1000 tries as many
	$(VENV_PYTHON) tests/core/test_soak_invariant.py $(or $(CASES),100000)

check: setup ## Check format, lint, types and who may import whom
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m mypy
	.venv/bin/lint-imports --no-logo

format: setup ## Format the code and repair what ruff can repair by itself
	$(VENV_PYTHON) -m ruff check --fix
	$(VENV_PYTHON) -m ruff format

bench: setup ## Print what the DAG files cost when they are parsed
	@$(VENV_PYTHON) tests/bench/parse_dags.py

lab: setup ## Serve a local AWS; ARGS="--fleet large --clock 60" are options of `python -m lab serve`
	@exec $(VENV_PYTHON) -m lab serve $(ARGS)

demo: setup ## Rehearse a fortnight of patching in Airflow, leave its UI open; DEMO=exit ends with the verdict
	@exec $(VENV_PYTHON) -m lab demo $(if $(filter exit,$(DEMO)),--exit) $(ARGS)

lock: setup ## Resolve requirements.in into requirements.txt again
	@.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-python-downloads \
		--generate-hashes --exclude-newer $(LOCK_DATE) $(LOCK_EXCEPTIONS) \
		--no-header --no-emit-index-url --no-emit-find-links \
		requirements.in --output-file requirements.txt
	@echo "Review the changes to requirements.txt, then run 'make check test': they install it first."

clean: ## Remove .venv and what the tools cached
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find dags include plugins tests -name __pycache__ -type d -prune -exec rm -rf {} +
