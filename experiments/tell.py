"""What a user is told of a ticket's mask, before it is trained."""

from configs.ticket import Ticket
from experiments.ingredients import Ingredients
from experiments.parents import stage_epoch
from pruning.masks import count_kept, emptied

SAVE_MORE = "--save_every and --save_at save more"


def mask_lines(config: Ticket, made: Ingredients) -> list[str]:
    """Which mask it is and how many weights it keeps; then what is unexpected about it."""
    if not config.use_mask:
        return ["no mask: the dense init is trained again"]
    source = made.about["mask_source"]
    if made.mask is None:
        return [f"mask from {where(source)}: the control {config.as_dict()['control']} trains all weights, without it"]
    counts = count_kept(made.mask)
    kept, total = (sum(column) for column in zip(*counts.values(), strict=True))
    lines = [f"mask from {where(source)}: {kept:,} of {total:,} weights kept, {total - kept:,} removed"]
    lines += stage_notes(config, source) if config.mask is None else []
    return lines + [f"warning: nothing is left of {name}, {consequence(name)}" for name in emptied(made.mask)]


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


def where(source: dict) -> str:
    """The place of a mask's source in words."""
    if "path" in source:
        return source["path"]
    accuracies = ""
    if source["train_acc"] is not None:
        accuracies = f", train acc {source['train_acc']:.3f}, test acc {source['test_acc']:.3f}"
    return f"{source['run']}/{source['checkpoint']} (epoch {source['epoch']:,}{accuracies})"


def consequence(name: str) -> str:
    """What a network cannot do any more when the matrix ``name`` is 0: a residual stream goes around a block, nothing else."""
    if name.endswith(("W_Q", "W_K")):
        return "so this attention is uniform; it can still learn"
    if name.startswith("blocks."):
        return "and the residual stream goes around it; it can still learn"
    return "so nothing can be learned; lower --pruning_rate or use --scope local"
