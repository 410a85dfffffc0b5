"""What a run was at given epochs, as columns of its row."""

import torch

from experiments.checkpoints import list_checkpoints, load_checkpoint
from reporting.results import Result


def at_epochs(run: Result, epochs: tuple[int, ...]) -> dict[str, float | None]:
    """``test_acc at <epoch>`` where that epoch was recorded, else None.

    Of a run that learns scores also ``mask kept at <epoch>``: of the weights that acted at its epoch 0, the share that acts still, by
    chance 1 - pruning_rate.
    """
    known = dict(zip(run.metrics["epoch"].astype(int).tolist(), run.metrics["test_acc"].tolist(), strict=True))
    row = {f"test_acc at {epoch}": known.get(epoch) for epoch in epochs}
    saved = list_checkpoints(run.path) if epochs and run.settings["config"].get("learn") else {}
    masks = {epoch: _acting(saved[epoch]) for epoch in (0, *epochs) if epoch in saved}
    kept = {epoch: float((masks[0] & mask).sum() / masks[0].sum()) for epoch, mask in masks.items()}
    return row | {f"mask kept at {epoch}": kept.get(epoch) for epoch in epochs}


def _acting(path) -> torch.Tensor:
    return torch.cat([weight.flatten() != 0 for weight in load_checkpoint(path)["model"].values()])
