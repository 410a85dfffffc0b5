"""Runs per hour of a sweep: one worker process against several, and against one process with as many threads.

    python -m benchmarks.workers                                  # 4 MLPs for 10,000 epochs, one worker a core
    python -m benchmarks.workers --model transformer --num_epochs 2000

Each is the sweep command itself, from its start to its end, in a folder that is thrown away. What the machine can give at all
is measured beside it: the steps of the bare floor (benchmarks/modular.py, mnist.py) that as many processes make at once, over
those that one makes alone. The machine must be idle.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import mnist, modular
from configs.base import MLPConfig, MnistConfig, TransformerConfig
from experiments.build import set_threads_and_denormals
from experiments.origin import usable_cores
from reporting.tables import table

CONFIGS = {"mlp": MLPConfig, "transformer": TransformerConfig, "mnist": MnistConfig}
SWEEP = """from configs.base import {name}
from configs.sweep import Sweep

sweep = Sweep(base={name}(device="cpu", num_epochs={num_epochs}), seeds=tuple(range({runs})))
"""
FLOOR_SECONDS = 5.0


def seconds_of_sweep(args: argparse.Namespace, *flags: str) -> float:
    """Wall time of one sweep command."""
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "benchmark_sweep.py"
        module.write_text(SWEEP.format(name=CONFIGS[args.model].__name__, num_epochs=args.num_epochs, runs=args.runs))
        command = [sys.executable, "sweep.py", f"--config={module}", f"--root={folder}/runs", *flags]
        start = time.perf_counter()
        finished = subprocess.run(command, capture_output=True, text=True)
        if finished.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
        return time.perf_counter() - start


def floor_steps(model: str) -> float:
    """Steps of the floor in a second, in this process with one thread."""
    config = CONFIGS[model](device="cpu")
    set_threads_and_denormals(config)
    step = (mnist if model == "mnist" else modular).floor_step(config)
    for _ in range(50):
        step()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < FLOOR_SECONDS:
        step()
        steps += 1
    return steps / (time.perf_counter() - start)


def floor_together(model: str, processes: int) -> float:
    """Steps of the floor in a second that ``processes`` make together."""
    command = [sys.executable, "-m", "benchmarks.workers", "--floor_only", f"--model={model}"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(float(process.communicate()[0]) for process in started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, default="mlp")
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes, or threads (default: cores)")
    parser.add_argument("--runs", type=int, default=4, help="runs of the sweep (default: 4)")
    parser.add_argument("--num_epochs", type=int, default=10_000, help="epochs of each (default: 10,000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn (default: 3)")
    parser.add_argument("--floor_only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not 1 <= args.workers <= usable_cores():
        parser.error(f"--workers must be 1 to {usable_cores()}, the cores that this process may use")
    if args.floor_only:
        print(floor_steps(args.model))
        return
    os.environ.setdefault("WANDB_MODE", "offline")
    candidates = {
        "1 process, 1 thread": ["--workers=1", "--threads=1"],
        f"1 process, {args.workers} threads": ["--workers=1", f"--threads={args.workers}"],
        f"{args.workers} processes, 1 thread each": [f"--workers={args.workers}"],
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    floors = []
    for number in range(args.rounds):
        for name, flags in candidates.items():
            times[name].append(seconds_of_sweep(args, *flags))
        floors.append(floor_together(args.model, args.workers) / floor_together(args.model, 1))
        line = ", ".join(f"{name} {taken[-1]:.1f} s" for name, taken in times.items())
        print(f"round {number + 1} of {args.rounds}: {line}, floor {floors[-1]:.2f}", file=sys.stderr, flush=True)
    one = times["1 process, 1 thread"]
    rows = []
    for name, taken in times.items():
        ratios = [first / mine for first, mine in zip(one, taken, strict=True)]
        seconds = statistics.median(taken)
        rows.append([name, f"{seconds:.1f}", f"{args.runs * 3600 / seconds:,.0f}", *spread(ratios)])
    rows.append([f"the bare floor in {args.workers} processes", "", "", *spread(floors)])
    head = [f"{args.runs} runs of the {args.model}, {args.num_epochs:,} epochs", "s (median)", "runs/hour"]
    print(table([*head, "times one process", "range over rounds"], rows))


def spread(ratios: list[float]) -> list[str]:
    return [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]


if __name__ == "__main__":
    main()
