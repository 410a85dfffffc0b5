# `make run` shows the headline, `make test` checks the code. Both set up .venv first.
PYTHON ?= python3
# Passed on to pip, for example PIP_FLAGS="--index-url <the index of another torch build>".
PIP_FLAGS ?=

# One thread for each of pytest's processes, where the environment does not say otherwise.
PYTEST = OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} .venv/bin/python -m pytest -n auto --dist loadfile

.PHONY: run test check results notebook lint slurm gpu clean
run: .venv/run.ok
	.venv/bin/python main.py --dataset=modular_addition --pruning_rate=0.6 --seed=42

test: lint
	$(PYTEST) -m "not slow"

# What `make test` leaves out: slow tests, and those that compare numbers once more with the kernels of a CPU that knows neither
# AVX2 nor AVX-512, as they round otherwise: what is equal must be so on every CPU.
check: lint
	$(PYTEST) -m "slow"
	ATEN_CPU_CAPABILITY=default $(PYTEST) -m "numerics and not slow"

# Every page from the CSVs of the studies; the suite fails where they differ.
results: .venv/run.ok
	.venv/bin/python -m reporting.pages

# The guided tour, in the browser.
notebook: .venv/notebook.ok
	.venv/bin/jupyter lab notebooks/grokking_tickets.ipynb

lint: .venv/test.ok
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

# What needs a GPU: tests, speeds and a profile, into gpu.txt. Ends with one line where there is none.
gpu: .venv/test.ok
	.venv/bin/python -m benchmarks.gpu | tee gpu.txt

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

.venv/notebook.ok: requirements-notebook.txt requirements.txt | .venv/bin/python
	.venv/bin/python -m pip install -q $(PIP_FLAGS) -r requirements-notebook.txt
	touch $@

clean:
	rm -rf .venv
