"""Many runs: every setting of a study, or of a sweep of one's own, for every seed, on whatever machine there is.

    python sweep.py controls                              trains what studies/controls needs and is not there yet
    python sweep.py controls --list                       what would run, what is done already
    python sweep.py controls --collect                    its results.csv, its page and its pictures
    python sweep.py --config my_sweep.py [--collect]      the same for a sweep of one's own: results.csv, a table, a picture

As many workers as cores, or populations on a GPU. Any number of workers, array tasks or machines on one file system come out
right, and a sweep goes on where it was stopped (experiments/queue.py).
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError, run_script
from configs.flags import load_object, parse_sweep, peek
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from experiments.build import choose_device
from experiments.folder import RunFolder
from experiments.origin import changed_files, usable_cores
from experiments.queue import Planned, plan, runs_of_task, work
from experiments.workers import ENDS_WITH_STDIN, end_with_stdin, run_workers
from reporting.collect import is_lost, rows_of, write_sweep
from reporting.study import Study


@dataclass(frozen=True)
class Flags:
    """This script."""

    config: str = "my_sweep.py"
    """Python module that defines `sweep`; flags below override fields of its base. A study's name takes its place."""
    seeds: tuple[int, ...] | None = None
    """Seeds instead of those of the sweep."""
    list: bool = False
    """Only say what would run and what is done."""
    collect: bool = False
    """Only gather what is finished: results.csv, a table and a picture."""
    output: str | None = None
    """Folder for what --collect writes, in a folder of the study's or the sweep's name; None: studies, or --root."""
    rerun: bool = False
    """Move finished runs that older code has trained aside and train them again."""
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


def parse(argv: list[str]) -> tuple[Flags, dict[str, Sweep], Study | None]:
    """``(flags, {part: sweep}, the study if one is named)``, the flags' values in every sweep's base."""
    study, sweeps, prog = None, {"": Sweep(MLPTicketConfig())}, "sweep.py"  # of which --help tells
    path = peek(argv, "config")["config"]
    if argv and not argv[0].startswith("-"):
        study, argv = Study(argv[0]), argv[1:]
        sweeps, prog = dict(study.runs), f"sweep.py {study.name}"
        if path is not None:
            raise UserError(f"the study {study.name} has runs of its own; leave its name or --config out")
    elif path is not None:
        sweeps = {Path(path).stem: load_object(path, "sweep", Sweep)}
    elif not {"-h", "--help"} & {*argv}:
        raise UserError("which study? python sweep.py NAME, as its folder below studies/ is called, or --config FILE")
    for part, sweep in sweeps.items():
        flags, sweeps[part] = parse_sweep(Flags, argv, sweep, prog=prog, description=__doc__)
    if flags.num_tasks < 1 or flags.index < 0 or flags.workers < 0:
        raise UserError("--num_tasks is 1 or more, and --index and --workers are 0 or more")
    if flags.output == "":
        raise UserError("--output is empty; leave it out, or name a folder")
    if study and flags.output:
        study.output = Path(flags.output) / study.name
    elif study and flags.collect and any(is_another(sweep, study.runs[part]) for part, sweep in sweeps.items()):
        raise UserError("these flags make other runs than the study's own; --output says where to write what they show")
    return flags, sweeps, study


def is_another(sweep: Sweep, other: Sweep) -> bool:
    """Whether two sweeps are of different runs, wherever these are."""
    return sweep.base.settings() != other.base.settings() or sweep.seeds != other.seeds


def collect(sweeps: dict[str, Sweep], runs: list[Planned], study: Study | None, output: Path) -> None:
    """Gather what is finished, for the page of a study, or for a sweep of one's own; says what is left out, and why."""
    results = {}
    for part, sweep in sweeps.items():
        wanted = [run for run in runs if run.config in sweep.labels]
        finished = {run.config: run.find().path for run in wanted if run.state.startswith("done")}
        lost = [run.config for run in wanted if not run.is_done and is_lost(run.config)]
        for run in wanted:
            if run.state.startswith("cannot") and run.config not in lost:
                print(f"left out: {run}: {run.state}")
        results[part] = rows_of(sweep, finished, lost)
        print(f"{len(finished)} of {len(wanted)} runs are finished")
    if study:
        study.collect(results)
        print(f"written: {study.output}: results.csv, README.md and its pictures")
    else:
        ((name, sweep),) = sweeps.items()
        write_sweep(sweep, results[name], output / name)


def train(flags: Flags, runs: list[Planned], argv: list[str]) -> int:
    """Train what is not done, in this process or in worker processes; gives the exit status."""
    base = runs[0].config
    on_gpu = choose_device(base).type == "cuda"
    population = on_gpu if flags.population is None else flags.population
    RunFolder.needs_lock = flags.locks
    RunFolder(Path(base.root), {}).check_locks()
    workers = flags.workers or (1 if population or not flags.locks else usable_cores())
    if workers > 1 and not flags.locks:
        raise UserError("--no_locks wants one process a task: --workers=1, once for each --index below --num_tasks")
    if workers > 1:
        if workers > usable_cores():
            workers = usable_cores()
            print(f"--workers {flags.workers} is more than the cores that this process may use: {workers} it is")
        return 1 if run_workers(__file__, argv, runs, Path(base.root), workers) else 0
    own = runs if flags.locks else runs_of_task(runs, flags.index, flags.num_tasks)
    failed = work(own, flags.index, population, flags.num_tasks if flags.locks else 1) if own else []
    for message in failed:
        print(f"failed: {message}")
    print(f"{sum(run.is_done for run in own)} of {len(own)} runs are done, {len(failed)} failed")
    return 1 if failed else 0


def run_sweep(argv: list[str]) -> int:
    flags, sweeps, study = parse(argv)
    runs = plan(sweeps.values(), flags.rerun)
    status = 0
    if flags.list:
        for run in runs:
            print(f"{run.state:7}", run)
        print(f"{sum(run.is_done for run in runs)} of {len(runs)} runs are done")
    elif flags.collect:
        collect(sweeps, runs, study, Path(flags.output or runs[0].config.root))
    else:
        if os.environ.pop(ENDS_WITH_STDIN, None):
            end_with_stdin()
        status = train(flags, runs, argv)
    if older := [run for run in runs if run.state == "done (older code)"]:
        files = sorted({name for run in older for name in changed_files(run.find().config(), run.config)})
        print(
            f"older versions of {', '.join(files)} have trained {len(older)} of {len(runs)} runs, such as {older[0]}; "
            "--rerun trains them again"
        )
    return status


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run_sweep(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
