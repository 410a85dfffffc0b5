"""The loop, once: it measures and saves, then it steps. It trains one network, or a population along one leading axis."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from data.split import Split
from errors import Interrupted
from randomness import generator
from training.losses import Loss, lp_penalty
from training.metrics import evaluate, is_checkpoint, is_due, norms
from training.optimizer import AdamW
from training.recording import Recorder
from training.signals import catch_signals, exit_status


@dataclass(frozen=True)
class Schedule:
    """When to measure, save and end, and what an epoch is.

    ``stopping_thresh``: a test loss, or None. ``lp``, ``lp_alpha``: the penalty. ``batch_size``: None for full batch; else an
    epoch is one pass over the training set in an order that ``seed`` and the epoch give, so that resuming needs no state.
    """

    num_epochs: int
    save_every: int
    stopping_thresh: float | None = None
    lp: float = 2.0
    lp_alpha: float = 0.0
    batch_size: int | None = None
    seed: int = 0


@torch.no_grad()
def measure(model: nn.Module, train: tuple, test: tuple, loss: Loss, flat: Tensor) -> Tensor:
    """One row of metrics.csv without its epoch, ``-> (..., 8)``."""
    sides = []
    for x, y in (train, test):
        logits = model(x)
        sides.append(evaluate(logits, y, loss(logits, y)))
    return torch.cat([torch.stack(sides, -1).flatten(-2), norms(flat)], -1)


def train(
    model: nn.Module,
    split: Split,
    loss: Loss,
    optimizer: AdamW,
    recorders: list[Recorder],
    schedule: Schedule,
    *,
    start: int = 0,
    progress=None,
) -> None:
    """Train from epoch ``start``, full batch, one update an epoch; one recorder for each network.

    Epoch e is the weights after exactly e updates. Raises Interrupted, with the state saved, when a signal asks to stop.
    """
    train_set = model.encode(split.train_x), split.train_y
    test_set = model.encode(split.test_x), split.test_y
    with catch_signals() as signals:
        for epoch in range(start, schedule.num_epochs + 1):
            last = epoch == schedule.num_epochs
            if last or is_due(epoch) or is_checkpoint(epoch, schedule.save_every):
                rows = measure(model, train_set, test_set, loss, optimizer.flat).reshape(-1, 8).tolist()
                for member, (recorder, row) in enumerate(zip(recorders, rows, strict=True)):
                    recorder.observe(epoch, row, lambda m=member: member_state(model, optimizer, m), schedule)
                if progress is not None:
                    progress(epoch, rows)
            if signals.received and any(recorder.is_running for recorder in recorders):
                for member, recorder in enumerate(recorders):
                    if recorder.is_running:
                        recorder.save_state(epoch, member_state(model, optimizer, member))
                raise Interrupted(
                    f"stopped at epoch {epoch}, saved; run the same command again to go on",
                    exit_status(signals.received),
                )
            if not any(recorder.is_running for recorder in recorders):
                break
            for x, y in batches(model, split, schedule, epoch, train_set):
                objective = loss(model(x), y)
                if schedule.lp_alpha:
                    objective = objective + lp_penalty(model, schedule.lp, schedule.lp_alpha)
                objective.sum().backward()
                optimizer.step()


def batches(model: nn.Module, split: Split, schedule: Schedule, epoch: int, full: tuple) -> Iterable[tuple]:
    """The batches of an epoch: the whole training set, ``full``, or parts of it along the axis of examples."""
    num_train = split.train_y.shape[-1]
    if schedule.batch_size is None or schedule.batch_size >= num_train:
        return [full]
    order = torch.randperm(num_train, generator=generator(schedule.seed, f"batches of epoch {epoch}"))
    parts = order.to(split.train_y.device).split(schedule.batch_size)
    axis = split.train_y.dim() - 1
    return (
        (model.encode(split.train_x.index_select(axis, part)), split.train_y.index_select(axis, part)) for part in parts
    )


def member_state(model: nn.Module, optimizer: AdamW, member: int) -> dict:
    """One network's weights and optimizer state, on the CPU and without the population's axis."""

    def own(tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        return (tensor[member] if optimizer.is_population and tensor.dim() else tensor).cpu().clone()

    weights = {name: own(weight) for name, weight in model.state_dict().items()}
    return {"model": weights, "optimizer": {name: own(tensor) for name, tensor in optimizer.state_dict().items()}}
