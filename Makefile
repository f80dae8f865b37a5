# Every target sets up what it needs in .venv; `make help` lists them.
# PYTHON=python3.12 or CXX=clang++ choose other tools, VENV=folder another environment, JOBS=n how many at a time,
# and `make test ARGS="-k page"` gives pytest more options.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
PYTHON ?=
JOBS ?= 2
ARGS ?=
CXX ?= g++
# Warnings stop the build where Esker is developed, not where a newer compiler has new ones.
STRICT ?= $(if $(CI),ON,OFF)

BIN := $(VENV)/bin
# The benchmarks' peers, apart: they want other versions of packages than Esker does.
PEERS_VENV ?= .venv-bench
DOCS_VENV ?= .venv-docs
# PySpark as text, for its doctests: from the benchmarks' peers where they are, or downloaded once (456 MB, so not for
# `make test`, which skips what reads it). Its Java archives are thrown away; none of it is imported or run.
PYSPARK := $(firstword $(wildcard $(PEERS_VENV)/lib/python*/site-packages/pyspark/core/rdd.py) .venv-pyspark/pyspark/core/rdd.py)
PY := $(BIN)/python
SOURCES := src tests benchmarks scripts $(wildcard examples)
CPP_SOURCES = $(shell find cpp -name '*.cc' -o -name '*.h')
QUIETLY := scripts/quietly.sh
PIP_INSTALL := $(PY) -m pip install --no-input --disable-pip-version-check

# Without a cmake of the machine's own one comes from the package registry. It lives in .venv, which need not be on
# the user's PATH, so there an import does not rebuild: make does, when a C++ source is newer.
CMAKE_FOUND := $(shell scripts/find_cmake.sh)
ifeq ($(CMAKE_FOUND),)
EDITABLE_OPTIONS := --config-settings=editable.rebuild=false
EDITABLE_SOURCES = $(CPP_SOURCES)
CMAKE_REQUIREMENTS := requirements/cmake.txt
endif

export PATH := $(abspath $(BIN)):$(PATH)
export PYTHON CXX

.PHONY: help setup demo test test-all test-guides test-memory test-page test-pyspark check bench bench-bitmap bench-peers docs plots fuzz simulate sanitize wheel clean \
	check-format check-lint check-types check-imports check-cpp check-stub sanitize-address sanitize-thread sanitize-python

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- set-up: three steps, each done again only when its inputs changed ----

$(PY):
	@$(QUIETLY) "making $(VENV)" scripts/make_venv.sh $(VENV)

$(VENV)/.requirements: $(PY) requirements/dev.txt $(CMAKE_REQUIREMENTS)
	@scripts/check_toolchain.sh $(PY) "$(CXX)"
	@$(QUIETLY) "installing pinned packages" $(PIP_INSTALL) -r requirements/dev.txt $(addprefix -r ,$(CMAKE_REQUIREMENTS))
	@touch $@

$(VENV)/.esker: $(VENV)/.requirements pyproject.toml CMakeLists.txt $(EDITABLE_SOURCES)
	@$(QUIETLY) "building the kernel" $(PIP_INSTALL) --no-build-isolation $(EDITABLE_OPTIONS) \
		--config-settings=cmake.define.ESKER_STRICT=$(STRICT) --constraint requirements/dev.txt \
		--editable '.[demo,duckdb,polars,s3,ui]'
	@touch $@

setup: $(VENV)/.esker  ## make .venv, install the pinned packages, build the C++ kernel
	@:

# ---- use ----

demo: setup  ## run the main job on real data; ends with a picture
	@$(BIN)/esker demo

# ---- test ----

test: setup  ## the fast tests, then those that measure memory, alone
	@$(PY) -m pytest -n $(JOBS) -m "not slow and not memory" $(ARGS)
	@$(if $(ARGS),:,$(MAKE) --no-print-directory test-memory)

test-all: setup sanitize sanitize-python $(PYSPARK)  ## every test: slow ones, memory, long fuzzing, sanitizers
	@ESKER_PYSPARK=$(abspath $(dir $(PYSPARK))..) HYPOTHESIS_PROFILE=long $(PY) -m pytest -n $(JOBS) -m "not memory"
	@$(PY) -m pytest -m memory
	@$(MAKE) --no-print-directory test-guides

# Alone: what else runs would not be measured, but would slow it down.
test-memory: setup
	@$(PY) -m pytest -m "memory and not slow"

test-page: setup  ## the live page in a real Chromium, or a word that there is none; screenshots in build/screenshots
	@$(PY) -m pytest -m slow tests/unit/ui $(ARGS)

.venv-pyspark/pyspark/core/rdd.py: $(PY) requirements/bench.txt
	@$(QUIETLY) "downloading PySpark" $(PIP_INSTALL) --no-deps --upgrade --target .venv-pyspark \
		"$$(grep '^pyspark==' requirements/bench.txt)"
	@rm -rf .venv-pyspark/pyspark/jars && touch $@

test-pyspark: setup $(PYSPARK)  ## PySpark's own doctests against esker.compat.pyspark; downloads PySpark once
	@ESKER_PYSPARK=$(abspath $(dir $(PYSPARK))..) $(PY) -m pytest -n $(JOBS) tests/unit/compat $(ARGS)

# ---- check ----

check: check-format check-lint check-types check-imports check-cpp check-stub  ## format, lint, types, import contracts, stub

check-format: setup
	@$(BIN)/ruff format --check $(SOURCES)

check-lint: setup
	@$(BIN)/ruff check $(SOURCES)

check-types: setup
	@$(BIN)/mypy

# PYTHONPATH, or it would check the installed copy.
check-imports: setup
	@PYTHONPATH=src $(BIN)/lint-imports --no-logo

check-cpp: setup
	@$(BIN)/clang-format --dry-run -Werror $(CPP_SOURCES)

check-stub: setup
	@$(PY) scripts/make_stub.py --check

# ---- under sanitizers: C++ alone, and what Python calls ----

# In a short form where CI asks for it: all cases take minutes under the thread sanitizer.
SHORT := $(if $(CI),ESKER_SHORT=1,)

sanitize: sanitize-address sanitize-thread  ## the C++ tests under address, undefined-behaviour and thread sanitizers

sanitize-address: setup
	@$(QUIETLY) "C++ tests under address and undefined-behaviour sanitizers" env $(SHORT) scripts/sanitize.sh address,undefined $(JOBS)

sanitize-thread: setup
	@$(QUIETLY) "C++ tests under the thread sanitizer" env $(SHORT) scripts/sanitize.sh thread $(JOBS)

SEEDS ?= 10000
# The machines and the simulator compiled with mypyc from the sources as they are; SIMULATE=python runs the sources.
SIMULATE ?= compiled
SIMULATOR := build/simulate
# Without hooks of site-packages (-S), which would lead to src.
SIMULATE_compiled = PYTHONPATH="$(abspath $(SIMULATOR)/lib):$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" $(PY) -S
SIMULATE_python = $(PY)

simulate: setup $(if $(filter compiled,$(SIMULATE)),$(SIMULATOR)/lib/.same)  ## run SEEDS seeds of a simulated cluster (10000), or SEEDS=FIRST:STOP; failing seeds are named
	@$(or $(SIMULATE_$(SIMULATE)),$(error SIMULATE=$(SIMULATE): it is compiled or python)) -m esker.cluster.simulation $(SEEDS)

$(SIMULATOR)/lib/.same: $(VENV)/.esker scripts/compile_simulator.py requirements/simulate.txt $(shell find src/esker/cluster src/esker/core src/esker/errors.py src/esker/__init__.py -name '*.py')
	@$(PY) -c 'import setuptools' 2>/dev/null || $(QUIETLY) "installing setuptools" $(PIP_INSTALL) -r requirements/simulate.txt
	@$(QUIETLY) "compiling the simulator" $(PY) scripts/compile_simulator.py $(SIMULATOR)

fuzz: setup  ## damage pages and bitmaps at random for ten minutes each, under sanitizers
	@ESKER_FUZZ_SECONDS=600 ESKER_TESTS=fuzz_test scripts/sanitize.sh address,undefined $(JOBS)

sanitize-python: setup
	@scripts/sanitize_python.sh

# ---- measure, package, clean ----

bench: setup  ## the benchmarks at moderate size; prints ratios to a reference
	@$(PY) -m benchmarks --rows 4000000
	@$(PY) -m benchmarks.bitmap_wah
	@$(BIN)/esker bench shuffle --quick

bench-bitmap: setup  ## bitmap encodings beside CRoaring, on ESKER_REALDATA; writes docs/benchmarks/bitmap-encodings.md
	@$(PY) -m benchmarks.bitmap_encodings --markdown docs/benchmarks/bitmap-encodings.md

$(PEERS_VENV)/.requirements: requirements/bench.txt
	@$(QUIETLY) "making $(PEERS_VENV)" scripts/make_venv.sh $(PEERS_VENV)
	@$(QUIETLY) "installing the benchmarks' peers" $(PEERS_VENV)/bin/python -m pip install --no-input \
		--disable-pip-version-check -r requirements/bench.txt
	@touch $@

bench-peers: setup $(PEERS_VENV)/.requirements  ## the slow peers too, installed apart; takes half an hour
	@ESKER_BENCH_VENV=$(abspath $(PEERS_VENV)) $(PY) -m benchmarks --rows 4000000 shuffle_peers shuffle_slow_peers map_groups

# ---- the documentation site ----

$(DOCS_VENV)/.requirements: requirements/docs.txt
	@$(QUIETLY) "making $(DOCS_VENV)" scripts/make_venv.sh $(DOCS_VENV)
	@$(QUIETLY) "installing what builds the site" $(DOCS_VENV)/bin/python -m pip install --no-input \
		--disable-pip-version-check -r requirements/docs.txt
	@touch $@

docs: setup $(DOCS_VENV)/.requirements  ## build the site into build/site; a link that leads nowhere is an error
	@$(PY) scripts/make_site.py build/docs
	@$(QUIETLY) "building build/site" $(DOCS_VENV)/bin/zensical build --strict --clean

plots: $(DOCS_VENV)/.requirements  ## draw the plots of docs/benchmarks from the tables of its pages
	@$(DOCS_VENV)/bin/python scripts/plot_benchmarks.py

test-guides: setup  ## type every page of the docs from a wheel in an empty folder, with the extras that the page names
	@$(QUIETLY) "building the wheel" $(PY) -m pip wheel . --no-deps --wheel-dir build/guides/dist
	@$(PY) scripts/type_guides.py build/guides/dist/*.whl

wheel: setup  ## build the wheel and try it in an environment of its own
	@scripts/wheel_smoke.sh

clean:  ## remove .venv, .venv-bench and everything built
	@rm -rf $(VENV) $(PEERS_VENV) $(DOCS_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
