# One command from a fresh clone: `make demo` to see it, `make test` to check it. Python and make are enough; on Debian
# and Ubuntu the rest is fetched (system packages only as root, otherwise they are named).
#
#   make demo ARGS=--once       hand options on
#   make test PYTHON=python3.12 use another Python

PYTHON ?=
ARGS ?=
BIN := .venv/bin
# The tests wait for processes, servers and disks a third of the time: one more at a time than there are processors.
SIDE_BY_SIDE = -n $$(n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n + 1 : 4))) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup fault-tools demo test test-all check format bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[a-z -]*## /\1 /p' $(MAKEFILE_LIST) | while read -r target text; do printf '  make %-9s %s\n' "$$target" "$$text"; done

# Hidden: everything below needs it, nobody has to know it.
setup:
	@PYTHON='$(PYTHON)' .ci/setup

demo: setup ## see batches dropped, imported and mailed; ends by itself with ARGS=--once
	@$(BIN)/dropwatch demo $(ARGS)

# Hidden: what tests of faults mount, and they alone need.
fault-tools: setup
	@.ci/fault-tools

test: check fault-tools ## check, then all tests but the long ones
	@$(BIN)/python -m pytest -q -m 'not long' $(SIDE_BY_SIDE) --durations=5 $(ARGS)

test-all: check fault-tools ## check, then all tests, also those that take minutes
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) --durations=20 $(ARGS)

check: setup ## formatting, lint, types, architecture
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/unit/test_architecture.py

format: setup ## format the source, mend what lint can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: setup ## measure: ratios against bare loops
	@for bench in tests/bench/bench_*.py; do printf '\n%s\n' "$$bench"; $(BIN)/python "$$bench" || exit 1; done

clean: ## remove what make made here; the wheel of zeroc-ice stays in the user's cache
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +
