# Every verb sets up what it needs. `make` alone lists them.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two workers of one thread each share a small machine better than two that fight over all cores.
# A few tests take minutes: who has nothing left to do takes over what waits for another.
WORKERS ?= 2
# What `make bench` times.
MODELS ?= lffn-s msfin-s
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup lint types layers check test fix demo golden bench mac

help: ## list these verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## make .venv with everything in it (once)

$(STAMP): pyproject.toml scripts/setup.sh
	PYTHON='$(PYTHON)' scripts/setup.sh
	@touch $@

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## pyright
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: $(STAMP) ## import-linter: who may import whom
	$(BIN)/lint-imports

check: lint types layers ## what must be green before a push: lint, types, layers, fast tests
	$(PYTEST) -m "not slow"

test: $(STAMP) ## all tests
	$(PYTEST)

fix: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(STAMP) ## train MSFIN-S quantization-aware for a little while and export it
	$(BIN)/python -m recipes.qat --model msfin-s
	$(BIN)/python -m export.executorch

golden: $(STAMP) ## make the golden files anew; then look at `git diff --stat tests/golden`
	$(BIN)/python tests/golden/make_golden.py

mac: $(STAMP) ## on a Mac: Core ML itself against our interpreter, on CPU, GPU and Neural Engine
	$(BIN)/pytest -m mac tests/export/test_coreml_mac.py

bench: $(STAMP) ## time networks in PyTorch and as files here: make bench MODELS="lffn-s mlrn"
	$(BIN)/python -m export.bench --model $(MODELS) --profile
