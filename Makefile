# Everything a person does with a checkout. `make` alone lists it.

VENV := .venv
PY := $(VENV)/bin/python
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
# The first of these that is new enough makes the .venv; PYTHON=... names another.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11 python
# Readable by every Python there is, so that an old one can say no.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# What `make lint` judges: the settings as in production, on servers that are not there.
PRODUCTION := DEBUG=false DATA_DIR=/nonexistent ALLOWED_HOSTS=chat.example TRUSTED_PROXIES=1 \
	SECRET_KEY=0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ \
	ARCHIVE_KEY=0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ \
	DATABASE_URL=postgres://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0
ARGS ?=
# The two halves of `make test`, which take about as long as each other.
ROOMS := accounts archive audit chats clients common groups messaging moderation overview scripts
WHOLE := config tests

# Each of these takes minutes of starting, killing and setting clocks: `make proofs` runs them.
COLD := tests/contract/test_cold_commands.py tests/contract/test_hour_objects.py \
	tests/contract/test_the_archive_is_ones_own.py tests/contract/test_three_tiers_are_one.py \
	archive/tests/test_a_long_chat.py archive/tests/test_clocks_and_texts.py \
	archive/tests/test_commands.py archive/tests/test_drilling.py \
	archive/tests/test_erasing.py archive/tests/test_erasing_beside_a_backup.py \
	archive/tests/test_erasing_users_and_after_a_loss.py archive/tests/test_killed_backups.py \
	archive/tests/test_killed_repairs_and_drills.py archive/tests/test_restoring.py \
	archive/tests/test_restoring_while_serving.py
LONG := $(COLD) tests/past tests/production tests/faults/test_alerts_when_parts_stop.py \
	tests/core/test_cost_of_one_request.py

.DEFAULT_GOAL := help
.PHONY: help install run demo bench proofs proofs-cold bench-against test test-browser soak fill long-chat months admin-scale lint audit sbom image format requirements clean usable

help: ## List what can be done
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		while IFS='	' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

install: $(DEV) ## Make .venv with everything for running and working on Strata

run: $(RUN) ## Start Strata with its own PostgreSQL, Valkey, S3 and nginx at PORT (8000); Ctrl-C stops it
	@exec $(PY) -m config.stack

demo: $(DEV) ## Replay dialogs in many languages through the running server, and check every message
	@$(PY) -m scripts.demo $(ARGS)

bench: $(DEV) ## Measure CPU time per request, rates and latencies
	@$(PY) -m scripts.bench $(ARGS)

bench-against: $(DEV) ## Measure beside another commit, in turn: REV=<commit>; ratios per kind of request
	@$(PY) -m scripts.bench.against $(REV) $(ARGS)

# Two processes, each with servers of its own: much of a fault test is waiting for something to die.
# The first one's output is kept until the second is done.
test: $(DEV) ## Run all tests on real servers; ARGS="-k name" for some
ifeq ($(strip $(ARGS)),)
	@log=$$(mktemp) && { \
		$(PY) -m pytest $(ROOMS) $(LONG:%=--ignore=%) >$$log 2>&1 & rooms=$$!; \
		trap 'kill $$rooms 2>/dev/null' INT TERM; \
		echo "The tests of $(ROOMS) run meanwhile; their report follows."; \
		$(PY) -m pytest $(WHOLE) --ignore=tests/browser $(LONG:%=--ignore=%); whole=$$?; \
		wait $$rooms; rooms=$$?; \
		cat $$log; rm -f $$log; \
		exit $$(( whole || rooms )); \
	}
else
	@$(PY) -m pytest $(ARGS)
endif

proofs: $(DEV) ## Run the tests that take long: commands, kills at every step, clocks months back, the image, restarts
	@$(PY) -m pytest $(LONG) $(ARGS)

proofs-cold: $(DEV) ## Run those of them that are about cold storage
	@$(PY) -m pytest $(COLD) $(ARGS)

test-browser: $(DEV) ## Drive the pages in Chromium (Debian's package, or CHROMIUM), and check that they are accessible
	@$(PY) -m pytest tests/browser $(ARGS)

long-chat: $(DEV) ## Take a chat of a million messages through cold storage; LONG_CHAT_MESSAGES for another number
	@LONG_CHAT_MESSAGES=$${LONG_CHAT_MESSAGES:-1000000} $(PY) -m pytest -s archive/tests/test_a_long_chat.py $(ARGS)

soak: $(DEV) ## Write and poll for minutes while parts fail; SOAK_SECONDS=120 of each fault
	@SOAK_SECONDS=$${SOAK_SECONDS:-60} $(PY) -m pytest -m soak -s tests/faults $(ARGS)

fill: $(DEV) ## Have eight accounts fill the cache for FILL_SECONDS (1200) while others go on
	@FILL_SECONDS=$${FILL_SECONDS:-1200} $(PY) -m pytest -s tests/faults/test_filling_the_cache.py $(ARGS)

months: $(DEV) ## Live through months of a service: filled, archived, purged, damaged, lost and restored
	@MONTHS=long $(PY) -m pytest -s tests/past $(ARGS)

admin-scale: $(DEV) ## Load a million messages and 100,000 users, and look at what each page of the admin asks for
	@ADMIN_SCALE_MESSAGES=1000000 $(PY) -m pytest -q tests/admin/test_every_page_with_much_in_it.py $(ARGS)

lint: $(DEV) ## Check style, types, imports, migrations, production settings and what is written from the code
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	@# A setting from outside would change what is checked.
	$(PRODUCTION) $(PY) -m mypy .
	$(VENV)/bin/lint-imports
	$(PRODUCTION) $(PY) -W "ignore:Got an error checking" manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	$(PY) -m config.options --check
	$(PRODUCTION) $(PY) -m scripts.ops
	@# It warns of each line of a statement of which one is excused; the second time it says all.
	@$(PY) -m bandit --quiet --recursive --configfile pyproject.toml . 2>/dev/null || \
		$(PY) -m bandit --quiet --recursive --configfile pyproject.toml .
	$(PY) -m scripts.migrations
	$(VENV)/bin/hadolint --failure-threshold info Dockerfile
	$(PY) -m check_jsonschema --builtin-schema vendor.compose-spec compose.yaml
	@# nginx itself, on the template as in production; of what it says only errors count.
	@folder=$$(mktemp -d) && { $(PRODUCTION) WEB_SOCKET=/run/strata/web-1.sock PROXY_FOLDER=$$folder \
		$(PY) -m config.proxy --check; status=$$?; rm -rf $$folder; exit $$status; }
	$(PY) -m scripts.audit
	@# The OpenAPI document of this very code is the one that docs/ shows and clients are made from.
	$(PRODUCTION) $(PY) manage.py spectacular --validate --fail-on-warn --file /dev/stdout | \
		diff --brief docs/openapi.yaml - >/dev/null || { echo "docs/openapi.yaml is not what the code says; run make format." >&2; exit 1; }

audit: $(DEV) ## Ask whether what is pinned has known vulnerabilities; AUDIT_STRICT=1 fails without an answer
	@$(PY) -m scripts.audit

sbom: $(DEV) ## Write what the server is made of to build/sbom.json (CycloneDX)
	@$(PY) -m scripts.sbom

image: $(DEV) ## Run the Dockerfile's own lines without a container engine, in build/image
	@rm -rf build/image && $(PY) -m scripts.image build/image

format: $(DEV) ## Format the code and mend what can be mended mechanically
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	$(PY) -m config.options --write
	$(PRODUCTION) $(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

requirements: $(DEV) ## Compile requirements*.in into requirements*.txt; ARGS=--upgrade for newer versions
	for name in requirements requirements-local requirements-dev; do \
		$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links \
			--custom-compile-command "make requirements" $(ARGS) $$name.in -o $$name.txt || exit 1; \
	done

clean: ## Remove .venv and what tools leave behind; the data in DATA_DIR stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# The virtual environment, made again when the requirements change --------------------------------

$(DEV): requirements-dev.txt $(RUN)
	@echo "Installing the tools for development …"
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements.txt -r requirements-local.txt -r requirements-dev.txt
	@touch $@

$(RUN): requirements.txt requirements-local.txt | usable
	@python=; for candidate in $(PYTHON); do \
		if $$candidate -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Strata needs Python 3.11 or newer, and none of these is: $(PYTHON). Install one, or name it: make PYTHON=/path/to/python3." >&2; \
		exit 1; \
	fi; \
	if [ ! -x $(PY) ]; then \
		echo "Making $(VENV) with $$($$python --version) …"; \
		if ! $$python -m venv $(VENV) >/dev/null 2>&1; then \
			rm -rf $(VENV); \
			echo "$$python can't make a virtual environment here: install its venv module (on Debian and Ubuntu the package python3-venv), and see that $(CURDIR) can be written to." >&2; \
			exit 1; \
		fi; \
	fi
	@echo "Installing what Strata runs on …"
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements.txt -r requirements-local.txt
	@touch $@

# A .venv whose Python is gone, or that was moved here from elsewhere, is made anew.
usable:
	@if [ -e $(VENV) ] && ! $(PY) -c 'import pip' >/dev/null 2>&1; then rm -rf $(VENV); fi
