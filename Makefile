# Everything is set up in .venv on first use, and again only when pyproject.toml, setup.py or a Cython source changed.
#   PYTHON=python3.12   the Python to make .venv with         HINTING_NATIVE=1   compile for the CPU of this machine
#   ARGS="..."          more arguments for the command of a target, such as make test ARGS="-k buddy"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(firstword $(wildcard src/_core src/hinting/_core))
SOURCES := $(shell find $(CORE)/ -name '*.pyx' -o -name '*.pxd')
BUILT := $(VENV)/.built$(if $(filter 1,$(HINTING_NATIVE)),-native)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.NOTPARALLEL:
.PHONY: help run test bench docs lint clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## */\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

run: $(VENV)/.has-plot $(BUILT)  ## the original experiment: how many guests fit; results in out/seed
	$(BIN)/hinting run seed --out out/seed $(ARGS)

test: $(VENV)/.has-test $(BUILT)  ## all tests
	$(BIN)/pytest -n auto $(ARGS)

bench: $(VENV)/.has-bench $(BUILT)  ## the speed, beside a bare C buddy and the kernel of this machine
	@mkdir -p out && rm -f out/bench.json
	$(BIN)/pytest benchmarks --benchmark-json=out/bench.json --benchmark-columns=min,median,max,rounds $(ARGS) || [ $$? -eq 5 ]
	$(BIN)/python benchmarks/compare.py out/bench.json

docs: $(VENV)/.has-docs $(BUILT)  ## the documentation as a web site in out/docs
	$(BIN)/sphinx-build -q -W --keep-going -d out/doctrees docs out/docs $(ARGS)

lint: $(VENV)/.has-lint  ## ruff, cython-lint and mypy
	$(BIN)/ruff check .
	PATH="$(BIN):$$PATH" cython-lint $(CORE)
	$(BIN)/mypy

clean:  ## remove all that was built, and .venv
	rm -rf $(VENV) build dist out/docs out/doctrees docs/generated out/seed out/bench.json src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find $(CORE)/ -name '*.so' -delete
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.made: pyproject.toml
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "hinting: $(PYTHON) is not Python 3.11 or later with venv: install it (Debian: apt-get install python3-venv)" \
	    "or name another: make PYTHON=python3.12" >&2; exit 1; }
	@echo "hinting: setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' >$(VENV)/build-requires.txt
	@$(BIN)/pip install -q -r $(VENV)/build-requires.txt
	@touch $@

$(BUILT): setup.py $(SOURCES) $(VENV)/.made
	@echo "hinting: compiling the cores ..."
	@$(BIN)/python setup.py -q build_ext --inplace
	@rm -f $(VENV)/.built* && touch $@

# The package with one of its extras. Editable: Python files need nothing, the cores are compiled above.
$(VENV)/.has-%: $(VENV)/.made | $(BUILT)
	@echo "hinting: installing hinting[$*] ..."
	@$(BIN)/pip install -q --no-build-isolation -e '.[$*]'
	@touch $@
