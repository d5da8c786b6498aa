# Two commands matter: `make demo` takes a call and prints its ticket, `make test` proves everything.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.PHONY: demo serve test lint bench fmt

$(STAMP): pyproject.toml requirements.lock
	@tools/setup-venv $(VENV)
	@touch $@
