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

import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import worker
from build import choose_device
from code_state import standing_counts
from collecting import collect
from configs.load import parse_sweep
from errors import Interrupted, UserError, run_script
from provenance import usable_cores
from training.folder import locks_work
from training.signals import catch_signals, exit_status
from worker import Unit, plan, share, state_of, work

ENDS_WITH_STDIN = "SWEEP_WORKER_ENDS_WITH_STDIN"  # environment variable of the workers that a sweep starts


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
    """Number of array tasks: a population takes its part of the runs, and where the file system has no locks each task does."""


def end_with_stdin() -> None:
    """End as after SIGTERM, saved, when standard input closes: the sweep that holds its other end is gone, even after kill -9."""

    def watch() -> None:
        os.read(
            sys.stdin.fileno(), 1
        )  # nothing is ever written; a buffered read would hold a lock that Python wants at exit
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def run_workers(argv: list[str], units: list[Unit], root: Path, workers: int) -> int:
    """Start worker processes of this very command and show how far they are; gives how many runs failed or are left."""
    from tqdm import tqdm

    logs = [root / f"worker{number}_of_{os.getpid()}.log" for number in range(workers)]
    root.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(Path(__file__).resolve()), *argv, "--workers=1", "--threads=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", ENDS_WITH_STDIN: "1"}
    done = sum(unit.is_done for unit in units)
    bar = tqdm(total=len(units), initial=done, unit=" runs", disable=None, desc=root.name)
    processes: list[subprocess.Popen] = []
    with catch_signals() as signals, bar:
        try:
            for number, log in enumerate(logs):
                with log.open("w") as file:
                    flags = [f"--index={number * len(units) // workers}"]
                    pipes = {"stdin": subprocess.PIPE, "stdout": file, "stderr": file}
                    processes.append(subprocess.Popen([*command, *flags], **pipes, env=environment))
            while not signals.received and (alive := [process for process in processes if process.poll() is None]):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    alive[0].wait(worker.POLL_SECONDS)
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
    silent = "the workers have not said why runs are left" if left else "no run failed"
    print("\n".join(sorted(failures)) or silent)
    print(f"{len(units) - left} of {len(units)} runs are done, {left} are left; logs: {', '.join(map(str, logs))}")
    say_other_code(units)
    return left + len(failures)


def say_other_code(units: list[Unit]) -> None:
    """One line where finished runs were not all trained by the code of now."""
    if said := standing_counts(unit.standing for unit in units if unit.is_done):
        print(f"{said}; --rerun trains those of other code again")


def body(argv: list[str] | None) -> int:
    flags, sweep = parse_sweep(Flags, argv, prog="sweep.py", description=__doc__)
    units, root = plan(sweep, flags.rerun), Path(sweep.base.root)
    if flags.list:
        for unit in units:
            print(state_of(unit), unit)
        print(f"{sum(unit.is_done for unit in units)} of {len(units)} runs are done")
        say_other_code(units)
        return 0
    if flags.collect:
        wanted = [unit for unit in units if unit.is_dense != sweep.has_tickets]
        finished = [unit for unit in wanted if unit.is_done]
        for unit in wanted:
            state = state_of(unit)
            if state.startswith("cannot"):
                print(f"left out: {unit}: {state}")
        output = Path(flags.output or root) / Path(flags.config).stem
        collect(sweep, [(unit.config, unit.find().path) for unit in finished], output)
        return 0
    if flags.workers < 0:
        raise UserError(f"--workers must be 0 or more, not {flags.workers}")
    if os.environ.pop(ENDS_WITH_STDIN, None):
        end_with_stdin()
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
    failed = work(mine, flags.index, population, flags.num_tasks)
    for message in failed:
        print(f"failed: {message}")
    print(f"{sum(unit.is_done for unit in mine)} of {len(mine)} runs are done, {len(failed)} failed")
    say_other_code(mine)
    return 1 if failed else 0


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: body(argv))


if __name__ == "__main__":
    sys.exit(main())
