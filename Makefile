# make demo | test | check | slow | package | help. Needs python3 (3.11 or newer) and make; everything else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
REAL_DATA := $(wildcard ../shared/data)
export FORECASTING_TEST_DATA ?= $(if $(REAL_DATA),$(abspath $(REAL_DATA)),)

.PHONY: demo test slow check format package help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/'

demo: .venv/base  ## simulate, train, predict, evaluate, find the symmetry, and write a report to open
	$(BIN)/forecast demo

test: .venv/test  ## the test suite
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

slow: .venv/test  ## the tests of minutes: training runs
	$(BIN)/pytest -m slow

check: .venv/test  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/test  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The recordings: subjects 35 (walks, ASF/AMC) and 9 (runs) of the CMU Graphics Lab Motion Capture Database.
MOCAP ?= $(FORECASTING_TEST_DATA)/mocap
CLIPS = $(MOCAP)/cmu-walk-35-amc $(MOCAP)/cmu-run-09-egno/motion_run.npz
COMMA := ,
package: .venv/base  ## train checkpoints/cmu-motion anew from the recordings in MOCAP=FOLDER (ten minutes)
	$(BIN)/forecast train experiment=cmu_motion 'data.path=[$(subst $() ,$(COMMA),$(CLIPS))]' run=checkpoints/cmu-motion-run
	$(BIN)/forecast diagnose checkpoints/cmu-motion-run $(CLIPS) --types id --json > checkpoints/cmu-motion-run/diagnosis.json
	$(BIN)/forecast package build checkpoints/cmu-motion-run -o checkpoints/cmu-motion --name cmu-motion \
		--symmetry checkpoints/cmu-motion-run/diagnosis.json --note 'people who walk and run, in the joints of the CMU skeleton'

.venv/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) --editable .
	@touch $@

.venv/test: .venv/base
	$(PIP) --editable '.[test]'
	@touch $@
