"""How large weights and logits are, and how many directions the weights use."""

from collections.abc import Mapping

import numpy as np
import torch

from analysis.fourier import effective_input, effective_output
from analysis.structure import in_order
from measures.pairs import OneRun, Pair, Row, Rows
from training.metrics import logit_std


def norms_of(weights: Mapping[str, np.ndarray], order: int) -> dict[str, float]:
    """L1 or L2 norm of each matrix, and of all of them as one vector, ``{name: norm, "all": norm}`` in units of the weights."""
    each = {name: float(np.linalg.norm(np.ravel(weight), order)) for name, weight in weights.items()}
    return each | {"all": float(np.linalg.norm(list(each.values()), order))}


def effective_rank(singular_values: np.ndarray) -> float:
    """exp of the Shannon entropy of the values as shares of their sum (Roy and Vetterli 2007), ``(r,) -> float``.

    r for r equal values, whatever their size; 0 where all are 0.
    """
    shares = singular_values[singular_values > 0] / max(singular_values.sum(), np.finfo(np.float64).tiny)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def decay_alone(norm: float, lr: float, weight_decay: float, updates: int) -> float:
    """What a norm becomes without a gradient: AdamW multiplies every weight by 1 - lr weight_decay an update."""
    return norm * (1 - lr * weight_decay) ** updates


def measure_norms(pair: Pair, run: OneRun, epoch: int) -> Rows:
    weights, trained, first = run.weights(epoch), run.config.training(), min(run.checkpoints)
    for measure, order in (("l1norm", 1), ("l2norm", 2)):
        found = norms_of(weights, order)
        for part in (*in_order(weights), "all"):
            yield Row(measure, found[part], part)
    num_train = len(run.split.train_y)
    updates = (epoch - first) * -(-num_train // (trained.batch_size or num_train))
    start = norms_of(run.weights(first), 2)["all"]
    alone = decay_alone(start, trained.lr, trained.weight_decay, updates)
    yield Row("l2norm_by_decay_alone", alone, other_epoch=first)
    if run.has_frequencies:
        weights = {"input": effective_input(weights), "output": effective_output(weights)}
    for part in in_order(weights):
        yield Row("effective_rank", effective_rank(np.linalg.svd(weights[part], compute_uv=False)), part)
    model = run.network(epoch)
    with torch.no_grad():
        yield Row("logit_std", float(logit_std(model(model.encode(run.split.train_x)))), "train")
