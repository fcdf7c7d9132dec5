# `make` alone lists what there is. Everything lives in .venv and var; nothing else on the machine is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install install-dev run live test lint types format

help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

install: $(VENV)/.product ## fill .venv with what the product needs (PYTHON=python3.12 chooses another Python)

install-dev: $(VENV)/.tools ## ... and with what tests and tools need

run: $(VENV)/.product ## run everything until Ctrl-C (HOST=127.0.0.1 PORT=8000)
	@exec $(BIN)/python -m smartmaint.supervisor run

live: $(VENV)/.product ## in a second terminal: go on posting live readings
	@exec $(BIN)/python manage.py simulate $(ARGS)

# The tests' own key, so that they need nothing from the terminal.
test: export SECRET_KEY := only-for-tests
test: $(VENV)/.tools ## run the tests on a database of their own, or on DATABASE_URL (ARGS="-k booking")
	@exec $(BIN)/python -m smartmaint.supervisor with-database -- $(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(VENV)/.tools ## check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: export SECRET_KEY := only-for-types
types: $(VENV)/.tools ## check types
	@$(BIN)/python -m mypy

format: $(VENV)/.tools ## put the code into its format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1): say make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.product: requirements.txt | $(BIN)/python
	@echo "Installing the product's packages into $(VENV) (once, some minutes)"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.tools: requirements-dev.txt $(VENV)/.product
	@echo "Installing the tests' packages into $(VENV)"
	@$(PIP) install -r requirements-dev.txt
	@touch $@
