# Two commands matter: `make demo` takes a call and prints its ticket, `make test` proves everything.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
LOCKS := requirements-build.lock requirements.lock
BENCHES := calls captions classification cluster dsp duplicates engine extraction figures many_tickets rates recognition search soak survival telephone text topics
ARGS ?=

.PHONY: help demo serve test lint fmt bench lock

help: ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(RUNTIME) ## take a real call over loopback and print its ticket (ARGS="--caller wages_lu --keep")
	@exec $(BIN)/hotline demo $(ARGS)

serve: $(RUNTIME) ## run the hotline on this machine until Ctrl-C
	@exec $(BIN)/hotline serve $(ARGS)

test: $(DEV) ## run all tests; as root also installs the Debian packages they use
	@tools/install-debian-packages
	@exec $(BIN)/python -m pytest -n 2 -rs $(ARGS)

lint: $(DEV) ## style, formatting, types, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(DEV) ## format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(DEV) ## run every benchmark with small defaults; each prints one JSON object
	@tools/install-debian-packages
	@set -e; for bench in $(BENCHES); do echo "== $$bench" >&2; $(BIN)/python bench/$$bench.py --json; done

lock: ## write the lock files (ARGS=--upgrade takes the newest versions)
	@tools/lock $(ARGS)

$(RUNTIME): tools/setup-venv pyproject.toml $(LOCKS)
	@tools/setup-venv $(VENV) requirements.lock
	@touch $@

$(DEV): tools/setup-venv pyproject.toml $(LOCKS) requirements-dev.lock
	@tools/setup-venv $(VENV) requirements-dev.lock
	@touch $(RUNTIME) $@
