"""Milliseconds of one update with one and two threads, idle and beside a busy process; and with and without denormal floats.

    python -m benchmarks.threads
    python -m benchmarks.threads --model transformer --checkpoint runs/transformer_add_seed0/12000.pth

Each number is measured in a process of its own, since OpenMP's threads keep the settings that they were made with.
"""

import argparse
import statistics
import subprocess
import sys
import time

import torch

from configs.base import MLPConfig, TransformerConfig
from experiments.build import build_loss, build_model, build_split, load_weights
from reporting.tables import table
from training.optimizer import AdamW


def milliseconds(args: argparse.Namespace) -> float:
    """Median CPU-side wall time of an update over some seconds."""
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(not args.denormals)
    config = (MLPConfig if args.model == "mlp" else TransformerConfig)(seed=args.seed, device="cpu")
    split = build_split(config)
    model = build_model(config, split)
    if args.checkpoint:
        model.load_state_dict(load_weights(args.checkpoint, model))
    optimizer = AdamW(model, 0.0 if args.checkpoint else config.lr, 0.0, config.betas, None)  # stays at the checkpoint
    x, times = model.encode(split.train_x), []
    end = time.perf_counter() + args.seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(10):
            build_loss(config)(model(x), split.train_y).backward()
            optimizer.step()
        times.append((time.perf_counter() - start) * 100)
    return statistics.median(times)


def measure(argv: list[str], *flags: str) -> float:
    command = [sys.executable, "-m", "benchmarks.threads", *argv, "--once", *flags]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mlp", "transformer"), default="mlp")
    parser.add_argument("--checkpoint", help="weights to measure at, of the default config (default: the init)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the data (default: 0)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each number (default: 4)")
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--denormals", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(milliseconds(args))
        return
    argv = sys.argv[1:]
    idle = [measure(argv, f"--threads={threads}") for threads in (1, 2)]
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        beside = [measure(argv, f"--threads={threads}") for threads in (1, 2)]
        busy.kill()
    denormals = measure(argv, "--threads=1", "--denormals")
    rows = [["idle", *(f"{value:.2f}" for value in idle)], ["beside a busy process", *(f"{value:.2f}" for value in beside)],
            ["idle, denormals kept", f"{denormals:.2f}", ""]]  # fmt: skip
    print(table(["ms for one update", "1 thread", "2 threads"], rows))


if __name__ == "__main__":
    main()
