"""What a run takes over from another training of the same, so that nothing is trained twice in vain.

A longer run begins where a finished shorter one of otherwise the same settings ended, as if both had been trained in one go. A run
that is to be saved at more epochs is no other run: it is trained again beside itself, and what was missing is added.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from common.errors import UserError
from common.files import save_json, save_tensors
from configs.base import Dense
from experiments.build import build_schedule
from experiments.folder import ASIDE, RunFolder, runs_below
from experiments.identity import difference
from experiments.ingredients import Ingredients
from experiments.origin import changed_files
from experiments.reader import list_checkpoints, load_checkpoint, read_summary
from experiments.recorder import load_state
from experiments.same_run import claim, differences
from training.metrics import columns

ALIKE = ("machine", "threads", "device", "population", "content")  # what decides each bit of a run besides its settings


def begin_from_shorter(folder: RunFolder, made: Ingredients) -> Path | None:
    """Take over the checkpoints, rows and state of the longest such run; gives its folder, which stays as it was.

    None for a run that has a state of its own, for one that was moved aside to be trained again, and where there is no shorter run
    that today's code has trained in the same way.
    """
    if (folder.path / "state.pth").exists():
        return None
    if any(other.name.startswith(f"{folder.path.name}{ASIDE}") for other in folder.path.parent.iterdir()):
        return None
    own, found = folder.config(), []
    for path, stored in runs_below(folder.path.parent):
        is_alike = difference(stored["training"], made.training) == ["num_epochs"]
        if is_alike and all(stored[name] == own[name] for name in ALIKE) and not changed_files(stored, made.config):
            with suppress(UserError, OSError):  # not finished
                summary = read_summary(path)
                if summary["status"] == "completed" and summary["epochs"] < made.config.training().num_epochs:
                    found.append((summary["epochs"], path))
    for epochs, shorter in sorted(found, reverse=True):
        # Damaged, or moved aside meanwhile.
        with suppress(UserError, OSError, RuntimeError, TypeError, ValueError, KeyError):
            begin_as(folder, made, shorter, epochs)
            return shorter
    return None


def begin_as(folder: RunFolder, made: Ingredients, shorter: Path, epochs: int) -> None:
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


def lacks(folder: RunFolder, config: Dense) -> list[int]:
    """The epochs that a finished run has passed and that its config wants saved, but that are not."""
    summary, schedule = read_summary(folder.path), build_schedule(config.training())
    saved = {int(path.stem) for path in folder.path.glob("*.pth") if path.stem.isdigit()} | {0, summary["epochs"]}
    wanted = {*range(0, summary["epochs"], schedule.save_every), *schedule.save_at}
    missing = sorted(epoch for epoch in wanted - saved if epoch < summary["epochs"])
    return [] if summary["status"] == "diverged" else missing


def save_more(
    folder: RunFolder, made: Ingredients, missing: list[int], train: Callable[[RunFolder, Ingredients], None]
) -> RunFolder:
    """Train a held, finished run again in a folder beside it, and take over what it lacks, once all that both have is equal.

    Gives the folder with all checkpoints. Where the bits differ, as on another machine, the second training is a run of its own.
    """
    for other in (RunFolder(path, folder.settings) for path, _ in runs_below(folder.path.parent)):
        if other.is_finished and not lacks(other, made.config) and not differences(other, made):
            print(f"{other.path} is the same run, not bit for bit, and has what was to be saved")
            return other
    print(f"{folder.path} is trained again, as {len(missing)} more epochs are to be saved, from {missing[0]:,} on")
    saved, schedule = list_checkpoints(folder.path), build_schedule(made.config.training())
    more = [epoch for epoch in saved if not schedule.saves(epoch) and epoch != max(saved)]
    name = "save_at" if made.dense is None else "retrain_save_at"
    made = replace(made, config=made.config.but(**{name: (*schedule.save_at, *more)}))
    now = {key: made.config.as_dict()[key] for key in (name, "save_every")}
    again = RunFolder(folder.path.with_name(f".{folder.path.name}.again"), folder.settings)
    if again.is_claimed and not now.items() <= again.config()["config"].items():
        shutil.rmtree(again.path)  # it was interrupted when other epochs were to be saved
    with again.lock():
        claim(again, made)
        with without_wandb():
            train(again, made)
    if all(_equal(path, list_checkpoints(again.path)[epoch]) for epoch, path in saved.items()):
        take_over(folder, again, now)
        return folder
    other = folder.beside([made.content, "again", *missing])
    print(f"{folder.path}: trained again it is not the same bit for bit; what was saved more often is {other.path}")
    again.path.rename(other.path)
    return other


def take_over(folder: RunFolder, again: RunFolder, settings: dict[str, Any]) -> None:
    """Add what the second training saved to the first, whose config.json then has the ``settings`` of when to save.

    A kill on the way leaves a run that is whole, or is finished once more.
    """
    run, checkpoints = folder.config()["id"], list_checkpoints(again.path)
    for epoch, path in checkpoints.items():
        if epoch not in (0, max(checkpoints)) and not (folder.path / path.name).exists():
            save_tensors(load_checkpoint(path) | {"run": run}, folder.path / path.name)
    save_tensors(load_state(again.path / "state.pth") | {"run": run}, folder.path / "state.pth")
    summary = read_summary(again.path) | {"run": run, "seconds": folder.summary()["seconds"]}
    (folder.path / "summary.json").unlink()  # which knows the hash of metrics.csv
    (again.path / "metrics.csv").replace(folder.path / "metrics.csv")
    save_json(summary, folder.path / "summary.json")
    folder.note(config=folder.config()["config"] | settings)
    shutil.rmtree(again.path)


@contextmanager
def without_wandb() -> Iterator[None]:
    """The second training of a run is not logged a second time."""
    before = os.environ.get("WANDB_MODE")
    os.environ["WANDB_MODE"] = "disabled"
    try:
        yield
    finally:
        del os.environ["WANDB_MODE"]
        os.environ |= {} if before is None else {"WANDB_MODE": before}


def _equal(one: Path, other: Path) -> bool:
    one, other = (load_checkpoint(path)["model"] for path in (one, other))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
