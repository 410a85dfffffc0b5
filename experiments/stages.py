"""Where in a dense run a mask is taken: what init, memorization and generalization mean there, and whether it is what they promise."""

from pathlib import Path

from common.errors import UserError
from configs.ticket import Ticket
from experiments.build import build_schedule
from experiments.folder import RunFolder
from experiments.reader import list_checkpoints, listed, read_generalization, read_metrics
from training.generalization import Generalization
from training.metrics import first_epoch

SAVE_MORE = "--save_every and --save_at save more"


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
    if config.prune_at.startswith("t_gen"):
        found = read_generalization(run.path, config.gen_threshold)
        if found.t_gen is None:
            raise UserError(f"prune_at {config.prune_at}: {_no_t_gen(config, run, found)}")
        wanted = found.t_gen + int(config.prune_at.removeprefix("t_gen"))
    else:
        wanted = stage_epoch(config)
    if wanted == "auto":
        if config.prune_at == "memorization":
            reached = first_epoch(read_metrics(run.path), "train_acc", config.mem_threshold)
            reason = f"train acc never gets to {config.mem_threshold:g} in {run.path}"
        else:
            found = read_generalization(run.path, config.gen_threshold)
            reached, reason = found.t_gen, _no_t_gen(config, run, found)
        chosen = [epoch for epoch in checkpoints if reached is not None and epoch >= reached][:1]
    elif wanted > last and run.summary()["status"] == "generalized":
        chosen = []
        reason = f"{run.path} was stopped at epoch {last:,}, when its t_gen was certain, before epoch {wanted:,}"
        reason += "; take an earlier one, auto, or a dense run without --stop_after_gen"
    else:
        chosen = [epoch for epoch in checkpoints if epoch <= wanted][-1:]
        reason = f"{run.path} has no checkpoint at or before epoch {wanted}; saved are {listed(checkpoints)}"
    if not chosen:
        raise UserError(f"prune_at {config.prune_at}: {reason}")
    return chosen[0], checkpoints[chosen[0]]


def _no_t_gen(config: Ticket, dense: RunFolder, found: Generalization) -> str:
    return f"t_gen (test acc >= {config.gen_threshold:g}) of {dense.path} is {found}"


def accuracies_at(folder: Path, epoch: int) -> dict[str, float | None]:
    """Train and test accuracy of a run at a saved epoch; None where its metrics.csv has no such row."""
    metrics = read_metrics(folder)
    rows = (metrics["epoch"] == epoch).nonzero()[0]
    return {name: float(metrics[name][rows[0]]) if len(rows) else None for name in ("train_acc", "test_acc")}


def stage_notes(config: Ticket, source: dict) -> list[str]:
    """What to say where the mask's epoch, or the network there, is not what the name of the stage promises."""
    stage, epoch, train_acc, test_acc = config.prune_at, source["epoch"], source["train_acc"], source["test_acc"]
    if stage.startswith("t_gen"):
        return [f"{stage}: the last checkpoint at or before it is that of epoch {epoch:,}; {SAVE_MORE}"]
    if stage not in ("memorization", "generalization"):
        return []
    asked, notes, missing = stage_epoch(config), [], None
    if asked not in ("auto", epoch):
        notes.append(f"{stage} means epoch {asked:,}; the last checkpoint before it is that of epoch {epoch:,}")
    if train_acc is None:
        return notes
    if stage == "memorization" and train_acc < config.mem_threshold:
        missing = f"has not memorized yet (train acc {train_acc:.3f})"
    elif stage == "memorization" and test_acc >= config.gen_threshold:
        missing = f"has generalized already (test acc {test_acc:.3f})"
    elif stage == "generalization" and test_acc < config.gen_threshold:
        missing = f"has not generalized (test acc {test_acc:.3f})"
    if missing:
        auto = f"--{stage}_epoch auto takes the first checkpoint at or after t_{stage[:3]}"
        mend = SAVE_MORE if asked == "auto" else auto
        notes.append(f"warning: at epoch {epoch:,} the network {missing}, which is not what {stage} means; {mend}")
    return notes
