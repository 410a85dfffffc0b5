"""Runs per hour of a sweep: one worker process against several, and against one process with as many threads.

    python -m benchmarks.workers                                  # 4 MLPs for 5,000 epochs, one worker a core
    python -m benchmarks.workers --model transformer --num_epochs 2000

Each is the sweep command itself, from its start to its end, in a folder that is thrown away. The machine must be idle.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provenance import usable_cores
from tables import table

CONFIGS = {"mlp": "MLPConfig", "transformer": "TransformerConfig", "mnist": "MnistConfig"}
SWEEP = """from configs.base import {name}
from configs.sweep import Sweep

sweep = Sweep(base={name}(device="cpu", num_epochs={num_epochs}), seeds=tuple(range({runs})))
"""


def seconds_of_sweep(args: argparse.Namespace, *flags: str) -> float:
    """Wall time of one sweep command."""
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "benchmark_sweep.py"
        module.write_text(SWEEP.format(name=CONFIGS[args.model], num_epochs=args.num_epochs, runs=args.runs))
        command = [sys.executable, "sweep.py", f"--config={module}", f"--root={folder}/runs", *flags]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, default="mlp")
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes, or threads (default: cores)")
    parser.add_argument("--runs", type=int, default=4, help="runs of the sweep (default: 4)")
    parser.add_argument("--num_epochs", type=int, default=5_000, help="epochs of each (default: 5,000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn (default: 3)")
    args = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "offline")
    candidates = {
        "1 process, 1 thread": ["--workers=1", "--threads=1"],
        f"1 process, {args.workers} threads": ["--workers=1", f"--threads={args.workers}"],
        f"{args.workers} processes, 1 thread each": [f"--workers={args.workers}"],
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(args.rounds):
        for name, flags in candidates.items():
            times[name].append(seconds_of_sweep(args, *flags))
        print(f"round {number + 1}:", {name: f"{taken[-1]:.1f} s" for name, taken in times.items()}, file=sys.stderr)
    one = times["1 process, 1 thread"]
    rows = []
    for name, taken in times.items():
        ratios = [first / mine for first, mine in zip(one, taken, strict=True)]
        rows.append([
            name,
            f"{statistics.median(taken):.1f}",
            f"{args.runs * 3600 / statistics.median(taken):,.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
        ])  # fmt: skip
    head = [f"{args.runs} runs of the {args.model}, {args.num_epochs:,} epochs", "s (median)", "runs/hour"]
    print(table([*head, "times one process", "range over rounds"], rows))


if __name__ == "__main__":
    main()
