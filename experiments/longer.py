"""A longer run begins where a finished shorter one of otherwise the same settings ended, as if both had been trained in one go."""

from contextlib import suppress
from pathlib import Path

import torch

from common.errors import UserError
from common.files import load_json, load_tensors, save_tensors
from experiments.checkpoints import list_checkpoints, load_checkpoint
from experiments.code_state import standing
from experiments.components import build_schedule
from experiments.folder import ASIDE, stored_identity
from experiments.jobs import Job
from training.metrics import FIRST_COLUMNS, columns


def begin_from_shorter(job: Job) -> Path | None:
    """Take over the checkpoints, rows and state of the longest such run, and give its folder, which stays what it was.

    None for a run that has a state of its own, for one that was moved aside to be trained again, and where there is no shorter run
    that the code of now has trained.
    """
    folder = job.folder.path
    if not folder.exists() or (folder / "state.pth").exists():
        return None
    if any(other.name.startswith(f"{folder.name}{ASIDE}") for other in folder.parent.iterdir()):
        return None
    for epochs, shorter in sorted(shorter_runs(job), reverse=True):
        with suppress(
            UserError, OSError, RuntimeError, TypeError, ValueError, KeyError
        ):  # damaged, or moved aside meanwhile
            take_over(job, shorter, epochs)
            return shorter
    return None


def shorter_runs(job: Job) -> list[tuple[int, Path]]:
    """The finished runs beside a job's that differ in the number of epochs alone, which is less, ``(epochs, folder)``."""
    found, wanted = [], without_epochs(job.folder.identity)[1]
    for config in sorted(job.folder.path.parent.glob("*/config.json")):
        if ASIDE in config.parent.name:
            continue
        with suppress(UserError, OSError):  # a damaged neighbour, or one that is not finished
            epochs, identity = without_epochs(stored_identity(config))
            if identity == wanted and isinstance(epochs, int) and epochs < job.config.num_epochs:
                is_whole = load_json(config.parent / "summary.json").get("status") == "completed"
                if is_whole and standing(load_json(config), job.asked) == "current":
                    found.append((epochs, config.parent))
    return found


def without_epochs(whole: dict | None) -> tuple[int | None, dict | None]:
    """How long a run of such an identity, one with all fields, is trained, and the identity without that."""
    if not isinstance(whole, dict):
        return None, None
    if "retraining" not in whole:
        return whole.get("num_epochs"), whole | {"num_epochs": None}
    retraining = whole["retraining"]
    return retraining.get("num_epochs"), whole | {"retraining": retraining | {"num_epochs": None}}


def take_over(job: Job, shorter: Path, epochs: int) -> None:
    """Put into a job's folder what it would hold after ``epochs`` if it had been trained by itself; the state comes last."""
    folder, schedule = job.folder.path, build_schedule(job.config)
    state = load_tensors(shorter / "state.pth", ("model", "optimizer", "epoch", "rows", "seconds"))
    settings = load_json(shorter / "config.json")
    how = {name: settings["executed"][name] for name in ("population", "cuda")}
    if how != {name: job.settings["executed"][name] for name in how} or settings["threads"] != job.settings["threads"]:
        raise ValueError("it was trained in a way that rounds otherwise")
    if state["epoch"] != epochs or list(state.get("columns", FIRST_COLUMNS)) != list(columns()):
        raise ValueError("its state is not that of its end, or lacks a measure")
    checkpoints = list_checkpoints(shorter)
    if missing := [epoch for epoch in range(epochs) if schedule.saves(epoch) and epoch not in checkpoints]:
        raise ValueError(f"it has no checkpoint of epoch {missing[0]}")
    if job.mask is not None:
        before = load_tensors(shorter / "mask.pth", ("mask",))["mask"]
        if before.keys() != job.mask.keys() or not all(before[name].equal(kept) for name, kept in job.mask.items()):
            raise ValueError("its mask is another")
    for epoch, path in checkpoints.items():
        if schedule.saves(epoch):  # the last epoch of the shorter run may be none that the longer one saves
            save_tensors(load_checkpoint(path), folder / ("init.pth" if epoch == 0 else f"{epoch}.pth"))
    rows = torch.as_tensor(state["rows"]).reshape(-1, len(columns()))
    is_recorded = torch.tensor([schedule.records(int(epoch)) for epoch in rows[:, 0]], dtype=torch.bool)
    save_tensors(state | {"rows": rows[is_recorded], "identity": job.folder.identity}, folder / "state.pth")
