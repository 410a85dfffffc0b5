"""Replica-epochs per second of a population of R networks, against the textbook loop and the floor of the same machine.

A replica-epoch is one update of one network. The floor is what no program goes below: the bytes that an update must move over the
measured bandwidth of a large copy, or its operations over the measured rate of a large matrix product, whichever is longer.

    python -m benchmarks.population                         # on a GPU where there is one
    python -m benchmarks.population --sizes 1 2 4 --steps 20 --device cpu
"""

import argparse
import functools
import statistics
import sys
import time
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.modular import textbook_step
from configs.base import MLPConfig, TransformerConfig
from experiments.build import build_loss, build_model, build_split, choose_device, set_threads_and_denormals
from reporting.tables import table
from training.loop import capture
from training.optimizer import AdamW
from training.population import stack_models, stack_splits

ROUNDS = 3


def seconds_of(action, repeats: int, device: torch.device) -> float:
    """Median seconds of one call over ROUNDS rounds of ``repeats`` calls."""

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        action()
    times = []
    for _ in range(ROUNDS):
        wait()
        start = time.perf_counter()
        for _ in range(repeats):
            action()
        wait()
        times.append((time.perf_counter() - start) / repeats)
    return statistics.median(times)


def population_step(config, size: int, device: torch.device):
    """One update of ``size`` networks with seeds of their own, as the loop makes it."""
    configs = [replace(config, seed=seed) for seed in range(size)]
    splits = [build_split(each) for each in configs]
    model = stack_models([build_model(each, split) for each, split in zip(configs, splits, strict=True)]).to(device)
    lr, weight_decay = (
        torch.full((size,), value, dtype=torch.float64, device=device) for value in (config.lr, config.weight_decay)
    )
    optimizer = AdamW(model, lr, weight_decay, config.betas, None)
    split = stack_splits(splits).to(device)
    x, loss = model.encode(split.train_x), build_loss(config)

    def step():
        loss(model(x), split.train_y).sum().backward()
        optimizer.step()

    return capture(step, optimizer) if device.type == "cuda" else step


def measured_rates(device: torch.device) -> tuple[float, float]:
    """Bytes per second of a copy (read and written) and operations per second of a float32 product, both large."""
    count = 2**28 if device.type == "cuda" else 2**24
    a, b = torch.randn(count, device=device), torch.empty(count, device=device)
    side = 8192 if device.type == "cuda" else 1024
    m = torch.randn(side, side, device=device)
    bandwidth = 2 * a.nbytes / seconds_of(functools.partial(b.copy_, a), 10, device)
    rate = 2 * side**3 / seconds_of(lambda: m @ m, 5, device)
    return bandwidth, rate


def floor_seconds(config, bandwidth: float, rate: float) -> float:
    """The least time of one replica-epoch: operations counted by torch, bytes by what must be read and written once."""
    split = build_split(config)
    model = build_model(config, split)
    saved: dict[int, int] = {}

    def note(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        build_loss(config)(model(model.encode(split.train_x)), split.train_y).backward()
    weights = sum(weight.nbytes for weight in model.parameters())
    # Weights and both moments are read and written, the gradient is read; what backward needs is written and read.
    moved = 7 * weights + 2 * sum(saved.values())
    return max(moved / bandwidth, counter.get_total_flops() / rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mlp", "transformer"), default="mlp")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8, 64, 256], help="numbers of networks R")
    parser.add_argument("--steps", type=int, default=200, help="updates in a round")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    config = (MLPConfig if args.model == "mlp" else TransformerConfig)(device=args.device)
    set_threads_and_denormals(config)
    device = choose_device(config)
    floor = 1 / floor_seconds(config, *measured_rates(device))
    textbook = 1 / seconds_of(textbook_step(config, device), args.steps, device)
    rows = [["floor", f"{floor:,.0f}", f"{floor / textbook:.1f}", "1.00"],
            ["textbook, one network", f"{textbook:,.0f}", "1.0", f"{textbook / floor:.3f}"]]  # fmt: skip
    for size in args.sizes:
        speed = size / seconds_of(population_step(config, size, device), args.steps, device)
        rows.append([f"population, R = {size}", f"{speed:,.0f}", f"{speed / textbook:.1f}", f"{speed / floor:.3f}"])
        print(f"R = {size}: {speed:,.0f} replica-epochs/s", file=sys.stderr, flush=True)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{args.model} on {name}, torch {torch.__version__}, median of {ROUNDS} rounds of {args.steps} updates")
    print(table(["", "replica-epochs/s", "times the textbook", "of the floor"], rows))


if __name__ == "__main__":
    main()
