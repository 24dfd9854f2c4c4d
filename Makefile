# `make` lists the targets. Each sets up what it needs first; nothing but Python 3.11+ and make has to be there.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
OMOI_HOME ?= .omoi
BIN := .venv/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
unexport UV_PYTHON VIRTUAL_ENV
ifneq ($(shell test -w "$$HOME" && echo writable),writable)
export UV_CACHE_DIR ?= $(CURDIR)/.venv/cache
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.setup ## Make .venv with what the lock file names
	@:

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'OmoiOS needs Python 3.11 or newer, and $(PYTHON) is older or missing. Name one: make PYTHON=python3.12' >&2; \
	  exit 1; }
	@echo 'Setting up .venv; the first time takes about a minute.'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq 'uv>=0.9,<1'

# Where only pip knows the way to a registry, pip installs the same versions with the same hashes.
.venv/.setup: pyproject.toml uv.lock | $(BIN)/uv
	@$(BIN)/uv sync --frozen --quiet $(if $(wildcard .venv/.bench),--group bench) || { \
	  echo 'uv could not fetch the packages; trying pip.' >&2; \
	  $(BIN)/uv export --frozen --quiet --no-emit-project --output-file .venv/requirements.txt && \
	  $(BIN)/python -m pip install -qq --require-hashes --requirement .venv/requirements.txt && \
	  $(BIN)/python -m pip install -qq --no-deps --editable .; }
	@touch $@

# The example project is a folder of this repository; the agents work on a copy that has a history of its own.
EXAMPLE := $(OMOI_HOME)/example
EXAMPLE_GIT := git -C $(EXAMPLE) -c user.name=example -c user.email=example@localhost
EXAMPLE_AGENT := $(CURDIR)/$(BIN)/python $(CURDIR)/examples/agents/agent.py
define RUN_EXAMPLE
rm -rf $(EXAMPLE)
mkdir -p $(OMOI_HOME)
cp -R examples/textkit $(EXAMPLE)
$(EXAMPLE_GIT) init --quiet --initial-branch=main
$(EXAMPLE_GIT) add --all
$(EXAMPLE_GIT) commit --quiet --message 'The project as it was found'
PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/omoi run examples/ticket.md examples/second-ticket.md \
  --repo $(EXAMPLE) --exec '$(EXAMPLE_AGENT)'
endef

.PHONY: run
run: setup ## Take two example tickets through every phase of a sample project
	@$(RUN_EXAMPLE)

.PHONY: up
up: setup ## Start every service, with Postgres and NATS, until Ctrl-C
	@$(BIN)/omoi up

# A worker for each processor, with servers of its own; a module stays with one, which makes its fixtures once.
.PHONY: test
test: setup ## Run the tests
	@$(BIN)/pytest -n logical --dist loadscope --no-loadscope-reorder

.PHONY: test-slow
test-slow: setup ## Run the tests that take minutes
	@$(BIN)/pytest -m slow

.PHONY: lint
lint: setup ## Check format, lint, types and imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: check
check: lint test ## Everything CI holds: lint, then the tests

.venv/.bench: .venv/.setup
	@$(BIN)/uv sync --frozen --quiet --group bench
	@touch $@

.PHONY: bench
bench: .venv/.bench ## Measure, beside the libraries we compare with
	@$(BIN)/python -m benchmarks

# Names of images that `make local-images` makes: make compose-test IMAGES=local
ifeq ($(IMAGES),local)
export BASE_IMAGE := omoios-local/python
export WORKER_BASE_IMAGE := omoios-local/python-git
export POSTGRES_IMAGE := omoios-local/postgres
export NATS_IMAGE := omoios-local/nats
endif
export OMOI_USER = $(shell id -u):$(shell id -g)
COMPOSE = $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
PROJECT = $(COMPOSE) --project-name omoios --file deploy/compose.yaml $(if $(PROFILE),--profile $(PROFILE))
define WITH_DOCKER
if docker info > /dev/null 2>&1; then $(1); else echo 'No Docker engine answers here: $@ is skipped.'; fi
endef

.PHONY: wheels
wheels: setup ## Lay ready what the images are built from, as uv.lock names it
	@$(BIN)/python -m deploy.wheels

.PHONY: local-images
local-images: setup ## Make base images where no image registry is reached; as root
	@$(call WITH_DOCKER,deploy/local-images)

.PHONY: compose-secrets
compose-secrets: setup
	@$(BIN)/python -m deploy.credentials deploy/secrets

.PHONY: images
images: ## Build an image for each service
	@$(call WITH_DOCKER,$(MAKE) --no-print-directory wheels compose-secrets && $(PROJECT) build --quiet)

.PHONY: compose-up
# A broker that runs reads its users first: a service that it does not know would never become well.
compose-up: images ## Start every service in a container; PROFILE=example adds a worker
	@$(call WITH_DOCKER,$(PROJECT) kill -s HUP nats > /dev/null 2>&1; $(PROJECT) up --detach --no-build)

.PHONY: compose-down
compose-down: ## Stop the containers; what they keep stays
	@$(call WITH_DOCKER,$(PROJECT) --profile example down)

.PHONY: compose-test
compose-test: ## Build the images, take a ticket to DONE, kill every container in turn
	@$(call WITH_DOCKER,$(MAKE) --no-print-directory wheels && $(BIN)/python -m deploy.trial $(COMPOSE))

.PHONY: manifests
manifests: setup ## Make the Kubernetes manifests that follow from the services
	@$(BIN)/python -m deploy.k8s manifests $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(TAG),--tag $(TAG))

.PHONY: clean
clean: ## Remove .venv and the caches; the data in .omoi stays
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
