# What a person types and what CI runs are the same: .ci/run calls these.
#
#   make install   .venv with voxloom in its bin, at the versions of constraints.txt
#   make demo      the whole way on shipped images, in minutes; ends by naming the report
#   make test      the tests, the documentation's examples included
#   make check     style, types, documentation
#   make clean     removes what the others made

# The first Python that voxloom runs on; set PYTHON to choose another.
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell \
	$(python) -c 'import ensurepip, sys; (3, 11) <= sys.version_info < (3, 14) and print("$(python)")' 2>/dev/null)))
# Tests run in this many processes.
WORKERS ?= 2

BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help install demo test check clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   make/make/p' Makefile

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found; install one, or say make PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation --editable ".[dev]"
	@touch $@

demo: install
	$(BIN)/voxloom demo

test: install
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv build dist site demo_output .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
