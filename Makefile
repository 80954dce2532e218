# demo: from nothing to a program running on a real model. test, check: what CI runs. bench: figures beside transformers,
# and the program suite on our engine. bench-peers: the suite beside servers that run already, PEERS="name=url …"; SUITE has
# further options, such as --data DIR.
# contract: clients of other makers, in an environment of their own, against our server.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CONTRACT := .venv-contract

.PHONY: demo test check bench bench-peers contract clean

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
	$(BIN)/python -m benchmarks.suite $(SUITE)

bench-peers: $(INSTALLED)
	$(if $(PEERS),,$(error PEERS is empty: PEERS="name=http://host:port …"))
	$(BIN)/python -m benchmarks.suite --ours engine,server --peers "$(PEERS)" $(SUITE)

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
