# Two commands do everything: `make up` and `make test`. The rest is for those who work on Signalbox.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
UV := $(shell command -v uv 2>/dev/null)

VLLM_VENV ?= .venv-vllm
VLLM_STAMP := $(VLLM_VENV)/.installed
VLLM_MODEL := var/models/tiny

ifdef UV
  INSTALL = uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes --no-deps
  INSTALL_SELF = uv pip install --quiet --python $(BIN)/python --no-deps -e .
  # uv ignores pip's find-links setting. Without one, torch comes from PyTorch's own index of CPU builds.
  VLLM_SOURCE = $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--torch-backend cpu)
  INSTALL_VLLM = uv pip install --quiet --python $(VLLM_VENV)/bin/python --compile-bytecode $(VLLM_SOURCE) --excludes inference/vllm/excludes.txt
else
  INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
  INSTALL_SELF = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
  INSTALL_VLLM = $(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps
endif

.PHONY: up test test-slow vllm test-vllm check format lock clean help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: $(STAMP) ## Install, load the demo workspace, serve on http://127.0.0.1:8080
	@exec $(BIN)/signalbox up

test: $(DEV_STAMP) ## Run the tests
	$(BIN)/python -m pytest -m "not slow and not vllm"

test-slow: $(DEV_STAMP) ## Run the slow tests: kills, soak, a clean install of the wheel
	$(BIN)/python -m pytest -m slow --timeout 900

vllm: $(VLLM_STAMP) $(VLLM_MODEL)/config.json ## Install vLLM's CPU build beside, and make a tiny model for it (2.2 GB)

test-vllm: $(DEV_STAMP) vllm ## Run the tests on a real vLLM with the tiny model
	$(BIN)/python -m pytest tests/inference/vllm -m vllm --timeout 300

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

$(VLLM_STAMP): inference/vllm/requirements.txt inference/vllm/excludes.txt inference/vllm/shim/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "vLLM needs Python 3.11 to 3.13; set PYTHON=… to choose one."; exit 1; }
	@echo "Installing vLLM's CPU build in $(VLLM_VENV) (2.2 GB on disk; one to three minutes)"
	@test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	@unset PYTHONDONTWRITEBYTECODE; $(INSTALL_VLLM) -r inference/vllm/requirements.txt
	@unset PYTHONDONTWRITEBYTECODE; $(INSTALL_VLLM) --no-deps ./inference/vllm/shim
	@unset PYTHONDONTWRITEBYTECODE; $(VLLM_VENV)/bin/python -c 'import torch' || { echo "This torch does not start: see docs/vllm.md, \"Installing\"."; exit 1; }
	@touch $@

$(VLLM_MODEL)/config.json: $(VLLM_STAMP) inference/vllm/tiny_model.py inference/vllm/chat_template.jinja
	@unset PYTHONDONTWRITEBYTECODE; $(VLLM_VENV)/bin/python inference/vllm/tiny_model.py $(VLLM_MODEL)
