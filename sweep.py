"""Many runs: every combination of a sweep's axes for every seed, on whatever machine there is.

    python sweep.py --config configs/sweep_pruning_rate.py              as many workers as cores, or populations on a GPU
    python sweep.py --config configs/sweep_pruning_rate.py --list       what would run, what is done already
    python sweep.py --config configs/sweep_pruning_rate.py --collect    results.csv, a table and a picture

Workers share no plan: each walks the same ordered list and takes the first run that is not done, that no other holds (a lock
which the kernel frees when a process dies), and whose dense run is finished; it waits if there is none. So any number of
workers, array tasks or machines on one file system come out right, and a sweep goes on where it was stopped.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collecting import collect
from configs.base import RunConfig
from configs.load import parse_sweep
from configs.sweep import Sweep
from errors import Interrupted, UserError, run_script
from experiment import Job, choose_device, dense_folder, dense_job, save_mask, ticket_job
from provenance import usable_cores
from runner import run_job, run_population
from training.folder import Busy, locks_work
from training.signals import catch_signals, exit_status

POLL_SECONDS = 2.0
POPULATION_AT_MOST = 256  # runs that a worker takes at once; memory may make it fewer


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
    output: str = "assets/results"
    """Folder for what --collect writes."""
    workers: int = 0
    """Worker processes of one thread each, at most one a core; 0: one a core, or one with populations on a GPU. 1: this process."""
    population: bool | None = None
    """Train runs that share shapes as one population; None: on a GPU."""
    index: int = 0
    """Where in the list to start, so that array tasks do not all begin with the same run."""
    num_tasks: int = 1
    """Number of array tasks; needed only where the file system has no locks, where each keeps to its share."""


@dataclass
class Unit:
    """One run of a sweep: a config, and how to make its job, which for a ticket needs the dense run."""

    config: RunConfig
    is_dense: bool
    label: str = ""
    job: Job | None = None

    @property
    def is_ready(self) -> bool:
        """Whether its dense run is finished; or can never be used, of which make_job then says why."""
        try:
            return self.is_dense or dense_folder(self.config).is_finished
        except UserError:
            return True

    def make_job(self) -> None:
        """Find the run's folder, and a ticket's mask; once. Raises UserError where there can be none."""
        if self.job is None:
            self.job = dense_job(self.config) if self.is_dense else ticket_job(self.config)

    @property
    def is_done(self) -> bool:
        if self.is_ready:
            with contextlib.suppress(UserError):  # a run that cannot be made is not done; work() says why
                self.make_job()
        return self.job is not None and self.job.folder.is_finished

    def __str__(self) -> str:
        if self.job is not None:
            return self.job.folder.path.name
        return ", ".join(filter(None, [self.config.run_name(), self.label]))


def plan(sweep: Sweep) -> list[Unit]:
    """The dense runs that are needed, each once, then the sweep's runs in order."""
    configs = sweep.configs()
    if not sweep.has_tickets:
        return [Unit(config, True) for config in configs]
    dense = {str(config.identity()): config for config in configs}
    tickets = [Unit(config, False, sweep.label(config, names=True)) for config in configs]
    return [Unit(config, True) for config in dense.values()] + tickets


def work(units: list[Unit], start: int, population: bool) -> list[str]:
    """Take runs until none is left; gives ``run: message`` for each that failed."""
    order = units[start % len(units) :] + units[: start % len(units)]
    failed: dict[int, str] = {}

    def attempt(unit: Unit, action: Callable[[], object]) -> object:
        try:
            return action()
        except (Busy, Interrupted):
            raise
        except (UserError, OSError, RuntimeError) as error:
            failed[id(unit)] = str(error)
            print(f"could not train {unit}: {error}", flush=True)
            return None

    while True:
        left = [unit for unit in order if id(unit) not in failed and not unit.is_done]
        ready = [unit for unit in left if unit.is_ready]
        for unit in ready:
            attempt(unit, unit.make_job)
        left, ready = ([unit for unit in some if id(unit) not in failed] for some in (left, ready))
        taken = take_population(ready, attempt) if population else take_one(ready, attempt)
        if taken:
            continue
        stuck = [unit for unit in left if not unit.is_ready and dense_failed(unit, units, failed)]
        for unit in stuck:
            failed[id(unit)] = "its dense run failed"
        if not left:
            return [f"{unit}: {failed[id(unit)]}" for unit in units if id(unit) in failed]
        if not stuck:
            time.sleep(POLL_SECONDS)


def state_of(unit: Unit) -> str:
    """One word for --list, and the reason where a run cannot be made."""
    if unit.is_done:
        return "done   "
    try:
        if unit.is_ready:
            unit.make_job()
    except UserError as error:
        return f"cannot  ({error})"
    return "ready  " if unit.is_ready else "waits  "


def dense_failed(unit: Unit, units: list[Unit], failed: dict[int, str]) -> bool:
    return any(
        other.is_dense and id(other) in failed and other.config.identity() == unit.config.identity() for other in units
    )


def take_one(ready: list[Unit], attempt: Callable) -> bool:
    """Train the first of these runs that no other process holds; False where all are held."""

    def train(job: Job) -> None:
        if job.mask is not None:
            with job.folder.lock():  # Busy, before a word about a mask that another makes
                pass
            save_mask(job)
        run_job(job)

    for unit in ready:
        try:
            attempt(unit, lambda u=unit: train(u.job))
            return True
        except Busy:
            continue
    return False


def take_population(ready: list[Unit], attempt: Callable) -> bool:
    """Train these runs together, but for those that another process holds; False where all are held."""
    units = {}

    def fail(job: Job, error: Exception) -> None:
        def again():
            raise error

        attempt(units[job.folder.path], again)

    for unit in ready[:POPULATION_AT_MOST]:
        with contextlib.suppress(Busy):
            if unit.job.mask is None or attempt(unit, lambda u=unit: save_mask(u.job) or True):
                units[unit.job.folder.path] = unit
    return bool(run_population([unit.job for unit in units.values()], fail))


def share(units: list[Unit], index: int, num_tasks: int) -> list[Unit]:
    """The units of one task where locks do not work: those of every num_tasks-th dense run."""
    dense = list(dict.fromkeys(str(unit.config.identity()) for unit in units))
    return [unit for unit in units if dense.index(str(unit.config.identity())) % num_tasks == index % num_tasks]


def run_workers(argv: list[str], units: list[Unit], root: Path, workers: int) -> int:
    """Start worker processes of this very command and show how far they are; gives how many runs failed or are left."""
    from tqdm import tqdm

    logs = [root / f"worker{number}_of_{os.getpid()}.log" for number in range(workers)]
    root.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(Path(__file__).resolve()), *argv, "--workers=1", "--threads=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    done = sum(unit.is_done for unit in units)
    bar = tqdm(total=len(units), initial=done, unit=" runs", disable=None, desc=root.name)
    processes: list[subprocess.Popen] = []
    with catch_signals() as signals, bar:
        try:
            for number, log in enumerate(logs):
                with log.open("w") as file:
                    flags = [f"--index={number * len(units) // workers}"]
                    processes.append(subprocess.Popen([*command, *flags], stdout=file, stderr=file, env=environment))
            while not signals.received and any(process.poll() is None for process in processes):
                time.sleep(POLL_SECONDS)
                bar.update(sum(unit.is_done for unit in units) - bar.n)
        finally:  # none goes on alone
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()
    if signals.received:
        raise Interrupted(
            "stopped, and all runs are saved; run the same command again to go on", exit_status(signals.received)
        )
    failures = {line.strip() for log in logs for line in log.read_text().splitlines() if line.startswith("failed: ")}
    for process, log in zip(processes, logs, strict=True):
        if process.returncode not in (0, 1):  # 1: it said which runs failed
            failures.add(f"a worker ended with status {process.returncode}; see {log}")
    left = sum(not unit.is_done for unit in units)
    print("\n".join(sorted(failures)) or "no run failed")
    print(f"{len(units) - left} of {len(units)} runs are done, {left} are left; logs: {', '.join(map(str, logs))}")
    return left + len(failures)


def body(argv: list[str] | None) -> int:
    flags, sweep = parse_sweep(Flags, argv, prog="sweep.py", description=__doc__)
    units, root = plan(sweep), Path(sweep.base.root)
    if flags.list:
        for unit in units:
            print(state_of(unit), unit)
        print(f"{sum(unit.is_done for unit in units)} of {len(units)} runs are done")
        return 0
    if flags.collect:
        finished = [unit for unit in units if unit.is_dense != sweep.has_tickets and unit.is_done]
        results = [(unit.config, unit.job.folder.path) for unit in finished]
        collect(sweep, results, Path(flags.output) / Path(flags.config).stem)
        return 0
    if flags.workers < 0:
        raise UserError(f"--workers must be 0 or more, not {flags.workers}")
    on_gpu = choose_device(sweep.base).type == "cuda"
    population = on_gpu if flags.population is None else flags.population
    workers = flags.workers or (1 if population else usable_cores())
    if workers > 1:
        if workers > usable_cores():
            workers = usable_cores()
            print(f"--workers {flags.workers} is more than the cores that this process may use: {workers} it is")
        return 1 if run_workers(sys.argv[1:] if argv is None else argv, units, root, workers) else 0
    mine = units
    if not locks_work(root):
        print(
            f"{root} lies on a file system without locks between machines: task {flags.index} keeps to its share of the runs"
        )
        mine = share(units, flags.index, flags.num_tasks)
    failed = work(mine, flags.index, population)
    for message in failed:
        print(f"failed: {message}")
    print(f"{sum(unit.is_done for unit in mine)} of {len(mine)} runs are done, {len(failed)} failed")
    return 1 if failed else 0


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: body(argv))


if __name__ == "__main__":
    sys.exit(main())
