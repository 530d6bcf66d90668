# Targets for people and for CI; everything runs in .venv, which is made when it is first needed.
PYTHON ?= python3
HOST ?= localhost
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
AGENT ?= examples/ws_weather_agent.py
OPTIONS ?=
PYTEST ?=
# A server serves the tests of one file, so a file is run by one worker. Half of their time they wait for something, so
# there are more workers than cores, and two more beside them where PostgreSQL answers.
PARALLEL ?= -n 4 --dist loadfile --no-loadscope-reorder
POSTGRES ?= 127.0.0.1
FAULTS ?= --seconds 600 --kills 110 --cuts 1100
DATABASES ?= sqlite postgres://postgres@127.0.0.1:5432/postgres
STAMPS := $(VENV)/.stamps
# Tests of the bounds in pyproject.toml, each in an environment of its own; uv is what can choose the lowest releases.
LOWEST := .venv-lowest
NEWEST := .venv-newest
UV := uv>=0.9,<1
UNIT_TESTS ?= tests/myagent tests/agents tests/sessions_app
# The tests start Python hundreds of times: what it compiled once is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

# Without a key the offline demo model answers, so that the first start needs nothing at all.
has_key = $(or $(strip $(OPENAI_API_KEY)),$(shell grep -Eqs '^[[:space:]]*(export[[:space:]]+)?OPENAI_API_KEY[[:space:]]*=[[:space:]]*[^[:space:]\#]' .env && echo yes))
LLM = $(if $(has_key),,--llm demo)

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-all coverage test-lowest test-newest faults check console console-check bench docs
.PHONY: pictures venv format clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

# Only as it is given to make: desktops have a variable of this name in the environment.
SPOKEN = $(if $(filter command,$(origin LANGUAGE)),--language $(LANGUAGE))

run: $(STAMPS)/run ## Serve the weather agent (HOST, PORT, AGENT, LANGUAGE=en, OPTIONS)
	$(BIN)/python manage.py runagent $(AGENT) --host $(HOST) --port $(PORT) $(LLM) $(SPOKEN) $(OPTIONS)

venv: $(STAMPS)/dev ## Make .venv with everything that development needs

test: $(STAMPS)/bench ## Run the tests, those that work on tables on PostgreSQL, too (PYTEST holds further options)
	@scripts/test.sh $(BIN)/python $(POSTGRES) 'not slow' $(PARALLEL) $(PYTEST)

test-slow: $(STAMPS)/bench ## Run those that need a browser, a proxy, node, a server on PostgreSQL or Redis, or that take long
	@scripts/test.sh $(BIN)/python $(POSTGRES) slow $(PARALLEL) $(PYTEST)

test-all: test test-slow ## Run all tests

# Of the environment that is given, which has to be there.
define measured
	$(1)/python -m coverage erase
	$(1)/python -m coverage run -m pytest -q -m 'not slow' $(PARALLEL) $(PYTEST) $(UNIT_TESTS)
	$(1)/python -m coverage combine --quiet
	$(1)/python -m coverage report
endef

coverage: $(STAMPS)/bench ## Measure what the tests that need no server leave out; fails below the figure in pyproject.toml
	$(call measured,$(BIN))

test-lowest: $(LOWEST)/.stamp ## Run and measure them with the lowest releases that pyproject.toml allows
	$(call measured,$(LOWEST)/bin)

test-newest: $(STAMPS)/dev ## Run them with the newest release of everything, ceilings ignored; reports and never fails
	$(PYTHON) -m venv --clear $(NEWEST) && $(NEWEST)/bin/python -m pip install --quiet '$(UV)'
	$(PYTHON) scripts/newest.py dev >$(NEWEST)/requirements.in
	$(NEWEST)/bin/uv pip install --quiet --python $(NEWEST)/bin/python --requirements $(NEWEST)/requirements.in
	$(NEWEST)/bin/uv pip install --quiet --python $(NEWEST)/bin/python --no-deps --editable .
	@$(BIN)/python -m pip freeze --exclude-editable | sort >$(NEWEST)/tested.txt
	@$(NEWEST)/bin/python -m pip freeze --exclude-editable | grep -v '^uv==' | sort >$(NEWEST)/newest.txt
	@echo 'Newer than in $(VENV):'; if comm -13 $(NEWEST)/tested.txt $(NEWEST)/newest.txt | grep .; then \
		echo 'Above the ceilings:'; $(NEWEST)/bin/python -m pip check; \
		$(NEWEST)/bin/python -m pytest -m 'not slow' $(PARALLEL) $(PYTEST) $(UNIT_TESTS) \
			|| echo 'The newest releases break these tests: adapt the code or keep the ceilings of pyproject.toml.'; \
	else echo 'nothing'; fi

faults: $(STAMPS)/dev ## Kill, pause and cut a server under load, ten minutes on each of DATABASES (FAULTS holds options)
	@for database in $(DATABASES); do $(BIN)/python -m tests.faults $(FAULTS) --database $$database || exit 1; done

check: $(STAMPS)/dev ## Check format, lint, types, imports, migrations and translations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m pytest -q tests/docs/test_translations.py

console: console/node_modules/.stamp ## Build the chat page into the Python package (needs node 18 or newer, and npm)
	cd console && npm run --silent build

# Reproducible: what is built from the sources here and now is, byte for byte, what is in the Python package.
console-check: console/node_modules/.stamp ## Check the chat page's types, its tests, and that what is built is committed
	cd console && npm run --silent types && npm run --silent test
	cd console && npm run --silent build -- --logLevel warn --outDir ../build/console
	diff --recursive --brief build/console agents/static/console \
		|| { echo 'Run `make console` and commit what it writes to agents/static/console.' >&2; exit 1; }

bench: $(STAMPS)/bench ## Measure against a loop without persistence
	$(BIN)/python -m bench

docs: $(STAMPS)/docs ## Build the documentation as a site in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

pictures: $(STAMPS)/dev ## Take the pictures of the documentation, and of every state of the page (needs Chromium, a Chinese font, port 8080)
	$(BIN)/python -m tests.docs.pictures

format: $(STAMPS)/dev ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what was built; the data folder stays
	rm -rf $(VENV) $(LOWEST) $(NEWEST) build dist console/node_modules *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps are older than pyproject.toml when its packages may have changed.
$(STAMPS)/run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/run

# Exactly what the lock file names; nothing of it needs to run anything while it is installed.
console/node_modules/.stamp: console/package-lock.json
	cd console && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(STAMPS)/bench: $(STAMPS)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

$(STAMPS)/docs: $(STAMPS)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(LOWEST)/.stamp: pyproject.toml
	$(PYTHON) -m venv --clear $(LOWEST) && $(LOWEST)/bin/python -m pip install --quiet '$(UV)'
	$(LOWEST)/bin/uv pip compile --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --extra dev \
		--output-file $(LOWEST)/requirements.txt pyproject.toml
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --requirements $(LOWEST)/requirements.txt
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --editable .
	@touch $@
