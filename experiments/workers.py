"""Worker processes of a sweep: started, watched, and ended with it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from common.errors import Interrupted
from experiments.queue import POLL_SECONDS, Planned
from training.signals import catch_signals, exit_status

ENDS_WITH_STDIN = "SWEEP_WORKER_ENDS_WITH_STDIN"  # environment variable of the workers that a sweep starts


def end_with_stdin() -> None:
    """End as after SIGTERM, saved, when standard input closes: the sweep that holds its other end is gone, even after kill -9."""

    def watch() -> None:
        # Nothing is ever written. A buffered read would hold a lock that Python wants at exit.
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def run_workers(script: str, argv: list[str], runs: list[Planned], root: Path, workers: int) -> int:
    """Start worker processes of the same command and show how far they are; gives how many runs failed or are left."""
    from tqdm import tqdm

    logs = [root / f"worker{number}_of_{os.getpid()}.log" for number in range(workers)]
    root.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, script, *argv, "--workers=1", "--threads=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", ENDS_WITH_STDIN: "1"}
    done = sum(run.is_done for run in runs)
    bar = tqdm(total=len(runs), initial=done, unit=" runs", disable=None, desc=root.name)
    processes: list[subprocess.Popen] = []
    with catch_signals() as signals, bar:
        try:
            for number, log in enumerate(logs):
                own = [*command, f"--index={number * len(runs) // workers}"]
                with log.open("w") as file:
                    process = subprocess.Popen(own, stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment)
                processes.append(process)
            while not signals.received and (alive := [process for process in processes if process.poll() is None]):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    alive[0].wait(POLL_SECONDS)
                bar.update(sum(run.is_done for run in runs) - bar.n)
        finally:  # none goes on alone
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()
    if signals.received:
        said = "stopped, and all runs are saved; run the same command again to go on"
        raise Interrupted(said, exit_status(signals.received))
    failures = {line.strip() for log in logs for line in log.read_text().splitlines() if line.startswith("failed: ")}
    for process, log in zip(processes, logs, strict=True):
        if process.returncode not in (0, 1):  # 1: it said which runs failed
            failures.add(f"a worker ended with status {process.returncode}; see {log}")
    missing = sum(not run.is_done for run in runs)
    silent = "the workers have not said why runs are left" if missing else "no run failed"
    print("\n".join(sorted(failures)) or silent)
    print(f"{len(runs) - missing} of {len(runs)} runs are done, {missing} are left; logs: {', '.join(map(str, logs))}")
    return missing + len(failures)
