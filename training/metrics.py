"""What is measured, and what is read from it afterwards."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Pass(NamedTuple):
    """What a pass over a set gave: logits (..., n, c), labels y (..., n) or (n), loss (...).

    Labels are classes, int64; or numbers, float32, and then c = 1 and the logits are what is predicted.
    """

    logits: Tensor
    y: Tensor
    loss: Tensor


class Seen(NamedTuple):
    """What can be measured at an epoch: both sets, and the network.

    ``weights``, ``gradients``: ``{name: (..., *shape)}``. Gradients are those of the last step, and 0 at epoch 0; pruned weights have
    one, too. ``mask``: ``{name: (..., *shape) bool}``, or None. ``padded``, ``padded_gradients``: all of them as one vector (..., N),
    in which there may be zeros that are no weights: good for norms, wrong for means.
    """

    train: Pass
    test: Pass
    weights: dict[str, Tensor]
    gradients: dict[str, Tensor]
    mask: dict[str, Tensor] | None
    padded: Tensor
    padded_gradients: Tensor


def learns_numbers(seen: Pass) -> bool:
    """Whether the labels are numbers, not classes."""
    return seen.y.is_floating_point()


def accuracy(seen: Pass) -> Tensor:
    """Share of the examples whose largest logit is the right one; of numbers the explained variance, ``-> (...)``."""
    return explained_variance(seen) if learns_numbers(seen) else (seen.logits.argmax(-1) == seen.y).double().mean(-1)


def explained_variance(seen: Pass) -> Tensor:
    """1 - mean squared error / variance of the labels: 1 where all is right, 0 where the mean is predicted, ``-> (...)``."""
    y = seen.y.double()
    error = (seen.logits.squeeze(-1) - y).square().mean(-1)
    return 1 - error / y.var(-1, correction=0)


def right_probability(seen: Pass) -> Tensor:
    """Mean softmax probability of the right class; nan where numbers are learned, ``-> (...)``."""
    y = seen.y.expand(seen.logits.shape[:-1])
    return (
        torch.full_like(seen.loss, torch.nan)
        if learns_numbers(seen)
        else seen.logits.double().softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1).mean(-1)
    )


def logit_std(logits: Tensor) -> Tensor:
    """Standard deviation of the logits over all n c entries, each example's mean removed, ``(..., n, c) -> (...)``."""
    centred = logits.double() - logits.double().mean(-1, keepdim=True)
    return centred.square().mean((-2, -1)).sqrt()


# The columns of metrics.csv besides epoch, each a value per network, (...). Norms are summed in float64. A measure that fails, as it
# means nothing for a task, is left out.
METRICS: dict[str, Callable[[Seen], Tensor]] = {
    "train_loss": lambda seen: seen.train.loss,
    "test_loss": lambda seen: seen.test.loss,
    "train_acc": lambda seen: accuracy(seen.train),
    "test_acc": lambda seen: accuracy(seen.test),
    "train_prob": lambda seen: right_probability(seen.train),
    "test_prob": lambda seen: right_probability(seen.test),
    "l1norm": lambda seen: seen.padded.double().abs().sum(-1),
    "l2norm": lambda seen: seen.padded.double().square().sum(-1).sqrt(),
    "train_logit_std": lambda seen: logit_std(seen.train.logits),
}


MUST_BE_FINITE = ("train_loss", "test_loss", "l1norm", "l2norm")  # else the run has diverged


def measured(seen: Seen) -> Tensor:
    """All METRICS, ``-> (..., measures)`` float64; nan for a measure that fails."""
    return torch.stack([_value(name, seen) for name in METRICS], -1)


def _value(name: str, seen: Seen) -> Tensor:
    shape = seen.train.loss.shape
    try:
        value = METRICS[name](seen).double()
        if value.shape != shape:
            raise ValueError(f"it gives shape {tuple(value.shape)}, and {tuple(shape)} is needed")
        if name not in MUST_BE_FINITE and bool(value.isinf().any()):
            _say_left_out(name, "it is infinite")
            return torch.where(value.isinf(), torch.nan, value)
        return value
    except Exception as error:
        if name in MUST_BE_FINITE:
            raise
        _say_left_out(name, str(error).partition("\n")[0] or type(error).__name__)
        return seen.train.loss.new_full(shape, torch.nan, dtype=torch.float64)


@cache
def _say_left_out(name: str, reason: str) -> None:
    print(f"the measure {name} is left out where it means nothing: {reason}", flush=True)


def columns() -> tuple[str, ...]:
    """The columns of metrics.csv."""
    return ("epoch", *METRICS)


def first_epoch(metrics: dict[str, np.ndarray], column: str, threshold: float) -> int | None:
    """The first recorded epoch at which ``column`` is at least ``threshold``; None for a run that never gets there."""
    reached = np.flatnonzero(metrics[column] >= threshold)
    return int(metrics["epoch"][reached[0]]) if len(reached) else None
