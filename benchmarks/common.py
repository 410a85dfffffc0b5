"""Timing of alternatives in one process, in turn, so that a machine whose speed drifts is fair to all of them."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from experiments.trainer import train_one
from reporting.tables import table


def alternate(candidates: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds per epoch of each candidate, one number a round; a candidate runs and returns how many epochs it did."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, candidate in candidates.items():
            start = time.perf_counter()
            epochs = candidate()
            times[name].append((time.perf_counter() - start) / epochs * 1e3)
        line = ", ".join(f"{name} {series[-1]:.2f}" for name, series in times.items())
        print(f"round {number + 1} of {rounds}, ms/epoch: {line}", file=sys.stderr, flush=True)
    return times


def print_times(times: dict[str, list[float]], floor: str) -> None:
    """Medians, and the ratio to the floor round by round."""
    rows = []
    for name, series in times.items():
        ratios = [mine / least for mine, least in zip(series, times[floor], strict=True)]
        median = statistics.median(series)
        rows.append([name, f"{median:.3f}", f"{1e3 / median:,.0f}", f"{statistics.median(ratios):.2f}",
                     f"{min(ratios):.2f} to {max(ratios):.2f}"])  # fmt: skip
    print(table(["", "ms/epoch (median)", "epochs/s", f"times the {floor}", "range over rounds"], rows))


def repeat(step: Callable[[], None], epochs: int) -> Callable[[], int]:
    """A candidate that makes ``epochs`` steps."""

    def run() -> int:
        for _ in range(epochs):
            step()
        return epochs

    return run


def whole_run(config, epochs: int) -> Callable[[], int]:
    """A candidate that makes a run of ``epochs`` with everything switched on, in a folder that is thrown away."""

    def run() -> int:
        with tempfile.TemporaryDirectory() as root:
            train_one(config.but(num_epochs=epochs, root=root))
        return epochs

    return run


def fused_pass(count: int, weight_decay: float) -> Callable[[], None]:
    """One fused AdamW pass over ``count`` weights, with gradients that stay where they are."""
    flat, grad, exp_avg, exp_avg_sq = (torch.zeros(count) for _ in range(4))
    steps = [torch.tensor(1.0)]
    update = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.98, "weight_decay": weight_decay, "eps": 1e-8}

    def step() -> None:
        torch._fused_adamw_([flat], [grad], [exp_avg], [exp_avg_sq], [], steps, amsgrad=False, maximize=False, **update)

    return step
