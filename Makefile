.PHONY: setup check test test-oldest test-browser docs pages published bench gpu scoreboard

PYTHON ?= python3
OLDEST_PYTHON ?= python3.11

setup:  ## everything for development, into the active environment
	$(PYTHON) -m pip install -e ".[test,check]"

check:  ## lint and types
	ruff check .
	ruff format --check .
	mypy

test:  ## the default tests: no GPU, no network
	$(PYTHON) -m pytest

test-oldest:  ## the default tests with the oldest versions that pyproject.toml declares, in an environment of their own
	$(OLDEST_PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable ".[test]"
	.venv-oldest/bin/python -m pytest

published:  ## the tests that grad-cam publishes, fetched into a temporary folder and run with ours; needs the network
	$(PYTHON) -m benchmarks.published_tests

test-browser:  ## pages in Chromium, which the system must have; needs the extras browser and demo
	$(PYTHON) -m pytest -n0 -m browser

docs:  ## the documentation as a site, into build/site; a dead link is an error; needs the extra docs
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

pages:  ## the pages and pictures of methods, the gallery and the reference, which follow from the code
	$(PYTHON) -m tools.draw_gallery
	$(PYTHON) -m tools.write_pages

bench:  ## cost, localisation and metrics beside the peers, which go into a folder of their own; writes benchmarks/results/
	$(PYTHON) -m benchmarks.peers
	$(PYTHON) -m benchmarks.cost
	$(PYTHON) -m benchmarks.localisation
	$(PYTHON) -m benchmarks.metrics

gpu:  ## everything that a CUDA device can tell, in less than 8 minutes, without network; writes benchmarks/results/gpu.md and .json
	$(PYTHON) -m benchmarks.gpu

scoreboard:  ## every method by localisation, faithfulness and cost; writes docs/scoreboard.md; goes on where it was stopped
	$(PYTHON) -m benchmarks.scoreboard
