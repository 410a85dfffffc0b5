"""Epochs per second on MNIST: a whole run, against a textbook loop with a DataLoader and against the floor.

textbook  a Dataset over uint8 images that normalises each of them, a DataLoader that shuffles, modules in the written order,
          MSELoss to one-hot labels, default AdamW, all test images through a DataLoader every 100 updates
floor     the same matrix products, the squared error and its gradient, and one fused AdamW pass over as many weights: nothing
          else
run       a run as the scripts make it: recording, checkpoints, wandb offline. What these take is also computed for the 100,000
          epochs of the default config: records and checkpoints are on a log schedule, and come thick in a short run

    python -m benchmarks.mnist
    python -m benchmarks.mnist --threads 1 --num_epochs 20000
"""

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.common import alternate, fused_pass, print_times, repeat, whole_run
from common.errors import run_script
from configs.base import Dense, MnistConfig
from experiments import trainer
from experiments.build import build_model, build_schedule, build_split, set_threads_and_denormals
from experiments.recorder import Recorder
from reporting.tables import table
from training import loop

UPDATES_BETWEEN_TESTS = 100  # of the textbook loop
PARTS = ("steps", "evaluation", "recording", "checkpoints", "start and end")


class Images(Dataset):
    """uint8 images ``(n, 784)`` and their labels ``(n,)``, one by one, as float32 in [0, 1]."""

    def __init__(self, x: Tensor, y: Tensor):
        self.images, self.labels = (x * 255).round().to(torch.uint8), y

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.images[i].float() / 255, self.labels[i]


def textbook_step(config: Dense) -> Callable[[], None]:
    """One epoch of the textbook loop."""
    split = build_split(config)
    widths = [split.train_x.shape[1], *[config.d_model] * (config.num_layers + 1)]
    hidden = [nn.Sequential(nn.Linear(i, o, bias=False), nn.ReLU()) for i, o in pairwise(widths)]
    model = nn.Sequential(*hidden, nn.Linear(widths[-1], split.num_classes, bias=False))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, config.weight_scale / weight.shape[1] ** 0.5)
    train_set = DataLoader(Images(split.train_x, split.train_y), batch_size=config.train_size, shuffle=True)
    test_set = DataLoader(Images(split.test_x, split.test_y), batch_size=1000)
    criterion = nn.MSELoss()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )
    updates = 0

    def step() -> None:
        nonlocal updates
        for x, y in train_set:
            optimizer.zero_grad()
            logits = model(x)
            loss = criterion(logits, F.one_hot(y, split.num_classes).float())
            loss.backward()
            optimizer.step()
            (logits.argmax(-1) == y).float().mean().item()
            updates += 1
        if updates % UPDATES_BETWEEN_TESTS == 0:
            test()

    @torch.no_grad()
    def test() -> None:
        loss = right = 0.0
        for x, y in test_set:
            logits = model(x)
            loss += criterion(logits, F.one_hot(y, split.num_classes).float()).item()
            right += (logits.argmax(-1) == y).sum().item()

    return step


def floor_step(config: Dense) -> Callable[[], None]:
    """One epoch of the bare arithmetic: the model's own products, the loss and one fused AdamW pass, each in its least form."""
    split = build_split(config)
    model = build_model(config, split)
    weights = list(model.parameters())
    x, target = model.encode(split.train_x), F.one_hot(split.train_y, split.num_classes).float()
    update = fused_pass(sum(weight.numel() for weight in weights), config.weight_decay)

    def step() -> None:
        torch.autograd.grad(F.mse_loss(model(x), target), weights)
        update()

    return step


@contextmanager
def stopwatch(owner, name: str, note: Callable[[float, tuple], None]) -> Iterator[None]:
    """While it is open, ``note`` is given the seconds and the arguments of every call of ``owner.name``."""
    original = getattr(owner, name)

    def timed(*args, **kwargs):
        start = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            note(time.perf_counter() - start, args)

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, original)


def timed_run(config: Dense, epochs: int, seconds: dict[str, list[float]]) -> Callable[[], int]:
    """A candidate that makes a whole run and adds what each of PARTS took to ``seconds``, one number a call of it."""
    run, training = whole_run(config, epochs), []

    def note_record(taken: float, args: tuple) -> None:
        _, epoch, *_, schedule = args
        is_saved = schedule.saves(epoch) or epoch == epochs
        seconds["checkpoints" if is_saved else "recording"].append(taken)

    def candidate() -> int:
        start, inside = time.perf_counter(), sum(map(sum, seconds.values()))
        with ExitStack() as stack:
            stack.enter_context(stopwatch(loop, "measure", lambda taken, _: seconds["evaluation"].append(taken)))
            stack.enter_context(stopwatch(Recorder, "observe", note_record))
            stack.enter_context(stopwatch(trainer, "train", lambda taken, _: training.append(taken)))
            run()
        inside = sum(map(sum, seconds.values())) - inside
        seconds["start and end"].append(time.perf_counter() - start - training[-1])
        seconds["steps"].append(training[-1] - inside)
        return epochs

    return candidate


def counts_of(config: Dense, epochs: int) -> dict[str, int]:
    """How often each of PARTS comes in a run of ``epochs``."""
    schedule = build_schedule(config)
    saved = {epoch for epoch in range(epochs + 1) if schedule.saves(epoch)} | {epochs}
    recorded = saved | {epoch for epoch in range(epochs) if schedule.records(epoch)}
    return dict(zip(PARTS, (epochs, len(recorded), len(recorded - saved), len(saved), 1), strict=True))


def print_shares(config: Dense, epochs: int, rounds: int, floor: float, seconds: dict[str, list[float]]) -> None:
    """What each part of a run takes: as measured, and for the epochs of ``config`` from how often it comes there.

    ``floor``: its seconds for an epoch.
    """
    here, there = counts_of(config, epochs), counts_of(config, config.num_epochs)
    measured = {part: sum(seconds[part]) / rounds for part in PARTS}
    computed = {part: measured[part] / max(here[part], 1) * there[part] for part in PARTS}
    rows = []
    for part in PARTS:
        columns = ((here, measured), (there, computed))
        rows.append([part])
        for counts, taken in columns:
            rows[-1] += [f"{counts[part]:,}", f"{taken[part]:.2f}", f"{taken[part] / sum(taken.values()):.1%}"]
    head = ["part", f"times in {epochs:,} epochs", "s", "share"]
    print(table([*head, f"times in {config.num_epochs:,} epochs", "s (computed)", "share"], rows))
    total = sum(computed.values())
    speed, ratio = config.num_epochs / total, total / config.num_epochs / floor
    print(
        f"computed for {config.num_epochs:,} epochs: {total / 60:.1f} min, {speed:,.0f} epochs/s, {ratio:.2f} times the floor"
    )


def run(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1, as in a run)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--num_epochs", type=int, default=5_000, help="epochs of the whole run")
    parser.add_argument("--steps", type=int, default=200, help="epochs of textbook and floor in a round")
    parser.add_argument("--train_size", type=int, default=1_000, help="training images")
    parser.add_argument("--data_root", help="folder with the MNIST files, as in train_mnist.py")
    args = parser.parse_args(argv)
    os.environ.setdefault("WANDB_MODE", "offline")
    config = MnistConfig(threads=args.threads, device="cpu", train_size=args.train_size, data_root=args.data_root)
    set_threads_and_denormals(config)
    floor, textbook = floor_step(config), textbook_step(config)
    repeat(floor, min(50, args.steps))()
    repeat(textbook, min(10, args.steps))()
    seconds: dict[str, list[float]] = defaultdict(list)
    candidates = {
        "floor": repeat(floor, args.steps),
        "textbook": repeat(textbook, args.steps),
        "run": timed_run(config, args.num_epochs, seconds),
    }
    times = alternate(candidates, args.rounds)
    print(f"mnist, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print_times(times, "floor")
    print()
    print_shares(config, args.num_epochs, args.rounds, statistics.median(times["floor"]) / 1e3, seconds)


if __name__ == "__main__":
    sys.exit(run_script(lambda: run(None)))
