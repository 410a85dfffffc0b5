"""What is measured, when, and what is read from it afterwards."""

import csv
import math
import statistics
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from errors import UserError

COLUMNS = ("epoch", "train_loss", "test_loss", "train_acc", "test_acc", "train_prob", "test_prob", "l1norm", "l2norm")
EARLY_CHECKPOINTS = (0, 100, 200, 500, 1000)


def is_due(epoch: int) -> bool:
    """Whether ``epoch`` is recorded: each to 100, then in steps of at most 1 %, a function of the epoch alone.

    Grokking is read on a log axis, so the records are dense where the axis is.
    """
    return epoch % max(1, epoch // 100) == 0


def is_checkpoint(epoch: int, save_every: int) -> bool:
    """Whether ``epoch`` is saved; the last epoch of a run is saved as well."""
    return epoch in EARLY_CHECKPOINTS or epoch % save_every == 0


def evaluate(logits: Tensor, y: Tensor, loss: Tensor) -> Tensor:
    """Loss, accuracy and mean softmax probability of the right class, ``(..., n, c), (..., n), (...) -> (..., 3)``."""
    y = y.expand(logits.shape[:-1])
    accuracy = (logits.argmax(-1) == y).double().mean(-1)
    right = logits.double().softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    return torch.stack([loss.double(), accuracy, right.mean(-1)], -1)


def norms(flat: Tensor) -> Tensor:
    """L1 and L2 norm of all weights as one vector, ``(..., N) -> (..., 2)``, summed in float64."""
    flat = flat.double()
    return torch.stack([flat.abs().sum(-1), flat.square().sum(-1).sqrt()], -1)


def read_metrics(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a run's metrics.csv, ``{name: (records,) float64}``. Raises UserError where it is damaged."""
    path = Path(folder) / "metrics.csv"
    try:
        with path.open(newline="") as file:
            header, *rows = list(csv.reader(file))
        if tuple(header) != COLUMNS:
            raise ValueError
        table = np.array([[float(cell) for cell in row] for row in rows], dtype=np.float64).reshape(-1, len(COLUMNS))
    except FileNotFoundError:
        raise UserError(f"{path} is not there: is {folder} the folder of a run?") from None
    except (ValueError, csv.Error):
        raise UserError(f"{path} is damaged; train the run again with --rerun") from None
    return dict(zip(COLUMNS, table.T, strict=True))


def first_epoch(metrics: dict[str, np.ndarray], column: str, threshold: float) -> int | None:
    """The first recorded epoch at which ``column`` is at least ``threshold``; None for a run that never gets there."""
    reached = np.flatnonzero(metrics[column] >= threshold)
    return int(metrics["epoch"][reached[0]]) if len(reached) else None


def median_epoch(epochs: list[int | None]) -> int | None:
    """The median over seeds, the censored (None) above all others; None where the median itself is censored."""
    ordered = sorted(math.inf if epoch is None else epoch for epoch in epochs)
    middle = statistics.median(ordered)
    return None if math.isinf(middle) else round(middle)
