# demo: from nothing to a program running on a real model. test, check: what CI runs. bench: figures beside transformers.
# contract: clients of other makers, in an environment of their own, against our server.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CONTRACT := .venv-contract

.PHONY: demo test check bench contract clean

demo: $(INSTALLED)
	$(BIN)/sgdsl run examples/quickstart.py

test: $(INSTALLED)
	$(BIN)/pytest -q

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/sizes.py

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

contract: $(INSTALLED) $(CONTRACT)/.installed
	SGDSL=$(BIN)/sgdsl $(CONTRACT)/bin/pytest -q tests/contract

clean:
	rm -rf $(VENV) $(CONTRACT) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

$(CONTRACT)/.installed: pyproject.toml tests/contract/constraints.txt
	$(PYTHON) -m venv $(CONTRACT)
	$(CONTRACT)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(CONTRACT)/bin/pip install --quiet --constraint tests/contract/constraints.txt --group contract
	touch $@
