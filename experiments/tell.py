"""What a user is told of a ticket's mask, before it is trained."""

from configs.ticket import Ticket
from experiments.ingredients import Ingredients
from experiments.stages import stage_notes
from pruning.masks import count_kept, emptied


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
