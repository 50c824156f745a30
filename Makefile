PYTHON ?= python3
DEMO_ENV = .venv-demo
TEST_ENV = .venv-test
INSTALL = bin/pip install --quiet --disable-pip-version-check

.PHONY: demo test docs lint format types clean

## demo: install into a fresh environment, infer spikes in an example recording, show where the result is
demo:
	rm -rf $(DEMO_ENV) demo
	$(PYTHON) -m venv $(DEMO_ENV)
	$(DEMO_ENV)/$(INSTALL) ".[plot]"
	$(DEMO_ENV)/bin/cascade demo demo

## test: install with every extra into a fresh environment, check style and types, run all tests
test:
	rm -rf $(TEST_ENV)
	$(PYTHON) -m venv $(TEST_ENV)
	$(TEST_ENV)/$(INSTALL) torch==2.13.0 torchvision==0.28.0 -e ".[test,dev,docs]"
	$(MAKE) lint types
	$(TEST_ENV)/bin/python -m pytest -n 2 --dist loadfile

## docs: build the site into docs/_build/html, in the environment that 'make test' has made; warnings are errors
docs:
	$(TEST_ENV)/bin/sphinx-build -W --keep-going -q docs docs/_build/html

## lint, types, format: for contributors, in the environment that 'make test' has made
lint:
	$(TEST_ENV)/bin/ruff check .
	$(TEST_ENV)/bin/ruff format --check .
	$(TEST_ENV)/bin/codespell

types:
	$(TEST_ENV)/bin/python -m mypy

format:
	$(TEST_ENV)/bin/ruff check --fix .
	$(TEST_ENV)/bin/ruff format .

clean:
	rm -rf $(DEMO_ENV) $(TEST_ENV) demo build docs/_build docs/notebooks *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
