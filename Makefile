# Two commands do everything: `make up` and `make test`. The rest is for those who work on Signalbox.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
  INSTALL = uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes --no-deps
  INSTALL_SELF = uv pip install --quiet --python $(BIN)/python --no-deps -e .
else
  INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
  INSTALL_SELF = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endif

.PHONY: up test test-slow test-vllm check format lock clean help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: $(STAMP) ## Install, load the demo workspace, serve on http://127.0.0.1:8080
	@exec $(BIN)/signalbox up

test: $(DEV_STAMP) ## Run the tests
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(DEV_STAMP) ## Run the slow tests: kills, soak, a clean install of the wheel
	$(BIN)/python -m pytest -m slow --timeout 900

check: $(DEV_STAMP) ## Lint, types, import rules, declared dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	PYTHONPATH=a2a $(BIN)/lint-imports
	$(BIN)/deptry .

format: $(DEV_STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Renew the pinned requirements (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet --upgrade -o requirements/app.txt
	uv pip compile requirements/embedder.in --override requirements/overrides.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet -o requirements/embedder.txt
	uv pip compile pyproject.toml --group dev -c requirements/app.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet -o requirements/dev.txt

clean: ## Remove what was installed and built (data in var/ stays)
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Signalbox needs Python 3.11 or newer; set PYTHON=… to choose one."; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(STAMP): $(BIN)/python requirements/app.txt requirements/embedder.txt pyproject.toml
	@echo "Installing the pinned packages (about 1 GB on disk; a minute or two the first time)"
	@unset PYTHONDONTWRITEBYTECODE; $(INSTALL) -r requirements/app.txt
	@unset PYTHONDONTWRITEBYTECODE; $(INSTALL) -r requirements/embedder.txt
	@$(INSTALL_SELF)
	@touch $@

$(DEV_STAMP): $(STAMP) requirements/dev.txt
	@echo "Installing the tools for tests and checks"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@
