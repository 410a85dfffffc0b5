"""The one way to read a run's checkpoints."""

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from common.errors import UserError
from common.files import load_json, load_tensors
from pruning.edge_popup import HELD, LEARNED


def load_checkpoint(path: Path, device="cpu", mmap: bool = False) -> dict:
    """``{"model": {name: tensor}, "epoch": int}`` from ``path``. Raises UserError for a file that is anything else.

    Of a run that learns scores the model is the network as it acts.
    """
    value = load_tensors(path, ("model", "epoch"), device, mmap)
    weights = value["model"]
    if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise UserError(f"{path} is no checkpoint of this project: its model is not a dictionary of tensors")
    if not isinstance(value["epoch"], int):
        raise UserError(f"{path} is no checkpoint of this project: its epoch is not a whole number")
    weights = {name: weight for name, weight in weights.items() if not name.startswith((LEARNED, HELD))}
    return value | {"model": weights}


def list_checkpoints(folder: Path) -> dict[int, Path]:
    """The checkpoints of a run, ``{epoch: path}`` in order, unique by the epoch that is stored in each file.

    Raises UserError for a finished run without its last checkpoint: an earlier one would pass for the end.
    """
    folder = Path(folder)
    numbered = [path for path in folder.glob("*.pth") if path.stem.isdigit()]
    named = [path for path in (folder / "init.pth", folder / "final.pth") if path.exists()]
    found = {_stored_epoch(path, path.stat().st_mtime_ns): path for path in numbered + named}
    if (folder / "summary.json").exists():
        summary = load_json(folder / "summary.json", {"status": str, "epochs": int})
        if summary["status"] != "diverged" and summary["epochs"] not in found:
            lost = f"final.pth of epoch {summary['epochs']:,} is not there"
            raise UserError(f"{folder} is damaged: it is finished, and {lost}; train it again with --rerun")
    return dict(sorted(found.items()))


@lru_cache(maxsize=10_000)
def _stored_epoch(path: Path, mtime_ns: int) -> int:
    """Read once per process for an unchanged file: the tickets of a sweep ask for the same files again and again."""
    return load_checkpoint(path, mmap=True)["epoch"]


def said(epochs: Collection[int]) -> str:
    """The epochs that were saved, as an error names them: the first and the last where there are many."""
    texts = [str(epoch) for epoch in epochs]
    return ", ".join(texts if len(texts) <= 24 else [*texts[:12], "...", *texts[-6:]])
