# Everything runs in .venv, made on first use from setup.cfg and constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The first interpreter that runs and is new enough; `make PYTHON=/path/to/python` overrides.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)

# Threads that spin while they wait slow down every other process on a shared machine.
QUIET_THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

.DEFAULT_GOAL := help
.PHONY: help demo test check docs linkcheck fuzz lint format setup constraints lowest

help:  ## show this list
	@echo "ase-geomformer: machine-learned potentials for ASE"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "Options: PYTHON=/path/to/python (3.11 or newer), ARGS=\"-k graph\" (passed to pytest)"

demo: $(STAMP)  ## 1 ps of molecular dynamics of ethanol with the shipped potential, compiled once
	@$(QUIET_THREADS) $(BIN)/python md_examples/ethanol_nvt.py --compile

test: $(STAMP)  ## run the tests
	@$(QUIET_THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: lint  ## style, types, imports and a quick selection of tests: a minute on two cores
	@$(QUIET_THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal -m quick $(ARGS)

fuzz: $(STAMP)  ## random damage to potentials and structures, and kills at every file operation
	@$(QUIET_THREADS) $(BIN)/python benchmarks/fuzz.py --seconds 600 $(ARGS)
	@$(QUIET_THREADS) $(BIN)/python tests/kills/table.py build/kills

lint: $(STAMP)  ## check style (ruff), types (mypy) and imports between rooms (import-linter)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/mypy

docs: $(STAMP)  ## build the documentation site into build/docs; every tutorial is run
	@$(QUIET_THREADS) $(BIN)/sphinx-build -W --keep-going -q docs build/docs
	@$(BIN)/codespell
	@echo "open build/docs/index.html"

linkcheck: $(STAMP)  ## try every external link of the documentation (needs the network)
	@$(BIN)/sphinx-build -b linkcheck -D plot_gallery=False -q docs build/links

format: $(STAMP)  ## apply the style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

setup: $(STAMP)  ## make .venv with the tested versions of everything

constraints:  ## resolve the newest dependencies and freeze them in constraints.txt
	@$(find-python)
	@rm -rf build/newest && $(PYTHON) -m venv build/newest
	@build/newest/bin/python -m pip install --quiet ".[dev]"
	@{ sed -n '/^#/p' constraints.txt; build/newest/bin/python -m pip freeze --all \
		| grep -Ev '^(ase-geomformer|pip)[ =]' | sed 's/+[a-z0-9.]*$$//'; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/newest

lowest:  ## run the tests with the lowest versions that setup.cfg allows
	@$(find-python)
	@rm -rf build/lowest && $(PYTHON) -m venv build/lowest
	@build/lowest/bin/python -m pip install --quiet uv
	@build/lowest/bin/uv pip install --quiet --python build/lowest/bin/python \
		--resolution lowest-direct --editable ".[test]"
	@$(QUIET_THREADS) build/lowest/bin/python -m pytest -n 2 --dist worksteal $(ARGS)

# --clear: an environment left by another interpreter is not mixed with the new one.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(find-python)
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): a minute or two, about 1.5 GB."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

define find-python
test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "Python 3.11 or newer is needed and was not found$(if $(PYTHON), as '$(PYTHON)')." \
	"Install it, or name it: make PYTHON=/path/to/python"; exit 1; } >&2; \
$(PYTHON) -c 'import ensurepip, venv' || { \
	echo "$(PYTHON) cannot make virtual environments: its venv and ensurepip modules are missing" \
	"(on Debian and Ubuntu: apt install python3-venv)."; exit 1; } >&2; \
command -v c++ >/dev/null || command -v g++ >/dev/null || \
	echo "Note: no C++ compiler found. Everything works without one, except compile=True" \
	"(torch.compile) on the CPU."
endef
