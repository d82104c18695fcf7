# The targets people use; their logic is in tools/.
PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/.ready
ONE_THREAD := OMP_NUM_THREADS=1 PYTHONHASHSEED=0
# Runs chapters cell by cell, in their default profile.
CELLS := env -u MPLBACKEND -u BOOK_PROFILE $(ONE_THREAD) $(PY) -m pytest -W default -q -m "" --nbval-lax --nbval-current-env \
	--nbval-cell-timeout 300 -n 2 --dist loadfile
CHANGED = $(shell git diff --name-only --diff-filter=d HEAD -- 'book/*.ipynb'; git ls-files -o --exclude-standard 'book/*.ipynb')

.DEFAULT_GOAL := help
.PHONY: help setup book site serve lint check claims test test-all coverage lowest browser fuzz refresh studies smoke clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) tools/environment.py

setup: $(READY) ## make .venv with all that is needed

book: $(READY) ## run every chapter, then build the site from these runs
	@$(PY) -m tools.chapters
	@$(PY) -m tools.site build --executed

site: $(READY) ## build the site from the committed outputs
	@$(PY) -m tools.site build

serve: $(READY) ## show the site on this machine
	@$(PY) -m tools.site serve

lint: $(READY) ## ruff and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m basedpyright --pythonpath $(PY)

check: lint ## the daily loop: ruff, types and the quick tests
	@$(ONE_THREAD) $(PY) -m pytest -q -n 2

test: check smoke ## check, every chapter with few steps, and those that differ from the last commit cell by cell
	@$(if $(CHANGED),$(CELLS) $(CHANGED))

test-all: lint ## every test, the slow ones too, and every chapter cell by cell
	@FUZZ=500 $(ONE_THREAD) $(PY) -m pytest -q -n 2 -m ""
	@$(CELLS) book/*.ipynb

claims: $(READY) ## judge every claim anew from records and studies; fail where page, chapters and records differ
	@$(ONE_THREAD) $(PY) -m tools.claims

coverage: $(READY) ## every test, and the lines of the library that none of them runs
	@$(ONE_THREAD) COVERAGE_FILE=_build/coverage $(PY) -m pytest -q -n 2 -m "" --cov=geomem --cov-report=term-missing:skip-covered

lowest: ## the library's tests with the lowest versions of all it needs
	@$(PYTHON) tools/lowest.py

browser: $(READY) ## look at the built site in Chromium, where there is one
	@$(ONE_THREAD) $(PY) -m pytest -q -rs -m "" tests/browser

fuzz: $(READY) ## random graphs, files and parameters, ten thousand cases of each
	@FUZZ=10000 $(ONE_THREAD) $(PY) -m pytest -q -n 2 tests/test_fuzz.py

refresh: $(READY) ## run the chapters in place and rewrite the pages that follow from them
	@$(ONE_THREAD) $(PY) -m tools.cover
	@$(ONE_THREAD) $(PY) -m tools.logo
	@$(PY) -m tools.chapters --in-place
	@$(PY) -m tools.pages
	@$(PY) -m tools.address

studies: $(READY) ## make the committed studies (hours; goes on where it stopped)
	@$(PY) -m tools.studies

smoke: $(READY) ## run every chapter with few steps and seeds
	@$(PY) -m tools.chapters --profile smoke --jobs 2 --out _build/smoke

clean: ## remove what was built, but not .venv and not the studies
	@rm -rf _build/html _build/source _build/runs _build/smoke _build/.doctrees _build/.jupyter_cache _build/*.log
