# Set-up and checks. `make demo` and `make test` work from a clean clone with nothing but Python 3.11, make and git.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo results test test-cluster test-all check format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED)  ## make the virtual environment (.venv) with every package at its pinned version

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)  ## run the quickstart sweep and print its table
	$(BIN)/selfish run quickstart

results: $(INSTALLED)  ## rebuild every table and figure that README and docs show, from exports/
	$(BIN)/python docs/rebuild.py

test: $(INSTALLED)  ## run the tests
	$(BIN)/python -m pytest -m "not slow and not cluster"

test-cluster: $(INSTALLED)  ## run the tests that start clusters of several nodes (as root: network namespaces)
	$(BIN)/python -m pytest -m cluster

test-all: $(INSTALLED)  ## run all tests, the slow ones and the clusters too
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## check style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
