"""What is measured, and what is read from it afterwards."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor


class Pass(NamedTuple):
    """What a pass over a set gave: logits (..., n, c), labels y (..., n) or (n) int64, loss (...)."""

    logits: Tensor
    y: Tensor
    loss: Tensor


class Seen(NamedTuple):
    """What can be measured at an epoch: both sets, and all weights as one vector, flat (..., N)."""

    train: Pass
    test: Pass
    flat: Tensor


def accuracy(seen: Pass) -> Tensor:
    """Share of the examples whose largest logit is the right one, ``-> (...)``."""
    return (seen.logits.argmax(-1) == seen.y).double().mean(-1)


def right_probability(seen: Pass) -> Tensor:
    """Mean softmax probability of the right class, ``-> (...)``."""
    y = seen.y.expand(seen.logits.shape[:-1])
    return seen.logits.double().softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1).mean(-1)


def logit_std(logits: Tensor) -> Tensor:
    """Standard deviation of the logits over all n c entries, each example's mean removed, ``(..., n, c) -> (...)``."""
    centred = logits.double() - logits.double().mean(-1, keepdim=True)
    return centred.square().mean((-2, -1)).sqrt()


# The columns of metrics.csv besides epoch, each a value per network, (...). Norms are summed in float64.
MEASURES: dict[str, Callable[[Seen], Tensor]] = {
    "train_loss": lambda seen: seen.train.loss,
    "test_loss": lambda seen: seen.test.loss,
    "train_acc": lambda seen: accuracy(seen.train),
    "test_acc": lambda seen: accuracy(seen.test),
    "train_prob": lambda seen: right_probability(seen.train),
    "test_prob": lambda seen: right_probability(seen.test),
    "l1norm": lambda seen: seen.flat.double().abs().sum(-1),
    "l2norm": lambda seen: seen.flat.double().square().sum(-1).sqrt(),
    "train_logit_std": lambda seen: logit_std(seen.train.logits),
}
# Runs from before the columns were stored by name have these.
FIRST_COLUMNS = (
    "epoch",
    "train_loss",
    "test_loss",
    "train_acc",
    "test_acc",
    "train_prob",
    "test_prob",
    "l1norm",
    "l2norm",
)


def columns() -> tuple[str, ...]:
    """The columns of metrics.csv."""
    return ("epoch", *MEASURES)


def first_epoch(metrics: dict[str, np.ndarray], column: str, threshold: float) -> int | None:
    """The first recorded epoch at which ``column`` is at least ``threshold``; None for a run that never gets there."""
    reached = np.flatnonzero(metrics[column] >= threshold)
    return int(metrics["epoch"][reached[0]]) if len(reached) else None
