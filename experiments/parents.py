"""The runs from which a config begins: where they are, whether they are finished, which of their checkpoints give init and mask."""

from pathlib import Path

from common.errors import UserError
from configs.base import Dense
from experiments.checkpoints import list_checkpoints, said
from experiments.commands import flags_of, module_of, script_of
from experiments.components import rewind
from experiments.folder import RunFolder, find_run
from experiments.stages import resolve_prune_at


def folder_of(config: Dense, source: tuple[RunFolder, int, Path] | None = None) -> RunFolder:
    """Where a run is, or is to be made, from its ``mask_source``. Raises UserError where a parent is not finished that it needs."""
    source = source or mask_source(config)
    epoch = None if source is None else source[1]
    return find_run(config.root, config.run_name(epoch), config.identity(epoch))


def parent_folder(parent: Dense, config: Dense) -> RunFolder:
    """Where a parent of a config is; the config's ``dense_run`` names its dense run outright."""
    named = getattr(config, "dense_run", None)
    if not named or parent != config.dense():
        return folder_of(parent)
    folder = RunFolder(Path(named), parent.identity())
    if (folder.path / "config.json").exists():
        folder.check_owner()
    return folder


def require(parent: Dense, config: Dense) -> RunFolder:
    """The finished folder of a parent. Raises UserError with the command that makes it."""
    folder = parent_folder(parent, config)
    if not folder.is_finished:
        command = f"python {script_of(parent)} --config {module_of(parent)}{flags_of(parent, str(folder.path.parent))}"
        if parent.parents():
            raise UserError(
                f"there is no finished run at {folder.path}, from which the mask is; prune.py with the same flags makes it"
            )
        raise UserError(f"there is no finished dense run at {folder.path}; make it with: {command}")
    if folder.summary()["status"] == "diverged":
        raise UserError(
            f"the dense run at {folder.path} diverged; a ticket needs one that did not: lower --lr or --weight_scale"
        )
    return folder


def mask_source(config: Dense) -> tuple[RunFolder, int, Path] | None:
    """The run from which the mask is taken, which must be finished, and the checkpoint: its epoch and path. None without a mask.

    With mask_from they are those of the other ticket's mask; of edge-popup the epoch is where scores began to be learned.
    """
    parent = config.mask_run()
    if parent is None:
        return None
    run = require(parent, config)
    if config.mask_from is not None:
        return run, *mask_source(parent)[1:]
    if config.pruner == "edge_popup" and not config.learns_scores:
        return run, mask_source(parent)[1], run.path / "final.pth"
    return run, *resolve_prune_at(config, run)


def start_of(dense: Path, epoch: int) -> Path:
    """The checkpoint of the dense run from which a ticket starts. Raises UserError where it was not saved."""
    if not epoch:
        return rewind(dense)
    saved = list_checkpoints(dense)
    if epoch not in saved:
        raise UserError(f"rewind_to {epoch}: it was not saved in {dense}; saved are {said(saved)}")
    return saved[epoch]
