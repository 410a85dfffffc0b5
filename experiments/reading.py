"""What a run's folder says: its recorded metrics, when it generalized, and what is made of its weights."""

import csv
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np

from analysis.fourier import Matrix
from common.errors import UserError
from common.files import load_json
from experiments.checkpoints import list_checkpoints, load_checkpoint
from training.generalization import Generalization, generalization
from training.metrics import FIRST_COLUMNS


def read_metrics(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a run's metrics.csv by name, ``{name: (records,) float64}``; nan where an older run lacks a value.

    Raises UserError where the file is damaged, or does not end where a finished run's summary.json says that it ended.
    """
    folder = Path(folder)
    path = folder / "metrics.csv"
    try:
        with path.open(newline="") as file:
            header, *rows = list(csv.reader(file))
        if missing := set(FIRST_COLUMNS) - set(header):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        table = np.array([[float(cell or "nan") for cell in row] for row in rows], dtype=np.float64)
        metrics = dict(zip(header, table.reshape(-1, len(header)).T, strict=True))
        if not (np.isfinite(metrics["epoch"]).all() and (np.diff(metrics["epoch"]) > 0).all()):
            raise ValueError("its epochs do not grow")
    except FileNotFoundError:
        is_run = (folder / "config.json").exists()
        mend = "train the run again with --rerun" if is_run else f"is {folder} the folder of a run?"
        raise UserError(f"{path} is not there: {mend}") from None
    except (ValueError, csv.Error):
        raise UserError(f"{path} is damaged; train the run again with --rerun") from None
    if (folder / "summary.json").exists():
        wanted, found = load_json(folder / "summary.json", {"epochs": int})["epochs"], metrics["epoch"][-1:]
        if wanted != (int(found[0]) if len(found) else 0):
            lost = f"its last row is not that of epoch {wanted:,}, where the run ended"
            raise UserError(f"{path} is damaged: {lost}; train the run again with --rerun")
    return metrics


def read_generalization(folder: Path, threshold: float) -> Generalization:
    """The same from a run's folder. Raises UserError where a file of it is missing or damaged."""
    metrics = read_metrics(folder)
    return generalization(metrics["epoch"], metrics["test_acc"], threshold, diverged_of(Path(folder)))


def budget_of(settings: dict, folder: Path) -> int:
    """How many epochs a run was to be trained for, from its config.json. Raises UserError where that says no number."""
    config = settings["config"]
    budget = config.get("retrain_num_epochs") or config.get("num_epochs")
    if not isinstance(budget, int):
        path = folder / "config.json"
        raise UserError(f"{path} is damaged: num_epochs is {budget!r}; move {folder} aside and train again")
    return budget


def diverged_of(folder: Path) -> int | None:
    """How many epochs a run that diverged was to be trained for; None for one that did not."""
    summary = folder / "summary.json"
    if not summary.exists() or load_json(summary).get("status") != "diverged":
        return None
    return budget_of(load_json(folder / "config.json", {"config": dict}), folder)


def matrices_of(path: Path, functions: Sequence[Matrix]) -> dict[Matrix, np.ndarray]:
    """What each of ``functions`` makes of the weights in one checkpoint, ``{function: (neurons, values)}``."""
    weights = load_checkpoint(path)["model"]
    try:
        matrices = {function: function(weights) for function in dict.fromkeys(functions)}
    except KeyError as error:
        raise UserError(f"{path} holds the weights of another kind of network: it has no {error.args[0]}") from None
    except (TypeError, ValueError):
        matrices = None
    if matrices is None or any(m.ndim != 2 or not m.shape[0] or m.shape[1] < 2 for m in matrices.values()):
        raise UserError(f"{path} is no checkpoint of this project: the shapes of its weights do not fit together")
    if not all(np.isfinite(matrix).all() for matrix in matrices.values()):
        raise UserError(f"{path} holds weights that are not finite; choose a run that did not diverge")
    return matrices


def read_matrices(
    folder: Path, functions: Sequence[Matrix], epochs: Container[int] | None = None
) -> dict[Matrix, dict[int, np.ndarray]]:
    """The same for all checkpoints of a run, or those of ``epochs``, ``{function: {epoch: (neurons, values)}}``, in order."""
    paths = list_checkpoints(folder)
    found = {epoch: matrices_of(path, functions) for epoch, path in paths.items() if epochs is None or epoch in epochs}
    if not found:
        raise UserError(f"{folder} holds no checkpoints: is it the folder of a run?")
    matrices = {function: {epoch: found[epoch][function] for epoch in found} for function in functions}
    for of_epoch in matrices.values():
        shapes = sorted({matrix.shape for matrix in of_epoch.values()})
        if len(shapes) > 1:
            raise UserError(f"{folder} holds checkpoints of different networks: weights of {shapes[0]}, {shapes[1]}")
    return matrices
