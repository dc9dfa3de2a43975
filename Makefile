# Everything a person or a workflow runs. `make help` lists it.
SHELL := /bin/sh
PYTHON ?= python3
STACK ?= local
ENGINE ?= auto
MLFLOW_PORT ?= 5000

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url
ENGINE_RUN := $(BIN)/python -m engine --stack $(STACK) --engine $(ENGINE)
SCRIPTS := $(wildcard .github/scripts/*.sh bootstrap/*.sh) .ci/run
# Its package on PyPI is no more than a download from elsewhere; Go's proxy checks what it hands out.
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
KQL := tests/monitoring
# The stacks on Azure import the cloud SDKs, which are large: a laptop's stack does without.
NEEDS := $(VENV)/$(if $(filter local,$(STACK)),local,cloud).stamp

.DEFAULT_GOAL := help
.PHONY: help setup setup-cloud up preview down outputs mlflow monitor test check format bench study kql lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/local.stamp ## make the virtual environment

setup-cloud: $(VENV)/cloud.stamp ## add what `pulumi up` needs for the stacks on Azure

up: $(VENV)/local.stamp ## train, register, prove and serve (STACK=local, ENGINE=auto|embedded|pulumi)
	@$(ENGINE_RUN) up

preview: $(NEEDS) ## say what an up would do, changing nothing (STACK=shared, staging, production: no credentials needed)
	@$(ENGINE_RUN) preview

down: $(VENV)/local.stamp ## stop and remove everything that `make up` made
	@$(ENGINE_RUN) down

outputs: $(VENV)/local.stamp ## print the stack's outputs as one JSON object
	@$(ENGINE_RUN) outputs

mlflow: $(VENV)/local.stamp ## open MLflow on the stack's runs and releases, until interrupted (MLFLOW_PORT=5000)
	@test -f .local/mlflow/mlflow.db || { echo "there is nothing to see yet: make up comes first"; exit 1; }
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(MLFLOW_PORT)))' 2>/dev/null || \
	  { echo "error: port $(MLFLOW_PORT) is taken; choose another: make mlflow MLFLOW_PORT=5055" >&2; exit 1; }
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --workers 1 --port $(MLFLOW_PORT) \
	  --backend-store-uri "sqlite:///$(CURDIR)/.local/mlflow/mlflow.db"

monitor: $(VENV)/monitor.stamp ## write .local/monitor.html: drift, scores, outliers, latency of the local log
	@$(BIN)/python -m monitoring

test: $(VENV)/dev.stamp kql ## run every test
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

check: $(VENV)/dev.stamp ## lint, formatting, types, shell scripts, workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/shellcheck $(SCRIPTS)
	@$(BIN)/zizmor --offline --no-progress --quiet .github
	@test -x $(BIN)/actionlint || ! command -v go >/dev/null || GOBIN=$(CURDIR)/$(BIN) go install $(ACTIONLINT)
	@if test -x $(BIN)/actionlint; then $(BIN)/actionlint -shellcheck $(BIN)/shellcheck -pyflakes=; \
	  else echo "actionlint is left out: it is built with Go, which is not here"; fi

format: $(VENV)/dev.stamp ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp ## measure the figures that the documents speak of
	@$(BIN)/python -m tests.bench

study: $(VENV)/dev.stamp ## compare the classifier's design with others by cross-validation (some five minutes)
	@$(BIN)/python -m tests.study

kql: ## install Microsoft's parser of KQL for the tests, where npm is; they skip what needs it without
	@if command -v npm > /dev/null; then $(MAKE) --silent $(KQL)/node_modules/.stamp \
	  || echo "the parser of KQL could not be installed: its tests will skip"; fi

lock: | $(BIN)/uv ## pin the requirements anew from the *.in files
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-local.in -c requirements.txt -o requirements-local.txt
	@$(LOCK) requirements-monitor.in -c requirements.txt -o requirements-monitor.txt
	@$(LOCK) requirements-dev.in -c requirements.txt -c requirements-monitor.txt -o requirements-dev.txt
	@$(LOCK) image/requirements.in -c requirements.txt -o image/requirements.txt
	@$(LOCK) image/requirements-fetch.in -c requirements.txt -o image/requirements-fetch.txt

clean: ## stop everything, then remove the virtual environment and all that the stack recorded
	@test ! -d .local || test ! -f $(VENV)/local.stamp || $(ENGINE_RUN) down
	rm -rf $(VENV) .local

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "error: Python 3.11 or newer is needed; say which with make PYTHON=python3.12 …")'
	@echo "making the virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

$(VENV)/local.stamp: requirements-local.txt | $(BIN)/uv
	@echo "installing what the local stack imports …"
	@$(UV) -r requirements-local.txt
	@touch $@

$(VENV)/cloud.stamp: requirements.txt | $(BIN)/uv
	@echo "installing what the stacks on Azure import …"
	@$(UV) -r requirements.txt
	@touch $@

$(VENV)/monitor.stamp: requirements-monitor.txt $(VENV)/local.stamp | $(BIN)/uv
	@echo "installing what the report of the local log needs …"
	@$(UV) -r requirements-monitor.txt
	@touch $@

$(KQL)/node_modules/.stamp: $(KQL)/package.json $(KQL)/package-lock.json
	@npm ci --prefix $(KQL) --silent --no-audit --no-fund
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt | $(BIN)/uv
	@echo "installing what the tests and checks need …"
	@$(UV) -r requirements-dev.txt
	@touch $@
