"""The loop, once: it measures and saves, then it steps. It trains one network, or a population along one leading axis."""

import functools
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.errors import Interrupted
from common.randomness import generator
from data.task import Split
from models.model import weights_of
from training.losses import Loss, lp_penalty
from training.metrics import Pass, Seen, measured
from training.optimizer import Optimizer
from training.signals import catch_signals, exit_status

EARLY_CHECKPOINTS = (0, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Schedule:
    """When to measure, save and end, and what an epoch is.

    ``save_at``: epochs to save besides those of ``save_every``. ``stopping_thresh``: a test loss, or None. ``stop_after_gen``: the
    test accuracy whose t_gen ends the run once it is certain, or None. ``lp``, ``lp_alpha``: the penalty.
    ``batch_size``: None for full batch; else an epoch is one pass over the training set in an order that ``seed`` and the epoch give,
    so that resuming needs no state.
    """

    num_epochs: int
    save_every: int
    save_at: tuple[int, ...] = ()
    stopping_thresh: float | None = None
    stop_after_gen: float | None = None
    lp: float = 2.0
    lp_alpha: float = 0.0
    batch_size: int | None = None
    seed: int = 0

    def saves(self, epoch: int) -> bool:
        """Whether ``epoch`` is saved; the last epoch of a run is saved as well."""
        return epoch in EARLY_CHECKPOINTS or epoch % self.save_every == 0 or epoch in self.save_at

    def records(self, epoch: int) -> bool:
        """Whether ``epoch`` is recorded: each to 100, then in steps of at most 1 %, and what is saved; the last as well.

        A function of the epoch alone. Grokking is read on a log axis, so the records are dense where the axis is.
        """
        return epoch % max(1, epoch // 100) == 0 or self.saves(epoch)

    def outcome(self, epoch: int, test_loss: float) -> str | None:
        """How a run ends at this recorded epoch, "completed" or "stopped"; None while it goes on."""
        if epoch == self.num_epochs:
            return "completed"
        if self.stopping_thresh and test_loss < self.stopping_thresh:
            return "stopped"
        return None


@torch.no_grad()
def measure(model: nn.Module, train: tuple, test: tuple, loss: Loss, optimizer: Optimizer) -> Tensor:
    """One row of metrics.csv without its epoch, ``-> (..., measures)`` float64; in eval mode, so without dropout."""
    passes = []
    model.eval()
    for x, y in (train, test):
        logits = model(x)
        passes.append(Pass(logits, y, loss(logits, y)))
    model.train()
    weights = optimizer.views(optimizer.flat)
    return measured(Seen(*passes, weights, optimizer.grad_views, optimizer.mask_views, optimizer.flat, optimizer.grad))


def train(
    model: nn.Module,
    split: Split,
    loss: Loss,
    optimizer: Optimizer,
    recorders: Sequence,
    schedule: Schedule,
    *,
    start: int = 0,
    progress=None,
) -> int:
    """Train from epoch ``start``; one recorder (experiments/recording.py) for each network. Epoch e is the weights after exactly
    e updates (with a batch size: passes over the training set).

    Gives the epoch at which it ended: all have finished, or half of a population has and the rest is worth a smaller stack.
    Raises Interrupted, with the state saved, when a signal asks to stop.
    """
    train_set = model.encode(split.train_x), split.train_y
    test_set = model.encode(split.test_x), split.test_y

    def step(x: Tensor, y: Tensor) -> None:
        def closure() -> None:
            objective = loss(model(x), y)
            if schedule.lp_alpha:
                objective = objective + lp_penalty(optimizer.matrices(), schedule.lp, schedule.lp_alpha)
            objective.sum().backward()

        optimizer.step(closure)

    full_step = functools.partial(step, *train_set)
    if optimizer.capturable:
        full_step = capture(full_step, optimizer)
    draws = True  # whether a step draws random numbers, as dropout does: the first one tells
    with catch_signals() as signals:
        for epoch in range(start, schedule.num_epochs + 1):
            last = epoch == schedule.num_epochs
            if last or schedule.records(epoch):
                rows = measure(model, train_set, test_set, loss, optimizer).reshape(len(recorders), -1).tolist()
                for member, (recorder, row) in enumerate(zip(recorders, rows, strict=True)):
                    try:
                        recorder.observe(epoch, row, lambda m=member: member_state(model, optimizer, m), schedule)
                    except OSError as error:
                        if len(recorders) == 1:
                            raise
                        recorder.fail(error)
                if progress is not None:
                    progress(epoch, rows)
            if signals.received and any(recorder.is_running for recorder in recorders):
                for member, recorder in enumerate(recorders):
                    if recorder.is_running:
                        recorder.save_state(epoch, member_state(model, optimizer, member))
                raise Interrupted(
                    f"stopped at epoch {epoch}, saved; run the same command again (without --rerun) to go on",
                    exit_status(signals.received),
                )
            if 2 * sum(recorder.is_running for recorder in recorders) <= len(recorders):
                break
            before = seed_torch(schedule.seed, epoch) if draws else []
            if schedule.batch_size:
                for x, y in batches(split, schedule, epoch):
                    step(model.encode(x), y)
            else:
                full_step()
            if draws:
                draws = any(
                    not now.get_state().equal(then) for now, then in zip(torch_generators(), before, strict=True)
                )
    if signals.received:  # it came when all was done: whoever waits for it outside shall have it
        signal.raise_signal(signals.received)
    return epoch


def capture(step: Callable[[], None], optimizer: Optimizer) -> Callable[[], None]:
    """``step`` as a CUDA graph: one launch an epoch instead of some fifty, of which each costs more than its work.

    The steps that warm up and record the graph, and the replay that shows that it does something, are undone. The graph is recorded
    on the weights' own device, whichever is the current one: on another it would be empty.
    """
    tensors = (optimizer.flat, *optimizer.state.values())
    before = [tensor.detach().clone() for tensor in tensors]
    with torch.cuda.device(optimizer.flat.device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):
            step()
        recorded = [tensor.detach().clone() for tensor in tensors]
        graph.replay()
    if all(torch.equal(tensor, value) for tensor, value in zip(tensors, recorded, strict=True)):
        raise RuntimeError("the CUDA graph of a step is empty: a replay changes nothing")
    for tensor, value in zip(tensors, before, strict=True):
        tensor.detach().copy_(value)

    # The graph reads and writes the tensors of the step, but does not keep them alive; the default value does.
    def replay(kept=(step, optimizer)) -> None:
        graph.replay()

    return replay


def torch_generators() -> list[torch.Generator]:
    """Torch's own generators, from which modules such as dropout draw."""
    return [torch.default_generator, *(torch.cuda.default_generators if torch.cuda.is_initialized() else ())]


def seed_torch(seed: int, epoch: int) -> list[Tensor]:
    """Seed torch's own generators for an epoch's step, so that resuming needs no state of theirs; gives their states."""
    number = generator(seed, f"step of epoch {epoch}").initial_seed()
    return [one.manual_seed(number).get_state() for one in torch_generators()]


def batches(split: Split, schedule: Schedule, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
    """An epoch's batches of one network's training set, in the order that the seed gives; one that holds all keeps its order."""
    if schedule.batch_size >= len(split.train_y):
        return [(split.train_x, split.train_y)]
    order = torch.randperm(len(split.train_y), generator=generator(schedule.seed, f"batches of epoch {epoch}"))
    parts = order.to(split.train_y.device).split(schedule.batch_size)
    return ((split.train_x[part], split.train_y[part]) for part in parts)


def member_state(model: nn.Module, optimizer: Optimizer, member: int) -> dict:
    """One network's weights and optimizer state, on the CPU and without the population's axis."""

    def own(tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        return (tensor[member] if optimizer.is_population and tensor.dim() else tensor).cpu().clone()

    weights = {name: own(weight) for name, weight in weights_of(model).items()}
    return {"model": weights, "optimizer": {name: own(tensor) for name, tensor in optimizer.state.items()}}
