# Everything runs in a virtual environment of its own, .venv; nothing has to be installed by hand.
# PYTHON chooses the interpreter it is made with (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check bench quality kafka-test recipes-test up down clean

help: ## what can be done here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(READY): pyproject.toml
	@echo "==> making a virtual environment in $(VENV) and installing OpsBridge with its development tools"
	@$(PYTHON) -c 'import sys; sys.exit("OpsBridge needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## half a minute of a storm: embedded broker, a real worker, incidents live
	@$(BIN)/opsbridge demo

test: $(READY) ## the tests; needs nothing but Python and pip
	@echo "==> running the tests on the embedded broker"
	@$(BIN)/python -m pytest -q -n 2 --ignore tests/live --ignore tests/stream
	@echo "==> and those that run workers, one after the other: they kill them and watch the clock"
	@$(BIN)/python -m pytest -q tests/live tests/stream

check: $(READY) ## what CI asks first: ruff, mypy strict, the tests
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> mypy"
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory test

kafka-test: $(READY) ## the suites that need Kafka, on a real Apache Kafka (JDK 17 and Maven; fetched into .cache)
	@echo "==> running the Kafka suites on Apache Kafka"
	@KAFKA_TESTS=require $(BIN)/python -m pytest -q -m kafka

recipes-test: $(READY) ## the recipes of docs/sources with the real tools; they must be installed (.ci/run names Debian's packages)
	@echo "==> running the recipes with the real tools, on the embedded broker"
	@TOOLS_TESTS=require $(BIN)/python -m pytest -q -m "tools and not kafka"

bench: $(READY) ## the benchmarks, as ratios of what the same run measures
	@$(BIN)/python -m benchmarks

quality: $(READY) ## faults with known truth: how often the root is right, beside naive engines; some minutes
	@$(BIN)/python -m benchmarks.quality --write

up: ## Apache Kafka, a worker and Prometheus in Docker
	docker compose up --build --detach

down: ## stop what `up` started, and remove its data
	docker compose down --volumes

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
