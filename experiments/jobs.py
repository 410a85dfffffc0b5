"""From a config to a job: which run it is, where it goes, where its mask comes from. What every script calls."""

import platform
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from common.errors import UserError
from common.files import load_tensors, save_tensors
from configs.base import RunConfig
from configs.ticket import TicketFields
from experiments.build import build_mask, build_model, build_split, choose_device, load_weights, rewind, use_cpu
from experiments.code_state import code_of, how_executed, standing
from experiments.folder import RunFolder, find_run
from experiments.provenance import git_commit, hardware
from experiments.stages import accuracies_at, resolve_prune_at, stage_notes
from pruning.masks import count_kept, emptied


def settings_of(config: RunConfig, population: bool, **more) -> dict:
    """What config.json holds, but for the identity."""
    device = str(choose_device(config))
    executed = how_executed(population, device.startswith("cuda"))
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


def dense_folder(config: RunConfig) -> RunFolder:
    """Where the dense run of a config is, or is to be made; a ticket's ``dense_run`` names it outright."""
    if isinstance(config, TicketFields) and config.dense_run:
        folder = RunFolder(Path(config.dense_run), config.identity())
        if (folder.path / "config.json").exists():
            folder.check_owner()
        return folder
    return find_run(config.root, config.run_name(), config.identity())


def flags_of(config: RunConfig, root: str) -> str:
    """The flags that describe a dense run to a script whose config is the class's default, as a shell reads them.

    With those that say where and how it is computed, so that the command works as this one does.
    """
    usual = {field.name: field.default for field in fields(config)}
    places = {name: getattr(config, name) for name in ("data_root", "threads", "device") if name in usual}
    changed = config.differences() | {name: value for name, value in places.items() if value != usual[name]}
    changed |= {"root": root} if root != "runs" else {}
    values = {name: value if isinstance(value, tuple) else (value,) for name, value in changed.items()}
    return "".join(f" --{name} {shlex.join(map(str, texts))}" for name, texts in values.items())


def script_of(config: RunConfig) -> str:
    """The script that trains such a dense run."""
    return "train_mnist.py" if config.kind == "mnist" else "train.py"


def require_dense(config: TicketFields) -> RunFolder:
    """The finished dense run of a ticket. Raises UserError with the command that makes it."""
    folder = dense_folder(config)
    if not folder.is_finished:
        command = (
            f"python {script_of(config)} --config {config.dense().module}{flags_of(config, str(folder.path.parent))}"
        )
        raise UserError(f"there is no finished dense run at {folder.path}; make it with: {command}")
    if folder.summary()["status"] == "diverged":
        raise UserError(f"the dense run at {folder.path} diverged; a ticket needs one that did not")
    return folder


@dataclass(frozen=True)
class Job:
    """One training: its config (a ticket's has the retraining's settings), where it goes, where it starts, its mask.

    ``asked``: the config that it was made from, a ticket's own.
    """

    config: RunConfig
    asked: RunConfig
    folder: RunFolder
    settings: dict
    job_type: str
    group: str
    init: Path | None = None
    mask: dict[str, Tensor] | None = None


def dense_job(config: RunConfig, population: bool = False) -> Job:
    """The dense run of a config; ``population``: it is to be trained together with others."""
    use_cpu(config)
    dense = config.dense()
    folder = dense_folder(config)
    return Job(dense, dense, folder, settings_of(dense, population), "dense", config.run_name())


def ticket_source(config: TicketFields) -> tuple[RunFolder, int, Path]:
    """A ticket's dense run, which must be there, and the checkpoint of its mask: its epoch and path."""
    dense = require_dense(config)
    return (dense, *(resolve_prune_at(config, dense) if config.use_mask else (0, rewind(dense.path))))


def ticket_folder(config: TicketFields) -> RunFolder:
    """Where a ticket is, or is to be made. Raises UserError where the dense run is not there or has no such checkpoint."""
    _, epoch, _ = ticket_source(config)
    return find_run(config.root, config.ticket_name(epoch), config.ticket_identity(epoch))


def ticket_job(config: TicketFields, population: bool = False) -> Job:
    """The retraining of a ticket: takes the mask from the dense run, which must be there, and rewinds to its epoch 0."""
    use_cpu(config)
    dense, epoch, path = ticket_source(config)
    folder, trained = ticket_folder(config), dense.settings()
    is_new = config.use_mask and not folder.is_finished
    if is_new and not config.allow_other_code and standing(trained, config.dense()) == "other":
        raise UserError(
            f"the code that trains has changed since the dense run at {dense.path}: train it again with --rerun of "
            f"{script_of(config)}, or take its mask all the same with --allow_other_code=True"
        )
    source = {"dense_run": dense.path.name, "checkpoint": path.name, "prune_at": config.prune_at, "epoch": epoch}
    mask = None
    if config.use_mask:
        source |= accuracies_at(dense.path, epoch)
        mask = build_mask(config, load_weights(path, build_model(config.dense(), build_split(config))))
        source |= {"pruner": config.pruner, "scope": config.scope}
    settings = settings_of(
        config,
        population,
        dense_run=str(dense.path),
        dense_executed={"code": trained.get("code"), **trained.get("executed", {})},
        mask_source=source if config.use_mask else None,
    )
    retrained = replace(config.dense(), **config.retraining())
    return Job(retrained, config, folder, settings, "ticket", dense.path.name, rewind(dense.path), mask)


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
    print(
        f"mask from {source['dense_run']}/{source['checkpoint']} (epoch {source['epoch']:,}{accuracies}): "
        f"{kept:,} of {total:,} weights kept, {total - kept:,} removed"
    )
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
