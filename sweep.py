"""Many runs: every combination of a sweep's axes for every seed, on whatever machine there is.

    python sweep.py --config configs/sweep_pruning_rate.py              as many workers as cores, or populations on a GPU
    python sweep.py --config configs/sweep_pruning_rate.py --list       what would run, what is done already
    python sweep.py --config configs/sweep_pruning_rate.py --collect    results.csv, a table and a picture

Workers share no plan: each walks the same ordered list and takes the first run that is not done, that no other holds (a lock
which the kernel frees when a process dies), and whose dense run is finished; it waits if there is none. So any number of
workers, array tasks or machines on one file system come out right, and a sweep goes on where it was stopped.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError, run_script
from configs.load import parse_sweep
from experiments.components import choose_device
from experiments.folder import RunFolder
from experiments.processes import ENDS_WITH_STDIN, end_with_stdin, run_workers, say_other_code
from experiments.provenance import usable_cores
from experiments.worker import plan, share, work
from reporting.sweep_results import collect, is_lost


@dataclass(frozen=True)
class Flags:
    """This script."""

    config: str = "configs/sweep_pruning_rate.py"
    """Python module that defines `sweep`; flags below override fields of its base."""
    seeds: tuple[int, ...] | None = None
    """Seeds instead of those of the sweep."""
    list: bool = False
    """Only say what would run and what is done."""
    collect: bool = False
    """Only gather what is finished: results.csv, a table and a picture."""
    output: str | None = None
    """Folder for what --collect writes, in a folder of the sweep's name; None: --root."""
    rerun: bool = False
    """Move finished runs that other code has trained aside and train them again."""
    workers: int = 0
    """Worker processes of one thread each, at most one a core; 0: one a core, or one with populations on a GPU. 1: this process."""
    population: bool | None = None
    """Train runs that share shapes as one population; None: on a GPU."""
    index: int = 0
    """Where in the list to start, so that array tasks do not all begin with the same run."""
    num_tasks: int = 1
    """Number of array tasks: a population takes its part of the runs, and with --no_locks each task does."""
    locks: bool = True
    """--no_locks: where machines do not see each other's locks, each of --num_tasks tasks keeps to the runs of its --index."""


def run_sweep(argv: list[str] | None) -> int:
    flags, sweep = parse_sweep(Flags, argv, prog="sweep.py", description=__doc__)
    runs, root = plan(sweep, flags.rerun), Path(sweep.base.root)
    if flags.list:
        for run in runs:
            print(run.state, run)
        print(f"{sum(run.is_done for run in runs)} of {len(runs)} runs are done")
        say_other_code(runs)
        return 0
    if flags.collect:
        wanted = runs[-len(sweep.configs()) :]
        finished = [run for run in wanted if run.is_done and not run.is_needless]
        lost = [run for run in wanted if not run.is_done and is_lost(run.config)]
        for run in wanted:
            state = run.state
            if state.startswith("cannot") and run not in lost:
                print(f"left out: {run}: {state}")
        output = Path(flags.output or root) / Path(flags.config).stem
        collect(sweep, [(run.config, run.find().path) for run in finished], [run.config for run in lost], output)
        return 0
    if flags.workers < 0:
        raise UserError(f"--workers must be 0 or more, not {flags.workers}")
    if os.environ.pop(ENDS_WITH_STDIN, None):
        end_with_stdin()
    on_gpu = choose_device(sweep.base).type == "cuda"
    population = on_gpu if flags.population is None else flags.population
    RunFolder.needs_lock = flags.locks
    RunFolder(root, {}).check_locks()
    workers = flags.workers or (1 if population or not flags.locks else usable_cores())
    if workers > 1 and not flags.locks:
        raise UserError("--no_locks wants one process a task: --workers=1, once for each --index below --num_tasks")
    if workers > 1:
        if workers > usable_cores():
            workers = usable_cores()
            print(f"--workers {flags.workers} is more than the cores that this process may use: {workers} it is")
        return 1 if run_workers(__file__, sys.argv[1:] if argv is None else argv, runs, root, workers) else 0
    own = runs if flags.locks else share(runs, flags.index, flags.num_tasks)
    failed = work(own, flags.index, population, flags.num_tasks if flags.locks else 1) if own else []
    for message in failed:
        print(f"failed: {message}")
    print(f"{sum(run.is_done for run in own)} of {len(own)} runs are done, {len(failed)} failed")
    say_other_code(own)
    return 1 if failed else 0


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run_sweep(argv))


if __name__ == "__main__":
    sys.exit(main())
