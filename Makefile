# `make run` starts the whole exchange, `make test` tests it; both install what they need. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY = 0
export PYTHONPATH = layers/exchange:.

PYTHON_BIN := .venv/bin/python
SAM := .venv-sam/bin/sam
OWN := client bench deploy functions layers/exchange/exchange local matching_service tests

.PHONY: help run demo test test-long test-compiled chaos simulate check format lint types template house sam-validate sam-build bench bench-core bench-rivals clean
.PHONY: check-template checkov deploy preflight image bootstrap destroy deploy-two-regions deploy-local invoke event cost picture

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

# Installation: again only when a lock file changed.
.venv/.installed: requirements/local.txt local/install.sh
	@sh local/install.sh .venv requirements/local.txt && touch $@

.venv-sam/.installed: requirements/sam.txt local/install.sh
	@sh local/install.sh .venv-sam requirements/sam.txt && touch $@

.venv-checks/.installed: requirements/checks.txt local/install.sh
	@sh local/install.sh .venv-checks requirements/checks.txt && touch $@

.venv-emulator/.installed: requirements/emulator.txt local/install.sh
	@PYTHON="$$(sh local/runtime_python.sh)/python3" sh local/install.sh .venv-emulator requirements/emulator.txt && touch $@

# Byte code of our own modules: twice as quick a cold start.
.PHONY: compiled
compiled: .venv/.installed
	@$(PYTHON_BIN) -m compileall -q functions layers/exchange/exchange local matching_service client

run: compiled ## the whole exchange on this machine, until Ctrl-C (PORT=8080, REPLICATED=1 with a standby database)
	@exec $(PYTHON_BIN) -m local

demo: compiled ## bots that trade against a running exchange (RATE=100 SECONDS=60)
	@exec $(PYTHON_BIN) -m client.demo $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS)) $(ARGUMENTS)

test: compiled ## all tests but the long ones
	$(PYTHON_BIN) -m pytest -m "not long" $(ARGUMENTS)

test-long: compiled ## the tests that take minutes
	$(PYTHON_BIN) -m pytest -m long $(ARGUMENTS)

chaos: compiled ## the fault matrix done to running systems, everything checked (ROWS=list, ROWS=kill, SEED=1, TIMES=0.1)
	@exec $(PYTHON_BIN) -m tests.chaos $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED)) $(if $(TIMES),--times $(TIMES))

simulate: compiled ## leaders, clients and a database by seed, on a clock of their own (SEEDS=20000, SEED=7 replays one)
	@exec $(PYTHON_BIN) -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED))

check: lint types house check-template ## format, lint, types, template and house rules

format: .venv/.installed ## put all code into the one format
	$(PYTHON_BIN) -m ruff format .

lint: .venv/.installed
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m ruff check .

types: .venv/.installed
	$(PYTHON_BIN) -m mypy $(wildcard $(OWN))

house: .venv/.installed
	$(PYTHON_BIN) -m pytest tests/test_house.py

check-template: .venv/.installed .venv-sam/.installed .venv-checks/.installed sam-validate ## what can be said of the templates offline
	.venv-sam/bin/cfn-lint global.yaml
	$(PYTHON_BIN) -m pytest tests/test_template.py tests/test_rights.py tests/test_events.py tests/test_deploy.py tests/test_promises.py tests/test_checkov.py

sam-validate: .venv-sam/.installed ## the deployable template, as CloudFormation and SAM see it
	$(SAM) validate --lint

sam-build: .venv-sam/.installed ## what `sam deploy` uploads; needs the runtime's Python
	@runtime=$$(sh local/runtime_python.sh) && PATH="$$runtime:$$PATH" $(SAM) build

# The way to AWS: docs/operations.md. PROFILE is one of samconfig.toml.
PROFILE ?= default
CARRY = $(PYTHON_BIN) -m deploy --profile $(PROFILE)
DEPLOY = $(SAM) deploy --config-env $(PROFILE)
export ARCHITECTURE ?= x86_64

deploy: preflight sam-build ## the whole exchange into the AWS account of the credentials at hand (PROFILE=default)
	$(DEPLOY) --no-confirm-changeset --no-fail-on-empty-changeset
	image=$$($(CARRY) image --tag "$(TAG)") && tasks=$$($(CARRY) tasks --before-bootstrap) && \
		$(DEPLOY) --no-confirm-changeset --no-fail-on-empty-changeset --parameter-overrides "MatchingImage=$$image" $$tasks && \
		$(CARRY) bootstrap && { [ -z "$$tasks" ] || \
		$(DEPLOY) --no-confirm-changeset --no-fail-on-empty-changeset --parameter-overrides $$($(CARRY) tasks); }

preflight: .venv/.installed ## whether the account is ready; makes what is missing and free
	@$(CARRY) preflight

image: .venv/.installed ## build and push the image of the matching service; prints it by digest (TAG=the commit)
	@$(CARRY) image --tag "$(TAG)"

bootstrap: .venv/.installed ## schema, roles, mappings, seed and first keys of the deployed stack
	@$(CARRY) bootstrap

destroy: .venv/.installed ## delete a deployed stack of the profile small, with all that it would leave
	@$(CARRY) destroy

deploy-two-regions: .venv/.installed ## two regions and what they share (DRYRUN=1 prints the order; DOMAIN=, FIRST_CERTIFICATE=, ...)
	@PATH="$(CURDIR)/.venv-sam/bin:$$PATH" $(PYTHON_BIN) -m deploy --profile production two-regions $(if $(DRYRUN),--dry-run) \
		$(if $(SECOND),--second $(SECOND)) --domain "$(DOMAIN)" --first-certificate "$(FIRST_CERTIFICATE)" \
		--second-certificate "$(SECOND_CERTIFICATE)" --image "$(IMAGE)" --second-image "$(SECOND_IMAGE)"

deploy-local: compiled sam-build .venv-emulator/.installed ## `sam deploy` to an emulator, and an order through it
	@$(PYTHON_BIN) -m deploy.local_deployment

invoke: compiled sam-build ## every event of events/ through `sam local invoke` (LAMBDA_BASE=local: without AWS's base image)
	@$(PYTHON_BIN) -m deploy.invoke --sam $(SAM) --base $(if $(LAMBDA_BASE),$(LAMBDA_BASE),aws)

event: .venv/.installed ## a freshly signed event for `sam local invoke F -e -` (NAME=place)
	@$(PYTHON_BIN) -m deploy.event $(if $(NAME),$(NAME),place)

cost: .venv/.installed ## docs/cost.md
	@$(CARRY) cost

picture: .venv/.installed ## the picture of docs/architecture.md
	@$(CARRY) picture

# The pure core by mypyc, as the image has it: made again when a module of it, or the compiler's version, changed.
.compiled/made: .venv/.installed deploy/compiled.py $(wildcard matching_service/*.py layers/exchange/exchange/*.py)
	@echo "compiling the core …" && $(PYTHON_BIN) deploy/compiled.py .compiled && touch $@

test-compiled: .compiled/made ## the unit tests on the compiled core
	$(PYTHON_BIN) -m pytest -m "not long" -o "pythonpath=.compiled ." tests/unit $(ARGUMENTS)

bench: compiled .compiled/made ## every figure beside its limit and its budget (RUNS=3)
	@exec $(PYTHON_BIN) -m bench $(if $(RUNS),--runs $(RUNS)) $(ARGUMENTS)

bench-core: compiled .compiled/made ## book and engine alone, plain and compiled
	@PYTHONPATH=$(CURDIR)/layers/exchange:$(CURDIR) $(PYTHON_BIN) -P -m bench.core $(ARGUMENTS)
	@PYTHONPATH=$(CURDIR)/.compiled:$(CURDIR) exec $(PYTHON_BIN) -P -m bench.core $(ARGUMENTS)

.venv-rivals/.installed: requirements/rivals.txt local/install.sh
	@sh local/install.sh .venv-rivals requirements/rivals.txt && touch $@

bench-rivals: compiled .compiled/made .venv-rivals/.installed ## our core beside other engines, in one run
	@PYTHONPATH=$(CURDIR)/layers/exchange:$(CURDIR) $(PYTHON_BIN) -m bench.beside $(ARGUMENTS)

clean: ## remove the state of `make run` (not while it runs)
	@if [ -x $(PYTHON_BIN) ]; then $(PYTHON_BIN) -m local clean; else rm -rf .local; fi
