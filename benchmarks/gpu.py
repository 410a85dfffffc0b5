"""All that needs a GPU, in some ten minutes: its tests, populations against their floors, 64 MLPs at once, and where their time goes.

make gpu                                                                     # prints, and writes gpu.txt
python -m benchmarks.gpu --device cpu --sizes 1 2 --steps 3 --num_epochs 60  # the same at a tiny size without one
"""

import argparse
import subprocess
import sys
import tempfile
import time

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.population import population_step
from configs.base import MLPConfig
from experiments.build import choose_device, set_threads_and_denormals
from experiments.populations import train_population


def run(*command: str) -> None:
    """A command of this interpreter, whose output goes where this one's goes."""
    print(f"\n$ python {' '.join(command)}", flush=True)
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f"{done.stdout}status {done.returncode}", flush=True)


def whole_population(size: int, num_epochs: int, device: str) -> None:
    """Seconds of runs with everything on, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as root:
        configs = [MLPConfig(seed=seed, num_epochs=num_epochs, device=device, root=root) for seed in range(size)]
        start = time.perf_counter()
        done = train_population(configs, lambda config, error: print(f"seed {config.seed}: {error}"))
        seconds = time.perf_counter() - start
    rate = len(done) * num_epochs / seconds
    print(f"\n{len(done)} MLPs, {num_epochs:,} epochs: {seconds:.1f} s, {rate:,.0f} replica-epochs/s", flush=True)


def print_profile(size: int, steps: int, device: str) -> None:
    """Which operations a step of a population spends its time in."""
    config = MLPConfig(device=device)
    step = population_step(config, size, choose_device(config))
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device != "cpu" else [])
    with profile(activities=activities) as found:
        for _ in range(steps):
            step()
    order = "cuda_time_total" if device != "cpu" else "cpu_time_total"
    print(f"\na step of {size} MLPs\n{found.key_averages().table(sort_by=order, row_limit=12)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8, 64, 256], help="numbers of networks")
    parser.add_argument("--steps", type=int, default=200, help="updates in a round")
    parser.add_argument("--num_epochs", type=int, default=30_000, help="of the whole runs")
    args = parser.parse_args()
    if args.device != "cpu" and not torch.cuda.is_available():
        print("there is no GPU here, so nothing is measured")
        return
    set_threads_and_denormals(MLPConfig(device=args.device))
    if args.device != "cpu":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
        run("-m", "pytest", "-q", "tests/test_cuda.py")
    for model in ("mlp", "transformer"):
        sizes = [str(size) for size in args.sizes]
        run(
            "-m",
            "benchmarks.population",
            "--model",
            model,
            "--device",
            args.device,
            "--steps",
            str(args.steps),
            "--sizes",
            *sizes,
        )
    whole_population(min(64, max(args.sizes)), args.num_epochs, args.device)
    print_profile(min(64, max(args.sizes)), args.steps, args.device)


if __name__ == "__main__":
    main()
