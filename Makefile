# `make run` starts the whole exchange, `make test` tests it; both install what they need. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY = 0
export PYTHONPATH = layers/exchange:.

PYTHON_BIN := .venv/bin/python
SAM := .venv-sam/bin/sam
OWN := client bench functions layers/exchange/exchange local matching_service tests

.PHONY: help run demo test test-long check format lint types template house sam-validate sam-build bench bench-core clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

# Installation: again only when a lock file changed.
.venv/.installed: requirements/local.txt local/install.sh
	@sh local/install.sh .venv requirements/local.txt && touch $@

.venv-sam/.installed: requirements/sam.txt local/install.sh
	@sh local/install.sh .venv-sam requirements/sam.txt && touch $@

# Byte code of our own modules: twice as quick a cold start.
.PHONY: compiled
compiled: .venv/.installed
	@$(PYTHON_BIN) -m compileall -q functions layers/exchange/exchange local matching_service client

run: compiled ## the whole exchange on this machine, until Ctrl-C (PORT=8080)
	@exec $(PYTHON_BIN) -m local

demo: compiled ## bots that trade against a running exchange (RATE=100 SECONDS=60)
	@exec $(PYTHON_BIN) -m client.demo $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS)) $(ARGUMENTS)

test: compiled ## all tests but the long ones
	$(PYTHON_BIN) -m pytest -m "not long" $(ARGUMENTS)

test-long: compiled ## the tests that take minutes
	$(PYTHON_BIN) -m pytest -m long $(ARGUMENTS)

check: lint types sam-validate house ## format, lint, types, template and house rules

format: .venv/.installed ## put all code into the one format
	$(PYTHON_BIN) -m ruff format .

lint: .venv/.installed
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m ruff check .

types: .venv/.installed
	$(PYTHON_BIN) -m mypy $(wildcard $(OWN))

house: .venv/.installed
	$(PYTHON_BIN) -m pytest tests/test_house.py tests/test_template.py tests/test_rights.py

sam-validate: .venv-sam/.installed ## the deployable template, as CloudFormation and SAM see it
	$(SAM) validate --lint

sam-build: .venv-sam/.installed ## what `sam deploy` uploads; needs the runtime's Python
	@runtime=$$(sh local/runtime_python.sh) && PATH="$$runtime:$$PATH" $(SAM) build

bench: compiled ## every figure beside its limit and its budget (RUNS=3)
	@exec $(PYTHON_BIN) -m bench $(if $(RUNS),--runs $(RUNS)) $(ARGUMENTS)

bench-core: compiled ## book and engine alone
	@PYTHONPATH=$(CURDIR)/layers/exchange exec $(PYTHON_BIN) -m bench.core $(ARGUMENTS)

clean: ## remove the state of `make run` (not while it runs)
	@if [ -x $(PYTHON_BIN) ]; then $(PYTHON_BIN) -m local clean; else rm -rf .local; fi
