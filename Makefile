# Everything a newcomer needs; wants only Python 3.11, git and make.
PYTHON ?= python3
AIRFLOW ?= 3.3.2
MATRIX ?= 3.0.6 3.1.8 3.2.2 3.3.2 3.4.0b2
VENV := .venv
BIN := $(VENV)/bin
# uv resolves and installs in seconds what takes pip half a minute.
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
TESTS := $(BIN)/python scripts/run_tests.py
# The tests of an xdist_group share a process, one after the other. A test that ends its process ends all: another
# process would run it again.
BY_GROUP := --dist loadgroup --no-loadscope-reorder --max-worker-restart 0
# Three processes for two cores.
PARALLEL := -n auto $(BY_GROUP)
# Tests of callbacks in whole Airflows wait nearly all of the time, and there are two groups of them.
FOUR_AIRFLOWS := -n 4 $(BY_GROUP)
WHOLE_AIRFLOWS := tests/chaos tests/standalone tests/callbacks/test_api_server.py tests/callbacks/test_uses_airflow.py \
	tests/callbacks/test_whole_way.py
PRODUCTION := tests/callbacks/test_production.py
WITHOUT_AIRFLOWS := $(addprefix --ignore=,$(WHOLE_AIRFLOWS) $(PRODUCTION))
# What PYTEST_ARGS selects may have none of the one or the other; without it, no tests are a failure.
MAY_BE_NONE = $(if $(PYTEST_ARGS),|| [ $$? -eq 5 ])
# Airflow is many processes. Where this is set, as in some containers, each of them compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up check test test-production test-chaos test-matrix lint docs bench clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.8'
	@touch $@

$(VENV)/.installed: $(VENV)/.uv pyproject.toml
	@echo "==> Installing Airflow $(AIRFLOW) and this provider into $(VENV) …"
	$(INSTALL) 'apache-airflow==$(AIRFLOW)' --editable '.[images,media]' --group test --group lint --group build
	@touch $@

$(VENV)/.production: $(VENV)/.installed
	$(INSTALL) --group production
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(INSTALL) --group docs
	@touch $@

demo: $(VENV)/.installed ## the main job end to end: an example DAG, from the prompt to a clip on disk
	@$(BIN)/python scripts/demo.py

up: $(VENV)/.installed ## Airflow with its UI, and the emulator, until Ctrl-C
	@$(BIN)/python scripts/up.py

check: lint ## ruff, mypy and all tests that are not slow, in six minutes
	$(TESTS) $(PARALLEL) -m 'not slow' $(PYTEST_ARGS)

# Whole Airflows are slow beside other tests, and make them late.
test: $(VENV)/.installed ## all tests but those of test-production
	$(TESTS) $(PARALLEL) $(WITHOUT_AIRFLOWS) $(PYTEST_ARGS) $(MAY_BE_NONE)
	$(TESTS) $(FOUR_AIRFLOWS) $(WHOLE_AIRFLOWS) $(PYTEST_ARGS) $(MAY_BE_NONE)

test-production: $(VENV)/.production ## callbacks in production: apt-get install nginx-light postgresql redis-server
	$(TESTS) $(PRODUCTION) $(PYTEST_ARGS)

test-chaos: $(VENV)/.installed ## 200 random schedules of death and trouble on real Airflow (CHAOS_SEED, CHAOS_SCHEDULES)
	CHAOS_SCHEDULES=$${CHAOS_SCHEDULES:-200} $(TESTS) $(PARALLEL) tests/chaos $(PYTEST_ARGS)

test-matrix: $(VENV)/.uv ## the quick tests on every version of Airflow that we support
	@$(BIN)/python scripts/test_matrix.py $(MATRIX)

lint: $(VENV)/.installed ## ruff, mypy, which module may import which, and plain words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/draw_architecture.py --check
	$(BIN)/python scripts/check_words.py

docs: $(VENV)/.docs ## the documentation, into docs/_build/html
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q -b html docs docs/_build/html

bench: $(VENV)/.installed ## the benchmarks; see benchmarks/README.md
	@$(BIN)/python benchmarks/run.py

clean: ## remove what the targets above made
	rm -rf $(VENV) .venv-* .demo .up docs/_build build dist
