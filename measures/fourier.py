"""Which frequencies a network adds with, how it combines them, and whether dense run and ticket do the same."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from analysis import fourier as spectra
from analysis.structure import cosine
from common.errors import UserError
from measures.pairs import OneRun, Pair, Row, Rows


@torch.no_grad()
def on_grid(run: OneRun, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits (p, p, c) and the activations of the last hidden layer (m, p, p) for all ordered pairs, in float64."""
    model, p, seen = run.network(epoch), run.config.p, []

    def recorded(act: Callable) -> Callable:
        return lambda x: seen.append(act(x)) or seen[-1]

    for module in model.modules():
        if hasattr(module, "act"):
            module.act = recorded(module.act)
    logits = model(torch.cartesian_prod(torch.arange(p), torch.arange(p)))
    return logits.unflatten(0, (p, p)).numpy(), seen[-1].T.unflatten(1, (p, p)).numpy()


@lru_cache(maxsize=256)
def learned(run: OneRun) -> tuple[np.ndarray, np.ndarray]:
    """The key frequencies of a run's last checkpoint, and the share of each frequency in its logits, ``(keys,), (f,)``."""
    logits, neurons = on_grid(run, max(run.checkpoints))
    return spectra.key_frequencies(spectra.grid_spectrum(neurons)), spectra.logit_shares(logits)


def loss_on(run: OneRun, logits: np.ndarray, part: str) -> float:
    """The run's loss of logits (p, p, c) on its training or test set."""
    x, y = getattr(run.split, f"{part}_x"), getattr(run.split, f"{part}_y")
    return float(run.loss(torch.tensor(logits)[x[:, 0], x[:, 1]], y))


def aligned(into: np.ndarray, out: np.ndarray) -> float:
    """How the phases agree with which a neuron reads and writes, at its strongest frequency, ``(m, p), (m, p) -> float``."""
    frequency = spectra.dominant_frequency(into)[0]
    used = (frequency > 0) & (spectra.dominant_frequency(out)[0] > 0)
    phase_in, phase_out = (spectra.phases(matrix[used], frequency[used]) for matrix in (into, out))
    return spectra.phase_alignment(phase_in, phase_out)


@lru_cache(maxsize=256)
def of_run(run: OneRun, epoch: int) -> list[Row | str]:
    """What depends on one run alone: several tickets may have the same dense run."""
    weights = run.weights(epoch)
    into, out = spectra.effective_input(weights), spectra.effective_output(weights)
    found = [Row("frequency_entropy", spectra.frequency_entropy(into), "input")]
    found.append(Row("frequency_entropy", spectra.frequency_entropy(out), "output"))
    if not run.adds:
        return [*found, "fourier: all but the entropy is left out, it is defined for fn_name add alone"]
    (logits, neurons), (keys, _) = on_grid(run, epoch), learned(run)
    now, shares = spectra.key_frequencies(spectra.grid_spectrum(neurons)), spectra.logit_shares(logits)
    found.append(Row("key_frequencies", len(now)))
    found.append(Row("logit_share", float(shares.sum())))
    found.append(Row("logit_share", float(shares[keys - 1].sum()), "keys"))
    found += [Row("logit_share", float(share), str(k)) for k, share in enumerate(shares, 1)]
    restricted, excluded = spectra.restricted_logits(logits, keys), spectra.excluded_logits(logits, keys)
    found += [Row("restricted_loss", loss_on(run, restricted, part), part) for part in ("train", "test")]
    found.append(Row("excluded_loss", loss_on(run, excluded, "train")))
    if "W_inproj" in weights and "W_h.0" not in weights:  # of other networks no neuron both reads and writes numbers
        found.append(Row("phase_alignment", aligned(into, out)))
    if run.config.p % 2 == 0:
        return [*found, "fourier: distance irrelevance is left out, a + b and a - b tell a and b only for odd p"]
    return [*found, Row("distance_irrelevance", spectra.distance_irrelevance(logits))]


def measure_fourier(pair: Pair, run: OneRun, epoch: int) -> Rows:
    if not run.has_frequencies:
        yield f"fourier is left out: the task {run.config.task.name} has no frequencies"
        return
    yield from of_run(run, epoch)
    if epoch < max(run.checkpoints) or not run.adds:
        return
    keys, shares = learned(run)
    same_kind = [one.ticket if run is pair.ticket else one.dense for one in pair.others]
    for other in [*same_kind, *(one for one in pair.runs if one is not run)]:
        try:
            keys_there, shares_there = learned(other)
        except (UserError, LookupError):  # is named where it is measured itself
            continue
        common = len(np.intersect1d(keys, keys_there)) / max(1, len(np.union1d(keys, keys_there)))
        yield Row("same_key_frequencies", common, other_run=other.name)
        yield Row("cosine_of_logit_shares", cosine(shares, shares_there), other_run=other.name)
