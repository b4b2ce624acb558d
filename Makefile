# Two commands for a fresh machine: `make demo` and `make test`. `make soak` runs the long fault tests, `make docs` writes
# the pages of the API into docs/api.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
BACKENDS := tensorflow jax torch
# Two test processes share the cores; more threads of each wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.PHONY: demo test soak lint docs clean

demo: $(VENV)/demo.installed
	$(BIN)/keras-oocore demo

test: $(VENV)/test.installed
	@for backend in $(BACKENDS); do \
		echo "== all tests on $$backend"; \
		KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 $(ONE_THREAD) $(BIN)/python -m pytest -q -m "not soak" \
			-n 2 --dist loadfile $(PYTEST) || exit 1; \
	done

soak: $(VENV)/test.installed
	@for backend in $(BACKENDS); do \
		KERAS_BACKEND=$$backend TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest -q -m soak $(PYTEST) || [ $$? = 5 ] || exit 1; \
	done

lint: $(VENV)/test.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/test.installed
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) build dist *.egg-info keras_oocore_demo docs/api notebooks/notebook_*_data

$(VENV)/demo.installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing keras_oocore and TensorFlow into $(VENV); the first time takes a few minutes."
	$(PIP) --editable ".[tensorflow,fast,plots,csv]"
	@touch $@

$(VENV)/test.installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing keras_oocore and three backends into $(VENV); the first time takes a few minutes."
	$(PIP) --editable ".[tensorflow,jax,torch,fast,plots,test]"
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
		if $$python -c '$(SUPPORTED)' 2>/dev/null; then exec $$python -m venv $(VENV); fi; \
	done; \
	echo "keras_oocore needs Python 3.11, 3.12 or 3.13, and found $$(python3 --version 2>&1 | tail -n 1)." \
		"Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1
