# Two commands for a fresh machine: `make demo` and `make test`. `make quick` runs the tests that take no model and no
# process, `make coverage` measures lines, `make soak` runs the long fault tests and property tests with many examples,
# `make docs` writes the site into docs/_build/html.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# All tests run on this backend, and those marked `backend` on the others too. It trains tiny models fastest.
FIRST_BACKEND := torch
OTHER_BACKENDS := tensorflow jax
# Three test processes share two cores, since some tests wait, and each collects all tests; more threads of each wait
# for one another. The processes that follow read the compiled tests of the first one, if they may be written.
# To optimize the programs of JAX takes longer than to run them once.
ONE_THREAD := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 PYTHONDONTWRITEBYTECODE=
COMPILE_FAST := JAX_DISABLE_MOST_OPTIMIZATIONS=1
IN_PARALLEL := $(ONE_THREAD) $(COMPILE_FAST) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest -q -n 3 --dist worksteal
# What ran on which backend, a line per run of pytest.
RECORD := $(VENV)/tests_that_ran.jsonl
RECORDED := KERAS_OOCORE_TEST_RECORD=$(RECORD)
ON_EVERY_BACKEND := "backend and not one_backend and not soak"
SOAK_ON_EVERY_BACKEND := "backend and not one_backend and soak"
# `make test PYTEST=tests/core` may choose no test, which is pytest's exit code 5.
NONE_CHOSEN = [ $$? = 5 -a -n "$(PYTEST)" ]
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.PHONY: demo test quick coverage soak lint docs clean

demo: $(VENV)/demo.installed
	$(BIN)/keras-oocore demo

test: $(VENV)/test.installed
	@$(BIN)/lint-imports --no-logo
	@rm -f $(RECORD)
	@echo "== all tests, on $(FIRST_BACKEND)"
	@$(RECORDED) KERAS_BACKEND=$(FIRST_BACKEND) $(IN_PARALLEL) -m "not soak" $(PYTEST) || $(NONE_CHOSEN)
	@for backend in $(OTHER_BACKENDS); do \
		echo "== tests of what depends on the backend, on $$backend"; \
		$(RECORDED) KERAS_BACKEND=$$backend $(IN_PARALLEL) -m $(ON_EVERY_BACKEND) $(PYTEST) || $(NONE_CHOSEN) || exit 1; \
	done
	@$(BIN)/python tests/print_record.py $(RECORD)

# JAX is imported fastest.
quick: $(VENV)/test.installed
	@KERAS_BACKEND=jax $(IN_PARALLEL) -m "not backend and not one_backend and not child and not soak" $(PYTEST)

coverage: $(VENV)/test.installed
	@$(BIN)/coverage erase
	@$(MAKE) test PYTEST="--cov --cov-append --cov-report= $(PYTEST)"
	@$(BIN)/coverage report

soak: $(VENV)/test.installed
	@KERAS_BACKEND=$(FIRST_BACKEND) $(BIN)/python -m pytest -q -m soak $(PYTEST) || $(NONE_CHOSEN)
	@for backend in $(OTHER_BACKENDS); do \
		KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest -q -m $(SOAK_ON_EVERY_BACKEND) $(PYTEST) \
			|| $(NONE_CHOSEN) || exit 1; \
	done
	@KERAS_OOCORE_TIMES_EXAMPLES=20 KERAS_BACKEND=$(FIRST_BACKEND) $(BIN)/python -m pytest -q -m hypothesis $(PYTEST)

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
