"""The runs from which a config begins: where they are, whether they are finished, where mask and start come from.

Everything here goes by settings and reads config.json, metrics.csv and the names of checkpoints; no data and no network are built.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import UserError
from configs.base import Dense
from configs.ticket import Ticket
from experiments.build import build_schedule
from experiments.folder import RunFolder, find_run
from experiments.identity import hash_of
from experiments.reader import list_checkpoints, listed, load_mask, read_generalization, read_metrics
from training.metrics import first_epoch


@dataclass(frozen=True)
class MaskSource:
    """Where a ticket's mask comes from: ``path`` is a checkpoint of ``run`` at ``epoch``, or a mask.pth.

    ``settings``: what of it a ticket is found by.
    """

    path: Path
    settings: dict[str, Any]
    run: RunFolder | None = None
    epoch: int | None = None


def folder_of(config: Dense, data: str | None = None) -> RunFolder:
    """Where a run is, or is to be made. Raises UserError where a run is not finished that it needs.

    ``data``: the hash of its data, for whoever has built them: files of data may hold other things than when a run was made.
    """
    source = mask_source(config, data)
    of_mask = None if source is None else source.settings
    return find_run(config.root, config.run_name(of_mask), config.settings(of_mask), data)


def require(needed: Dense, config: Dense, data: str | None = None) -> RunFolder:
    """The finished folder of a run that a config needs. Raises UserError that says how to make it."""
    folder = folder_of(needed, data)
    if not folder.is_finished:
        what = "dense run" if needed == config.dense() else "run"
        first = "python main.py with the same flags trains it first"
        raise UserError(f"there is no finished {what} at {folder.path}; {first}")
    if folder.summary()["status"] == "diverged":
        mend = "a ticket needs one that did not: lower --lr or --weight_scale"
        raise UserError(f"the run at {folder.path} diverged; {mend}")
    if data is not None and folder.config()["content"]["data"] != data:
        raise UserError(f"the run at {folder.path} has learned other data; python main.py trains one on these")
    return folder


def mask_source(config: Dense, data: str | None = None) -> MaskSource | None:
    """Where the mask comes from; None without a mask. Raises UserError where that run is not finished, or has no such epoch."""
    if not isinstance(config, Ticket) or not config.use_mask:
        return None
    if config.mask is not None:
        path = Path(config.mask) if isinstance(config.mask, str) else require(config.mask, config).path
        path = path / "mask.pth" if path.is_dir() else path
        return MaskSource(path, {"file": hash_of(load_mask(path))})
    run = require(config.mask_from(), config, data)
    epoch, path = resolve_prune_at(config, run)
    settings = {"epoch": epoch}
    if isinstance(config.mask_from(), Ticket):
        settings["run"] = run.settings
    return MaskSource(path, settings, run, epoch)


def start_of(dense: Path, epoch: int) -> Path:
    """The checkpoint of the dense run from which a ticket starts. Raises UserError where it was not saved."""
    saved = list_checkpoints(dense)
    if epoch not in saved:
        known = f"saved are {listed(saved)}; --save_at {epoch} saves it as well"
        raise UserError(f"rewind_to {epoch}: it was not saved in {dense}; {known}")
    return saved[epoch]


def stage_epoch(config: Ticket) -> int | str:
    """The epoch that a named stage stands for, or "auto"."""
    return 0 if config.prune_at == "init" else getattr(config, f"{config.prune_at}_epoch")


def resolve_prune_at(config: Ticket, run: RunFolder) -> tuple[int, Path]:
    """The checkpoint at which the mask is taken, its epoch and path. Raises UserError where there is none.

    What a stage means follows from the checkpoints that the config itself asks for: that a run was saved more often changes nothing.
    """
    checkpoints = list_checkpoints(run.path)
    if config.prune_at.isdecimal():
        epoch = int(config.prune_at)
        if epoch not in checkpoints:
            saved = f"saved are {listed(checkpoints)}; --save_at {epoch} saves it as well"
            raise UserError(f"epoch {epoch} was not saved in {run.path}; {saved}")
        return epoch, checkpoints[epoch]
    schedule, last = build_schedule(config.mask_from().training()), max(checkpoints, default=0)
    checkpoints = {epoch: path for epoch, path in checkpoints.items() if schedule.saves(epoch) or epoch == last}
    stage, reached, reason = config.prune_at, 0, ""
    from_t_gen = stage.startswith("t_gen")
    asked = int(stage.removeprefix("t_gen")) if from_t_gen else stage_epoch(config)
    if from_t_gen or (stage, asked) == ("generalization", "auto"):
        found = read_generalization(run.path, config.gen_threshold)
        reached, reason = found.t_gen, f"t_gen (test acc >= {config.gen_threshold:g}) of {run.path} is {found}"
    elif asked == "auto":
        reached = first_epoch(read_metrics(run.path), "train_acc", config.mem_threshold)
        reason = f"train acc never gets to {config.mem_threshold:g} in {run.path}"
    chosen = []
    if reached is not None and asked == "auto":
        chosen = [epoch for epoch in checkpoints if epoch >= reached][:1]
    elif reached is not None:
        wanted = reached + asked
        if wanted > last and run.summary()["status"] == "generalized":
            reason = f"{run.path} was stopped at epoch {last:,}, when its t_gen was certain, before epoch {wanted:,}"
            reason += "; take an earlier one, auto, or a dense run without --stop_after_gen"
        else:
            chosen = [epoch for epoch in checkpoints if epoch <= wanted][-1:]
            reason = f"{run.path} has no checkpoint at or before epoch {wanted}; saved are {listed(checkpoints)}"
    if not chosen:
        raise UserError(f"prune_at {stage}: {reason}")
    return chosen[0], checkpoints[chosen[0]]


def accuracies_at(folder: Path, epoch: int) -> dict[str, float | None]:
    """Train and test accuracy of a run at a saved epoch; None where its metrics.csv has no such row."""
    metrics = read_metrics(folder)
    rows = (metrics["epoch"] == epoch).nonzero()[0]
    return {name: float(metrics[name][rows[0]]) if len(rows) else None for name in ("train_acc", "test_acc")}
