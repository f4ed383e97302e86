# Two commands on a fresh machine: `make demo` and `make test`. Each makes its own environment first.

# The first Python here that is new enough; 3.13 is what Lambda runs and what `make build` needs.
PYTHON ?= $(shell for p in python3.13 python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
DEMO_VENV := .venv-demo
SAM_VENV := .venv-sam
SCAN_VENV := .venv-scan
EMULATE_VENV := .venv-emulate
RUNTIMES := .runtime/oldest .runtime/newest
TEMPLATES = template.yaml $(wildcard stacks/*.yaml)
BIN := $(VENV)/bin
SAM := $(SAM_VENV)/bin/sam
JOBS ?= auto
SEED ?= 1
# Those that cover the core; measuring that slows what they run by a third, so the others run without.
CORE_TESTS := tests/unit tests/property tests/integration/test_triage.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SAM_CLI_TELEMETRY := 0
export AWS_DEFAULT_REGION ?= us-east-1

# Makes the sources importable in an environment.
PATHS := import pathlib, sysconfig; \
	pathlib.Path(sysconfig.get_path("purelib"), "bedrock_remediator.pth") \
	.write_text("\n".join(str(pathlib.Path(p).resolve()) for p in ("layers/remediator", "cli", ".")))

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long fuzz lint types scan build runtime emulate bench pictures lock licences clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make the environment from hash-locked requirements

$(VENV)/.ready: requirements/dev.txt Makefile
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found" >&2; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --require-hashes --only-binary=:all: -r requirements/dev.txt
	@$(BIN)/python -c '$(PATHS)'
	@printf '%s\n' '#!/bin/sh' 'exec "$$(dirname "$$0")/python" -m bedrock_remediator_cli "$$@"' > $(BIN)/bedrock-remediator
	@chmod +x $(BIN)/bedrock-remediator
	@touch $@

$(SAM_VENV)/.ready: requirements/sam.txt
	@echo "setting up $(SAM_VENV) with $(PYTHON)"
	@rm -rf $(SAM_VENV)
	@$(PYTHON) -m venv $(SAM_VENV)
	@$(SAM_VENV)/bin/python -m pip install -qq --require-hashes -r requirements/sam.txt
	@touch $@

# The demonstration has an environment of its own: a quarter of what developing needs.
$(DEMO_VENV)/.ready: requirements/demo.txt Makefile
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found" >&2; exit 1; }
	@echo "Setting up $(DEMO_VENV) with $(PYTHON): about 190 MB, less than a minute."
	@rm -rf $(DEMO_VENV)
	@$(PYTHON) -m venv $(DEMO_VENV)
	@$(DEMO_VENV)/bin/python -m pip install -qq --require-hashes --only-binary=:all: -r requirements/demo.txt
	@$(DEMO_VENV)/bin/python -c '$(PATHS)'
	@touch $@
	@echo "Done. The sample denials are on their way."

demo: $(DEMO_VENV)/.ready ## show the service handling sample denials, on this machine; ALL=1 tells every story
	@$(DEMO_VENV)/bin/python -m sandbox demo $(if $(ALL),--all)

test: setup ## run every test but the long ones, in parallel and in random order; the core is covered whole
	$(BIN)/python -m pytest -n $(JOBS) --cov=bedrock_remediator.core --cov-branch --cov-fail-under=100 \
	    --cov-report=term-missing:skip-covered $(CORE_TESTS)
	$(BIN)/python -m pytest -n $(JOBS) $(CORE_TESTS:%=--ignore=%)

test-long: setup ## the tests that `make test` leaves out: every fault at every call, many interleavings
	$(BIN)/python -m pytest -n $(JOBS) -m long

fuzz: setup ## 200,000 mutated events and 50,000 mutated requests, by a seed: SEED=2 for others; half an hour
	$(BIN)/python -m tests.fuzz requests 50000 --seed $(SEED)
	$(BIN)/python -m tests.fuzz events 200000 --seed $(SEED)

lint: setup ## style, and which layer may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/lint-imports --config cli/importlinter.toml

types: setup ## mypy, strict
	$(BIN)/mypy

$(SCAN_VENV)/.ready: requirements/scan.txt
	@echo "setting up $(SCAN_VENV) with $(PYTHON)"
	@rm -rf $(SCAN_VENV)
	@$(PYTHON) -m venv $(SCAN_VENV)
	@$(SCAN_VENV)/bin/python -m pip install -qq --require-hashes --only-binary=:all: -r requirements/scan.txt
	@touch $@

scan: $(SCAN_VENV)/.ready ## look for weaknesses in the templates
	$(SCAN_VENV)/bin/cfn-lint --config-file .cfn-serverless.yaml --template $(TEMPLATES)
	$(SCAN_VENV)/bin/checkov --config-file .checkov.yaml $(TEMPLATES:%=--file %)

build: $(SAM_VENV)/.ready ## validate the template and build what `sam deploy` ships
	$(SAM) validate --lint
	$(SAM) build

# What stands for Lambda's /var/runtime: its interface client, and the oldest and the newest boto3 that are held to work.
.runtime/%/.ready: requirements/runtime-%.txt
	@rm -rf $(@D)
	@python3.13 -m pip install -qq --require-hashes --only-binary=:all: --root-user-action=ignore -r $< --target $(@D)
	@touch $@

runtime: setup $(RUNTIMES:%=%/.ready) ## run what `make build` made, as Lambda's runtime does, on an old and a new boto3
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m built tests/runtime

$(EMULATE_VENV)/.ready: requirements/emulate.txt
	@echo "setting up $(EMULATE_VENV) with python3.13"
	@rm -rf $(EMULATE_VENV)
	@python3.13 -m venv $(EMULATE_VENV)
	@$(EMULATE_VENV)/bin/python -m pip install -qq --require-hashes --only-binary=:all: -r requirements/emulate.txt
	@touch $@

emulate: setup $(SAM_VENV)/.ready $(EMULATE_VENV)/.ready ## deploy what `make build` made to MiniStack, and use it
	$(BIN)/python -m pytest -n 0 -p no:randomly -m built tests/emulation

bench: setup ## measure against the budgets in docs/performance.md
	$(BIN)/python -m benchmarks

pictures: setup ## draw what the operator's command prints, for docs/pictures
	@$(BIN)/python docs/pictures/terminal.py

lock: ## renew the locked requirements (needs uv)
	for name in layers/remediator/requirements layers/remediator/botocore requirements/demo requirements/dev \
	    requirements/sam requirements/scan requirements/runtime-oldest requirements/runtime-newest \
	    requirements/emulate; do \
	    uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras \
	        --upgrade --quiet $$name.in --output-file $$name.txt || exit 1; done

licences: setup ## write docs/licences.md from the layer's locked requirements
	$(BIN)/python -m tests.builders.licences > docs/licences.md

clean: ## remove everything that the targets above made
	rm -rf $(VENV) $(DEMO_VENV) $(SAM_VENV) $(SCAN_VENV) $(EMULATE_VENV) .runtime .emulate .aws-sam .build \
	    .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
