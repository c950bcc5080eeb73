# The verbs of this house. Each does its own set-up first; CI calls them and nothing else.

PYTHON ?= python3
BIN := .venv/bin

# What an environment depends on; where it has not changed, set-up costs nothing.
KEY = $(PYTHON) $(TORCH) $(CURDIR) $$( \
	{ cat pyproject.toml deploy/constraints.txt deploy/install.sh; grep '^__version__' lethe.py; } | cksum)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench docs clean

help:  ## say what there is
	@echo "make VERB, with VERB one of:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-9s %s\n", $$1, $$2 }'
	@echo "Variables: PYTHON=python3.12 (3.11 or newer), ONCE=1 (the demo ends by itself),"
	@echo "           WEIGHTS=1 (the demo asks models with real weights instead of the fact book),"
	@echo "           TORCH=torch==X (another build of torch than the pinned CPU build)"

setup:  ## make .venv and install everything into it; nothing where it is up to date
	@if [ "$$(cat .venv/setup.stamp 2>/dev/null)" != "$(KEY)" ]; then \
		PYTHON='$(PYTHON)' TORCH='$(TORCH)' sh deploy/install.sh .venv -e '.[dev]' && \
		echo "$(KEY)" >.venv/setup.stamp; \
	fi

demo: setup  ## see it work: a fact book that tells everything, and Lethe before it
	$(BIN)/lethe demo $(if $(filter-out 0,$(ONCE)),--once) $(if $(filter-out 0,$(WEIGHTS)),--weights)

test: setup  ## run all tests, on every core, with the branches they cover
	$(BIN)/python -m pytest -n logical --dist worksteal --cov --cov-report=term-missing

check: setup  ## lint, formatting, types, who imports whom, generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/generate.py --check

bench: setup  ## time it; prints ratios of two things measured in one run
	@set -e; for file in benchmarks/*.py; do echo "$(BIN)/python $$file"; $(BIN)/python "$$file"; done

docs: setup  ## write again what is generated: the command reference, the policy schema
	$(BIN)/python docs/generate.py
	$(BIN)/lethe policy schema --write

clean:  ## remove what tests and builds leave behind; .venv stays
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
