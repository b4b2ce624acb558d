# Two commands for a fresh machine: `make demo` and `make test`. `make quick` runs the tests that take no model and no
# process, `make coverage` measures lines, `make soak` runs the long fault tests, `make docs` writes the site into
# docs/_build/html.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
BACKENDS := tensorflow jax torch
# All tests run on this backend, and those marked `backend` on all three. It is the one that is imported fastest.
FIRST_BACKEND := jax
# Three test processes share two cores, since some tests wait; more threads of each wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1
IN_PARALLEL := $(ONE_THREAD) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest -q -n 3 --dist worksteal
# What ran on which backend, a line per run of pytest.
RECORD := $(VENV)/tests_that_ran.jsonl
RECORDED := KERAS_OOCORE_TEST_RECORD=$(RECORD)
# `make test PYTEST=tests/core` may choose no test of models, which is pytest's exit code 5.
NONE_CHOSEN = [ $$? = 5 -a -n "$(PYTEST)" ]
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.PHONY: demo test quick coverage soak lint docs clean

demo: $(VENV)/demo.installed
	$(BIN)/keras-oocore demo

test: $(VENV)/test.installed
	@$(BIN)/lint-imports --no-logo
	@rm -f $(RECORD)
	@echo "== tests that need no model, notebooks and the code of the docs, on $(FIRST_BACKEND)"
	@$(RECORDED) KERAS_BACKEND=$(FIRST_BACKEND) $(IN_PARALLEL) -m "not backend and not soak" $(PYTEST) || $(NONE_CHOSEN)
	@for backend in $(BACKENDS); do \
		echo "== tests of models on $$backend"; \
		$(RECORDED) KERAS_BACKEND=$$backend $(IN_PARALLEL) -m "backend and not soak" $(PYTEST) || $(NONE_CHOSEN) || exit 1; \
	done
	@$(BIN)/python tests/print_record.py $(RECORD)

quick: $(VENV)/test.installed
	@KERAS_BACKEND=$(FIRST_BACKEND) $(IN_PARALLEL) -m "not backend and not one_backend and not child and not soak" $(PYTEST)

coverage: $(VENV)/test.installed
	@$(BIN)/coverage erase
	@$(MAKE) test PYTEST="--cov --cov-append --cov-report= $(PYTEST)"
	@$(BIN)/coverage report

soak: $(VENV)/test.installed
	@for backend in $(BACKENDS); do \
		KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest -q -m soak $(PYTEST) || [ $$? = 5 ] || exit 1; \
	done

lint: $(VENV)/test.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/docs.installed
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d docs/_build/doctrees docs docs/_build/html
	@echo "The site is in docs/_build/html/index.html."

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage* .import_linter_cache keras_oocore_demo docs/_build notebooks/notebook_*_data

$(VENV)/demo.installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing keras_oocore and TensorFlow into $(VENV); the first time takes a few minutes."
	$(PIP) --editable ".[tensorflow,fast,plots,csv]"
	@touch $@

$(VENV)/test.installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing keras_oocore and three backends into $(VENV); the first time takes a few minutes."
	$(PIP) --editable ".[tensorflow,jax,torch,fast,plots,test]"
	@touch $@

$(VENV)/docs.installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[docs]"
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
		if $$python -c '$(SUPPORTED)' 2>/dev/null; then exec $$python -m venv $(VENV); fi; \
	done; \
	echo "keras_oocore needs Python 3.11, 3.12 or 3.13, and found $$(python3 --version 2>&1 | tail -n 1)." \
		"Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1
