# Two commands take a fresh machine to a result: `make demo` and `make test`.
# Needs Python 3.11 or newer; uses uv where it is found, the venv module and pip where it is not
# (`make UV= …` forces the latter). `make PYTHON=/path/to/python …` chooses the interpreter.

PYTHON ?= python3
UV ?= $(shell command -v uv 2>/dev/null)
VENV := .venv
BIN := $(VENV)/bin

# The picture that the demo blurs and restores, and where the results go.
PHOTO ?= data/samples/coffee.png
OUT ?= out
DEMO = $(BIN)/pnp-deblur $(PHOTO) --simulate --kernel motion --length 15 --angle 30 \
	--sigma 2.55/255 --report $(OUT)/report -o $(OUT)/restored.png --overwrite

# A process for each core; every test runs on one thread.
PYTEST_ARGS ?= -n auto

.PHONY: help demo test standin lint format types docs clean
.NOTPARALLEL:

help:
	@echo 'make demo    install, blur a bundled photograph, restore it; results in $(OUT)/'
	@echo 'make test    install what tests need and run them all'
	@echo 'make standin run the tests that need a GPU on a stand-in for one'
	@echo 'make lint    ruff: rules and format'
	@echo 'make format  ruff: apply both'
	@echo 'make types   mypy, strict'
	@echo 'make docs    build the site, tutorials included, into docs/_build/html/'
	@echo 'make clean   remove $(VENV), caches, builds and $(OUT)/'

demo: $(VENV)/.installed
	@mkdir -p $(OUT)
	$(DEMO)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

standin: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS) --standin-cuda -m cuda -rs

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# Strict: a link that leads nowhere, or a tutorial that fails, is an error.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo 'docs/_build/html/index.html'

# A stamp is touched only after its install succeeded, and is newer than pyproject.toml: repeated
# calls install nothing, and an interrupted install starts again. The install is editable, so a
# change of the code needs none.
$(VENV)/.installed: EXTRA :=
$(VENV)/.installed-test: EXTRA := [test]
$(VENV)/.installed-dev: EXTRA := [dev]
$(VENV)/.installed-docs: EXTRA := [docs]
$(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-dev $(VENV)/.installed-docs: pyproject.toml | $(VENV)/.created
	@echo 'Installing pnp-recon$(EXTRA); PyTorch makes the first time last a few minutes ...'
ifneq ($(UV),)
	$(UV) pip install --quiet --python $(BIN)/python -e '.$(EXTRA)'
else
	$(BIN)/python -m pip install --quiet -e '.$(EXTRA)'
endif
	@touch $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 || true)"; \
	  echo "Install one and name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@rm -rf $(VENV)
ifneq ($(UV),)
	$(UV) venv --quiet --seed --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
else
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
endif
	@touch $@

clean:
	rm -rf $(VENV) $(OUT) docs/_build docs/generated build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
