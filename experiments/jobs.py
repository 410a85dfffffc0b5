"""From a config to a job: where it goes, and what it starts from, its mask made. What every script calls."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from analysis.structure import alignment
from common.errors import NothingToDo, UserError
from common.files import load_tensors, save_tensors
from configs.base import Dense
from experiments.checkpoints import load_checkpoint
from experiments.code_state import code_of, how_executed, standing
from experiments.commands import script_of
from experiments.components import (
    build_control,
    build_mask,
    build_model,
    build_split,
    choose_device,
    load_weights,
    next_mask,
    start_from,
    use_cpu,
)
from experiments.folder import RunFolder
from experiments.parents import folder_of, mask_source, require, start_of
from experiments.provenance import git_commit, hardware
from experiments.stages import accuracies_at, stage_notes
from pruning.controls import COMPARE_LOGITS
from pruning.masks import check_mask, count_kept, emptied


@dataclass(frozen=True)
class Job:
    """One training: what is trained, where it goes, where it starts, its mask.

    ``asked``: the config that it was made from; ``config``: with the settings of the training, which differ in a ticket's.
    """

    config: Dense
    asked: Dense
    folder: RunFolder
    settings: dict
    init: Path | None = None
    mask: dict[str, Tensor] | None = None
    start: dict[str, Tensor] | None = None  # a control's own weights, instead of those of init
    multiplier: float | None = None  # of its logits

    @property
    def learns_scores(self) -> bool:
        return self.asked.learns_scores

    @property
    def job_type(self) -> str:
        return "ticket" if self.asked.parents() else "dense"

    @property
    def group(self) -> str:
        """The run from which this one and others begin."""
        return self.init.parent.name if self.init is not None else self.folder.path.name


def job_of(config: Dense, population: bool = False, renews: bool = False) -> Job:
    """The training of a config, whose parents must be finished; ``population``: it is to be trained together with others;
    ``renews``: a finished run is to be trained again.

    Raises UserError where a parent, or the checkpoint of the mask, is not there.
    """
    use_cpu(config)
    parents = {parent: require(parent, config) for parent in config.parents()}
    source = mask_source(config)
    folder = folder_of(config, source)
    if config.init_run() is None:
        return Job(config.trained(), config, folder, settings_of(config, population))
    begins = parents[config.init_run()].path
    init = start_of(begins, config.start_epoch(None if source is None else source[1]))
    more = {"dense_run": str(begins), "mask_source": None}
    if source is None or config.learns_scores:
        return Job(config.trained(), config, folder, settings_of(config, population, **more), init)
    if config.control in COMPARE_LOGITS and config.task.labels == "numbers":
        raise NothingToDo(
            f"{config.control}: the scale of logits has no meaning where numbers are learned; nothing is trained"
        )
    model, mask, weights, about = take_mask(config, source, is_needed=renews or not folder.is_finished)
    control = build_control(config, mask, init, source[2]) if config.control is not None else None
    start, kept = load_weights(init, model), mask
    if control is not None:
        start, kept = control.init, mask if control.mask is None else control.mask
        more["logit_multiplier"] = control.multiplier
    more |= about | {"alignment": alignment(start, weights, kept)}
    settings = settings_of(config, population, **more)
    if control is None:
        return Job(config.trained(), config, folder, settings, init, mask)
    return Job(config.trained(), config, folder, settings, init, control.mask, control.init, control.multiplier)


def take_mask(
    config: Dense, source: tuple[RunFolder, int, Path], is_needed: bool
) -> tuple[nn.Module, dict[str, Tensor], dict[str, Tensor], dict]:
    """A network of the mask's shapes, the mask, the weights that it was taken from, and what config.json says of both.

    Raises UserError where other code has trained these, and the mask ``is_needed`` for a training, unless the config allows it.
    """
    run, epoch, path = source
    trained = run.settings()
    if is_needed and not config.allow_other_code and standing(trained, config.mask_run()) == "other":
        what, how = "dense run", f"with --rerun of {script_of(config)}"
        if config.mask_run().parents():
            what = "run"
            how = (
                "with --rerun of prune.py and the flags of that run"
                + ", --learn scores" * config.mask_run().learns_scores
            )
        raise UserError(
            f"the code that trains has changed since the {what} at {run.path}: train it again {how}, or take its mask all the same "
            "with --allow_other_code=True"
        )
    split = build_split(config.mask_run())
    model = build_model(config.mask_run(), split)
    start_from(model, path)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    if config.mask_from is not None:
        mask = load_tensors(run.path / "mask.pth", ("mask",))["mask"]
        check_mask(mask, dict(build_model(config, build_split(config)).named_parameters()))
    elif config.pruning_iterations and config.mask_run().parents():
        mask = next_mask(config, model, split, load_tensors(run.path / "mask.pth", ("mask",))["mask"])
    else:
        mask = build_mask(config, model, split)
    if config.mask_run().learns_scores:  # on weights that stayed as they were
        weights = load_weights(mask_source(config.mask_run())[2], model)
    of = "mask.pth" if config.mask_from is not None else path.name
    about = {"dense_run": run.path.name, "checkpoint": of, "prune_at": config.prune_at, "epoch": epoch}
    about |= accuracies_at(path.parent, load_checkpoint(path)["epoch"]) | {
        "pruner": config.pruner,
        "scope": config.scope,
    }
    executed = {"code": trained.get("code"), **trained.get("executed", {})}
    return model, mask, weights, {"mask_source": about, "dense_executed": executed}


def settings_of(config: Dense, population: bool, **more) -> dict:
    """What config.json holds, but for the identity."""
    device = str(choose_device(config))
    executed = how_executed(config, population, device.startswith("cuda"))
    return {
        "kind": config.kind,
        "config": config.as_dict(),
        **more,
        "git_commit": git_commit(),
        "code": code_of(config, executed),
        "executed": executed,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device,
        "hardware": hardware(device),
        "threads": config.threads,
    }


def move_aside(job: Job, still: Callable[[], bool] = lambda: True) -> None:
    """Put an earlier run of the job away, for ``--rerun``, if ``still()`` holds once nobody else has the folder."""
    if job.folder.path.exists():
        with job.folder.lock():
            if still():
                print(f"moved the earlier run to {job.folder.move_aside()}")


def consequence_of_emptied(name: str) -> str:
    """What a network cannot do any more when the matrix ``name`` is 0: a residual stream goes around a block, nothing else."""
    if name.endswith(("W_Q", "W_K")):
        return "so this attention is uniform; it can still learn"
    if name.startswith("blocks."):
        return "and the residual stream goes around it; it can still learn"
    return "so nothing can be learned; lower --pruning_rate or use --scope local"


def save_mask(job: Job) -> None:
    """Make a ticket's folder and write its mask.pth; print what is kept, and warn where nothing of a matrix is."""
    source = job.settings["mask_source"]
    counts = count_kept(job.mask)
    kept, total = (sum(column) for column in zip(*counts.values(), strict=True))
    accuracies = "".join(
        f", {name.replace('_', ' ')} {source[name]:.3f}"
        for name in ("train_acc", "test_acc")
        if source[name] is not None
    )
    where = f"mask from {source['dense_run']}/{source['checkpoint']} (epoch {source['epoch']:,}{accuracies})"
    if job.asked.mask_from is not None:
        where = f"mask of {source['dense_run']} (from epoch {source['epoch']:,}{accuracies})"
    elif job.asked.pruner == "edge_popup":
        where = f"mask learned in {source['dense_run']} on the weights of epoch {source['epoch']:,} (at its end{accuracies})"
    print(f"{where}: {kept:,} of {total:,} weights kept, {total - kept:,} removed")
    for line in stage_notes(job.asked, source):
        print(line)
    for name in emptied(job.mask):
        print(f"warning: nothing is left of {name}, {consequence_of_emptied(name)}")
    if job.folder.is_finished:
        return
    with job.folder.lock():
        job.folder.claim(job.settings)
        path = job.folder.path / "mask.pth"
        if path.exists() and (job.folder.path / "state.pth").exists():
            before = load_tensors(path, ("mask",))["mask"]
            if before.keys() != job.mask.keys() or any(not before[name].equal(kept) for name, kept in job.mask.items()):
                raise UserError(
                    f"{path} is not the mask that the dense run gives now: the dense run has changed; move this "
                    "folder away, or use --rerun of prune.py"
                )
        rate = job.settings["config"]["pruning_rate"]
        save_tensors({"mask": job.mask, "source": source, "pruning_rate": rate}, path)
