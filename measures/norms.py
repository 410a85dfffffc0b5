"""How large weights and logits are, and how many directions the weights use."""

import numpy as np
import torch

from analysis import norms as norm
from analysis.fourier import effective_input, effective_output
from analysis.structure import in_order
from measures.pairs import OneRun, Pair, Row, Rows
from training.metrics import logit_std


def norms(pair: Pair, run: OneRun, epoch: int) -> Rows:
    weights, trained, first = run.weights(epoch), run.config.training(), min(run.checkpoints)
    for measure, order in (("l1norm", 1), ("l2norm", 2)):
        found = norm.norms(weights, order)
        for part in (*in_order(weights), "all"):
            yield Row(measure, found[part], part)
    num_train = len(run.split.train_y)
    updates = (epoch - first) * -(-num_train // (trained.batch_size or num_train))
    start = norm.norms(run.weights(first), 2)["all"]
    alone = norm.decay_alone(start, trained.lr, trained.weight_decay, updates)
    yield Row("l2norm_by_decay_alone", alone, other_epoch=first)
    if run.has_frequencies:
        weights = {"input": effective_input(weights), "output": effective_output(weights)}
    for part in in_order(weights):
        yield Row("effective_rank", norm.effective_rank(np.linalg.svd(weights[part], compute_uv=False)), part)
    model = run.network(epoch)
    with torch.no_grad():
        yield Row("logit_std", float(logit_std(model(model.encode(run.split.train_x)))), "train")
