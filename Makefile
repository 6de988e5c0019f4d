.PHONY: setup check test bench

PYTHON ?= python3

setup:  ## everything for development, into the active environment
	$(PYTHON) -m pip install -e ".[test,check]"

check:  ## lint and types
	ruff check .
	ruff format --check .
	mypy

test:  ## the default tests: no GPU, no network
	$(PYTHON) -m pytest

bench:  ## cost and localisation beside the peers, which go into a folder of their own; writes benchmarks/results/
	$(PYTHON) -m benchmarks.peers
	$(PYTHON) -m benchmarks.cost
	$(PYTHON) -m benchmarks.localisation
