"""A longer run begins where a finished shorter one of otherwise the same settings ended, as if both had been trained in one go."""

from contextlib import suppress
from pathlib import Path

import torch

from common.errors import UserError
from common.files import load_tensors, save_tensors
from experiments.build import build_schedule
from experiments.folder import ASIDE, RunFolder, runs_below
from experiments.ingredients import Ingredients
from experiments.origin import changed_files
from experiments.reader import check_belongs, list_checkpoints, load_checkpoint, read_summary
from training.metrics import columns


def begin_from_shorter(folder: RunFolder, made: Ingredients) -> Path | None:
    """Take over the checkpoints, rows and state of the longest such run, and give its folder, which stays what it was.

    None for a run that has a state of its own, for one that was moved aside to be trained again, and where there is no shorter run
    that today's code has trained in the same way.
    """
    if (folder.path / "state.pth").exists():
        return None
    if any(other.name.startswith(f"{folder.path.name}{ASIDE}") for other in folder.path.parent.iterdir()):
        return None
    for epochs, shorter in sorted(shorter_runs(folder, made), reverse=True):
        # Damaged, or moved aside meanwhile.
        with suppress(UserError, OSError, RuntimeError, TypeError, ValueError, KeyError):
            take_over(folder, made, shorter, epochs)
            return shorter
    return None


def shorter_runs(folder: RunFolder, made: Ingredients) -> list[tuple[int, Path]]:
    """The finished runs beside this one that are made of the same and differ in the number of epochs alone, ``(epochs, folder)``."""
    found, own = [], folder.config()
    alike = ("machine", "threads", "device", "population", "content")
    for path, stored in runs_below(folder.path.parent):
        with suppress(UserError, OSError):  # not finished
            summary = read_summary(path)
            is_same = without_epochs(stored["training"]) == without_epochs(made.training)
            is_same &= all(stored[name] == own[name] for name in alike) and not changed_files(stored, made.config)
            is_shorter = summary["epochs"] < made.config.training().num_epochs
            if is_same and is_shorter and summary["status"] == "completed":
                found.append((summary["epochs"], path))
    return found


def without_epochs(training: dict) -> dict:
    return {name: value for name, value in training.items() if name != "num_epochs"}


def take_over(folder: RunFolder, made: Ingredients, shorter: Path, epochs: int) -> None:
    """Put into a run's folder what it would hold after ``epochs`` if it had been trained by itself; the state comes last."""
    schedule, run = build_schedule(made.config.training()), folder.config()["id"]
    state = load_tensors(shorter / "state.pth", ("model", "optimizer", "epoch", "rows", "columns", "seconds"))
    check_belongs(shorter / "state.pth", state.get("run"))
    if state["epoch"] != epochs or list(state["columns"]) != list(columns()):
        raise ValueError("its state is not that of its end, or lacks a measure")
    checkpoints = list_checkpoints(shorter)
    if missing := [epoch for epoch in range(epochs) if schedule.saves(epoch) and epoch not in checkpoints]:
        raise ValueError(f"it has no checkpoint of epoch {missing[0]}")
    for epoch, path in checkpoints.items():
        if schedule.saves(epoch):  # the last epoch of the shorter run may be none that the longer one saves
            name = "init.pth" if epoch == 0 else f"{epoch}.pth"
            save_tensors(load_checkpoint(path) | {"run": run}, folder.path / name)
    rows = torch.as_tensor(state["rows"]).reshape(-1, len(columns()))
    is_recorded = torch.tensor([schedule.records(int(epoch)) for epoch in rows[:, 0]], dtype=torch.bool)
    save_tensors(state | {"rows": rows[is_recorded], "run": run}, folder.path / "state.pth")
