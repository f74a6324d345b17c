# make demo   environment, install, the whole pipeline on the sample, then the app at http://127.0.0.1:8501
# make test   environment, install, lint, types, all tests
# make bench  speed and memory, printed as tables and JSON

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# One more than there are processors, up to 4: many tests wait for a browser or a worker. With two more the tests
# of two processors took no less time and an eighth more of the processors.
TESTERS = $(shell $(BIN)/python -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))')

.PHONY: demo test lint install chromium bench clean

demo: $(VENV)/.runtime
	@exec $(BIN)/bioprune demo

# Imported for the first time, umap and what it needs compile for 23 s of processor time: once, beside the lint,
# and not in every process of the tests at the same moment.
test: $(VENV)/.development chromium
	@$(BIN)/python -c 'import umap' & importing=$$!; $(MAKE) --no-print-directory lint && wait $$importing
	$(BIN)/pytest --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers 2

install: $(VENV)/.runtime

# Without the 25 GB of bench_scale.py, which is started by hand. What fails is named in the end.
bench: $(VENV)/.development
	@failed=; for script in $(filter-out %/bench_scale.py,$(wildcard tests/benchmarks/bench_*.py)); do \
	    echo "== $$script"; $(BIN)/python $$script || failed="$$failed $$script"; done; \
	    test -z "$$failed" || { echo "Failed:$$failed" >&2; exit 1; }

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "BioPrune needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' || { echo "This Python has no ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Stamps, so that a second run starts at once. pip prints only what it downloads. Python compiles the modules
# that it loads; compiling all of torch and transformers beforehand takes 96 s of processor time more.
$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	$(PIP) install --no-compile -r requirements.txt
	@touch $@

# These requirements contain those above: resolved once.
$(VENV)/.development: requirements-dev.txt requirements.txt pyproject.toml | $(BIN)/python
	$(PIP) install --no-compile -r requirements-dev.txt
	@touch $(VENV)/.runtime $@

chromium:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then :; \
	elif ! command -v apt-get >/dev/null; then \
	    echo "Chromium is missing and this is no Debian: install it, or the browser tests are skipped."; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-liberation; \
	elif sudo -n true 2>/dev/null; then sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends chromium fonts-liberation; \
	else echo "Chromium is missing and may not be installed without root: the browser tests are skipped. To run them: sudo apt-get install chromium"; fi

clean:
	rm -rf $(VENV) build *.egg-info
