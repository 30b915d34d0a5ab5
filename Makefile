# make train: install and run the main job. make report: a page of all runs. make test: install what tests need and run them. make check: lint and types.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: train report test check benchmark robustness clean

train: $(VENV)/installed
	$(BIN)/dlexp train experiment=dl_hw3/ex07_iris

report: $(VENV)/installed
	$(BIN)/dlexp report

test: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest --numprocesses auto

check: $(VENV)/installed-for-checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/oxfmt --check src/dlexp/report/web/*.js

benchmark: $(VENV)/installed
	$(BIN)/python -m scripts.benchmarks | tee docs/benchmarks/loop_on_cpu.md

robustness: $(VENV)/installed-for-tests
	cd tests && ../$(BIN)/python -m robustness $(ROW)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-for-tests: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/installed-for-checks: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[check]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
