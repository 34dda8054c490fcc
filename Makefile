# Two commands on a fresh machine: `make up` and `make test`. Arguments go through ARGS="...".
UV_LOCK := requirements-uv.lock
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
    $(name) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $(name))))
UV := $(or $(shell command -v uv 2>/dev/null),.venv/bin/uv)
INSTALL := VIRTUAL_ENV=.venv $(UV) pip
COMPILE := $(UV) pip compile --universal --generate-hashes --python-version 3.11 --no-header

# As pip does: who stands behind a proxy of their own has its certificate in the system's store, not in uv's.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS ?= 1
endif

.PHONY: up test lint scan lock clean
.DELETE_ON_ERROR:

up: .venv/.installed
	@exec .venv/bin/kowai up $(ARGS)

# Else every process of the tests compiles what it imports again.
test: export PYTHONDONTWRITEBYTECODE :=

test: .venv/.installed-dev
	.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.installed-dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright
	.venv/bin/lint-imports

scan: .venv/.installed-dev
	.ci/scan

lock: .venv/.made
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --group dev -o requirements-dev.lock

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Syncing removes the development tools, so the other stamp goes as well.
.venv/.installed: .venv/.made requirements.lock pyproject.toml
	$(INSTALL) sync --compile-bytecode --require-hashes requirements.lock
	$(INSTALL) install --no-deps --no-build-isolation -e .
	@rm -f .venv/.installed-dev
	@touch $@

.venv/.installed-dev: .venv/.made requirements-dev.lock pyproject.toml
	$(INSTALL) sync --compile-bytecode --require-hashes requirements-dev.lock
	$(INSTALL) install --no-deps --no-build-isolation -e .
	@touch .venv/.installed $@

.venv/.made: $(UV_LOCK)
	@test -n "$(PYTHON)" || { echo "KowAI needs Python 3.11, 3.12 or 3.13, and none is on the PATH." \
	    "Install one, or name it: make up PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Making .venv with $(PYTHON) ..."
	@if test "$(UV)" = .venv/bin/uv; then \
	    $(PYTHON) -m venv .venv || { echo "Python cannot make a virtual environment." \
	        "On Debian and Ubuntu: apt install python3-venv"; exit 1; }; \
	    .venv/bin/python -m pip install --quiet --require-hashes -r $(UV_LOCK); \
	else $(UV) venv --quiet --allow-existing --python $(PYTHON) .venv; fi
	@touch $@
