"""The one way to read a run's folder: its config.json, its recorded metrics, its checkpoints, when it generalized.

Every file says, by the run's id or by a hash in summary.json, which run it belongs to. One that does not belong is named, never used.
"""

import csv
import hashlib
import io
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.errors import UserError
from common.files import load_json, load_tensors
from training.generalization import Generalization, generalization

FORMAT = 2  # of a run's folder
AGAIN = "train the run again with --rerun"
# What a config.json and a summary.json hold at the least.
CONFIG = {"id": str, "kind": str, "shows": str | None, "asked_for": list, "config": dict, "training": dict}
CONFIG |= {"content": dict, "is_drawn": bool, "mask_weights": str | None, "code": dict, "machine": str, "device": str}
CONFIG |= {"threads": int, "population": bool}
FORMER = ("dense_run", "global_pruning")  # settings of a ticket that are no more: a place, and another name of scope
CONTENT = {"data", "start", "mask", "logit_multiplier"}
SUMMARY = {"status": str, "epochs": int, "metrics_sha256": str, "run": str}
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
COUNTS = (torch.int64, torch.bool)  # buffers, such as those of batch normalization


def read_config(folder: Path) -> dict:
    """A run's config.json. Raises UserError where there is none, or one of an earlier format."""
    path = Path(folder) / "config.json"
    return _read_config(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=100_000)
def _read_config(path: Path, mtime_ns: int) -> dict:
    """Once per process for an unchanged file: a sweep looks for each of its runs among all the others."""
    if load_json(path).get("format") != FORMAT:
        what_next = "which is not read; move it away, or use another --root"
        raise UserError(f"{path.parent} is a run of an earlier format, {what_next}")
    stored = load_json(path, CONFIG)
    are_settings = [isinstance(one, dict) for one in stored["asked_for"]]
    if not are_settings or not all(are_settings) or not stored["content"].keys() >= CONTENT:
        odd = "its asked_for or its content is no run's"
        raise UserError(f"{path} is damaged: {odd}; move {path.parent} aside and train again")
    stored["config"] = {name: value for name, value in stored["config"].items() if name not in FORMER}
    return stored


def read_summary(folder: Path) -> dict:
    """A finished run's summary.json. Raises UserError where it is damaged, or another run's."""
    summary = load_json(Path(folder) / "summary.json", SUMMARY)
    check_belongs(Path(folder) / "summary.json", summary["run"])
    return summary


def check_belongs(path: Path, run: object) -> None:
    """Raise UserError where the file at ``path``, which names ``run``, lies in the folder of another run."""
    if (path.parent / "config.json").exists() and run != read_config(path.parent)["id"]:
        raise UserError(f"{path} belongs to another run than this folder; delete it, or {AGAIN}")


def load_checkpoint(path: Path, device="cpu", mmap: bool = False) -> dict:
    """``{"model": {name: tensor}, "epoch": int}`` from ``path``. Raises UserError for a file that is anything else."""
    value = load_tensors(path, ("model", "epoch"), device, mmap)
    if not _are_tensors(value["model"], (*FLOATS, *COUNTS)) or not isinstance(value["epoch"], int):
        wanted = "dense tensors, and its epoch a whole number"
        raise UserError(f"{path} is no checkpoint of this project, in which model is a dictionary of {wanted}")
    check_belongs(Path(path), value.get("run"))
    return value


def _are_tensors(value: object, types: Collection[torch.dtype]) -> bool:
    """Whether ``value`` is ``{name: tensor}`` with dense tensors of these types."""
    return isinstance(value, dict) and all(
        isinstance(one, Tensor) and one.layout is torch.strided and one.dtype in types and not one.is_meta
        for one in value.values()
    )


def load_mask(path: Path) -> dict[str, Tensor]:
    """The mask in a mask.pth, or in the folder of a ticket, ``{name: bool}``, True = kept. Raises UserError where there is none."""
    path = Path(path) / "mask.pth" if Path(path).is_dir() else Path(path)
    if not path.exists():
        raise UserError(f"{path} is not there; give a mask.pth, or the folder of a ticket")
    value = load_tensors(path, ("mask",))
    if not _are_tensors(value["mask"], (torch.bool,)):
        raise UserError(f"{path} holds no mask, which is a dictionary of tensors of bools")
    check_belongs(path, value.get("run"))
    return value["mask"]


def list_checkpoints(folder: Path) -> dict[int, Path]:
    """The checkpoints of a run, ``{epoch: path}`` in order, unique by the epoch that is stored in each file.

    Raises UserError for a finished run without its last checkpoint: an earlier one would pass for the end.
    """
    folder = Path(folder)
    numbered = [path for path in folder.glob("*.pth") if path.stem.isdigit()]
    named = [path for path in (folder / "init.pth", folder / "final.pth") if path.exists()]
    found = {_stored_epoch(path, path.stat().st_mtime_ns): path for path in numbered + named}
    if (folder / "summary.json").exists():
        status, epochs = (read_summary(folder)[name] for name in ("status", "epochs"))
        if status != "diverged" and epochs not in found:
            raise UserError(f"{folder} is damaged: final.pth of epoch {epochs:,} is not there; {AGAIN}")
    return dict(sorted(found.items()))


@lru_cache(maxsize=10_000)
def _stored_epoch(path: Path, mtime_ns: int) -> int:
    """Read once per process for an unchanged file: the tickets of a sweep ask for the same files again and again."""
    return load_checkpoint(path, mmap=True)["epoch"]


def listed(epochs: Collection[int]) -> str:
    """The epochs that were saved, as an error names them: the first and the last where there are many."""
    texts = [str(epoch) for epoch in epochs]
    return ", ".join(texts if len(texts) <= 24 else [*texts[:12], "...", *texts[-6:]])


def read_metrics(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a run's metrics.csv by name, ``{name: (records,) float64}``; nan where a measure has no value.

    Raises UserError where the file is damaged, or, of a finished run, is not the one that was written at its end.
    """
    folder = Path(folder)
    path = folder / "metrics.csv"
    try:
        content = path.read_bytes()
        header, *rows = list(csv.reader(io.StringIO(content.decode())))
        table = np.array([[float(cell or "nan") for cell in row] for row in rows], dtype=np.float64)
        metrics = dict(zip(header, table.reshape(-1, len(header)).T, strict=True))
        if not (np.isfinite(metrics["epoch"]).all() and (np.diff(metrics["epoch"]) > 0).all()):
            raise ValueError("its epochs do not grow")
        if missing := {"train_acc", "test_acc", "test_loss", "l2norm"} - set(header):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    except FileNotFoundError:
        mend = AGAIN if (folder / "config.json").exists() else f"is {folder} the folder of a run?"
        raise UserError(f"{path} is not there: {mend}") from None
    except (ValueError, KeyError, csv.Error):
        raise UserError(f"{path} is damaged; {AGAIN}") from None
    is_finished = (folder / "summary.json").exists()
    if is_finished and hashlib.sha256(content).hexdigest() != read_summary(folder)["metrics_sha256"]:
        raise UserError(f"{path} is damaged, or another run's: it is not what this run wrote at its end; {AGAIN}")
    return metrics


def read_generalization(folder: Path, threshold: float) -> Generalization:
    """What is known of a run's t_gen. Raises UserError where a file of it is missing or damaged."""
    metrics, diverged_of = read_metrics(folder), None
    if (Path(folder) / "summary.json").exists() and read_summary(folder)["status"] == "diverged":
        diverged_of = budget_of(Path(folder))
    return generalization(metrics["epoch"], metrics["test_acc"], threshold, diverged_of)


def budget_of(folder: Path) -> int:
    """How many epochs a run was to be trained for. Raises UserError where its config.json says no number."""
    config = read_config(folder)["config"]
    budget = config.get("retrain_num_epochs") or config.get("num_epochs")
    if not isinstance(budget, int):
        raise UserError(f"{folder / 'config.json'} is damaged: num_epochs is {budget!r}; {AGAIN}")
    return budget
