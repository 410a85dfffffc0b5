# `make run` shows the headline, `make test` checks the code. Both set up .venv first.
PYTHON ?= python3
# Passed on to pip, for example PIP_FLAGS="--index-url <the index of another torch build>".
PIP_FLAGS ?=

.PHONY: run test lint slurm clean
run: .venv/run.ok
	.venv/bin/python main.py --dataset=modular_addition --pruning_rate=0.6 --seed=42

test: lint
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto

lint: .venv/test.ok
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

# Slurm on this (throw-away) machine, as one node, to try run_lottery_ticket.sh.
slurm:
	bash tests/slurm_node.sh

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.ok: requirements.txt | .venv/bin/python
	.venv/bin/python -m pip install -q $(PIP_FLAGS) -r requirements.txt
	touch $@

.venv/test.ok: requirements-dev.txt requirements.txt | .venv/bin/python
	.venv/bin/python -m pip install -q $(PIP_FLAGS) -r requirements-dev.txt
	touch $@ .venv/run.ok

clean:
	rm -rf .venv
