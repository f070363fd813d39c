# Set-up happens once, into .venv and .services; `make help` lists the targets.
# PYTHON=... picks the interpreter, ARGS=... is passed on to the program that the target runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadgroup -rfEs
IS_ROOT := $(filter 0,$(shell id -u))
PLUGIN := $(wildcard plugins_example/pyproject.toml)
# librados' binding comes with the system's packages, never from an index.
LINK_RADOS := $(BIN)/python tests/services/link_rados.py

# Two pips in one environment would trip over each other; pytest and ruff run in parallel by themselves.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help serve test test-fast test-long lint bench

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

serve: $(VENV)/server.stamp ## run the registry on http://127.0.0.1:5000
	$(BIN)/registry-server serve $(ARGS)

test: $(VENV)/dev.stamp $(if $(IS_ROOT),.services/installed) ## the whole suite, short forms; as root, real servers and clients too
	@$(LINK_RADOS)
	$(if $(IS_ROOT),REGISTRY_TESTS_REQUIRE_SERVICES=1) $(PYTEST) $(ARGS)

test-fast: $(VENV)/dev.stamp ## unit and API tests on the embedded default, under a minute
	$(PYTEST) -p no:schemathesis -m "not long and not slow" \
	    $(addprefix tests/,architecture unit library auth cli server server_settings api) $(ARGS)

test-long: $(VENV)/dev.stamp $(if $(IS_ROOT),.services/installed) ## the whole suite, long forms included
	@$(LINK_RADOS)
	$(if $(IS_ROOT),REGISTRY_TESTS_REQUIRE_SERVICES=1) $(PYTEST) -m "long or not long" --timeout 7200 $(ARGS)

lint: $(VENV)/dev.stamp ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy bench

bench: $(VENV)/dev.stamp $(if $(IS_ROOT),.services/bench) ## this server beside docker-registry, one table
	$(BIN)/python -m bench $(ARGS)

# An environment that could only be made in part is removed, so that the next try begins afresh.
$(BIN)/python:
	@for python in "$(PYTHON)" python3.14 python3.13 python3.12 python3.11 none; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done; \
	if [ "$$python" = none ]; then \
	    echo "make: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "make: $$python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; \
	    exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/server.stamp: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[server]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(PLUGIN) | $(BIN)/python
	$(PIP) install --editable '.[dev]' $(if $(PLUGIN),--editable ./plugins_example)
	@touch $@ $(VENV)/server.stamp

.services/installed: $(wildcard tests/services/*.sh)
	tests/services/install.sh
	@mkdir -p $(@D) && touch $@

.services/bench: bench/install.sh
	bench/install.sh
	@mkdir -p $(@D) && touch $@
