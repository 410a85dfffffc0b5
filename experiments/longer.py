"""A longer run begins where a finished shorter one of otherwise the same settings ended, as if both had been trained in one go."""

from contextlib import suppress
from pathlib import Path

import torch

from common.errors import UserError
from common.files import save_tensors
from experiments.build import build_schedule
from experiments.folder import ASIDE, RunFolder, runs_below
from experiments.identity import difference
from experiments.ingredients import Ingredients
from experiments.origin import changed_files
from experiments.reader import list_checkpoints, load_checkpoint, read_summary
from experiments.recorder import load_state
from training.metrics import columns

ALIKE = ("machine", "threads", "device", "population", "content")  # what decides each bit of a run besides its settings


def begin_from_shorter(folder: RunFolder, made: Ingredients) -> Path | None:
    """Take over the checkpoints, rows and state of the longest such run, and give its folder, which stays what it was.

    None for a run that has a state of its own, for one that was moved aside to be trained again, and where there is no shorter run
    that today's code has trained in the same way.
    """
    if (folder.path / "state.pth").exists():
        return None
    if any(other.name.startswith(f"{folder.path.name}{ASIDE}") for other in folder.path.parent.iterdir()):
        return None
    own, found = folder.config(), []
    for path, stored in runs_below(folder.path.parent):
        is_alike = all(stored[name] == own[name] for name in ALIKE) and not changed_files(stored, made.config)
        if is_alike and difference(stored["training"], made.training) == ["num_epochs"]:
            with suppress(UserError, OSError):  # not finished
                summary = read_summary(path)
                if summary["status"] == "completed" and summary["epochs"] < made.config.training().num_epochs:
                    found.append((summary["epochs"], path))
    for epochs, shorter in sorted(found, reverse=True):
        # Damaged, or moved aside meanwhile.
        with suppress(UserError, OSError, RuntimeError, TypeError, ValueError, KeyError):
            take_over(folder, made, shorter, epochs)
            return shorter
    return None


def take_over(folder: RunFolder, made: Ingredients, shorter: Path, epochs: int) -> None:
    """Put into a run's folder what it would hold after ``epochs`` if it had been trained by itself; the state comes last."""
    schedule, run = build_schedule(made.config.training()), folder.config()["id"]
    state = load_state(shorter / "state.pth")
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
