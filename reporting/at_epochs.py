"""What a run was at given epochs: columns of its row, and the paper's Table 1 made of them."""

import torch

from experiments.checkpoints import list_checkpoints, load_checkpoint
from reporting.cells import mean_and_spread, median_of
from reporting.results import Result
from reporting.tables import groups_of, table

TABLE_1 = {  # of arXiv 2310.19470, version 3
    "weight decay": ["0.53 ± 0.31", "0.95 ± 0.03", "1.00 ± 0.00", "1.00 ± 0.00"],
    "edge-popup without weight update": ["0.68 ± 0.19", "0.80 ± 0.17", "0.84 ± 0.16", "0.92 ± 0.06"],
    "edge-popup + WD": ["0.82 ± 0.04", "0.96 ± 0.01", "0.99 ± 0.00", "1.00 ± 0.00"],
}


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


def edge_popup_table(results) -> str:
    """Table 1: test accuracy at its epochs, beside the paper's numbers, and how much of the first mask is left at the last of them."""
    columns = {f"test_acc at {epoch}": mean_and_spread(f"test_acc at {epoch}", 2) for epoch in (600, 1000, 1400, 2000)}
    columns |= median_of("mask kept at 2000", 2)
    lines = [
        [
            name.replace("rewind_to prune_at, ", "").replace("score_num_epochs 2000, ", ""),
            *(cell(rows) for cell in columns.values()),
        ]
        for (name,), rows in groups_of(results, ["setting"])
    ]
    lines += [[f"*the paper: {name}*", *numbers, ""] for name, numbers in TABLE_1.items()]
    return table(["setting", *columns], lines)
