"""What a ticket is: its dense run's config with a ticket's fields.

The plain fields describe the dense run, and ``retrain_*`` are all that differs in retraining, so the two cannot silently differ.
"""

import re
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Annotated, Any, Literal

from tyro.conf import Suppress, arg
from tyro.constructors import PrimitiveConstructorSpec

from common.choices import choice, spelled
from common.errors import UserError
from common.ranges import Count, NonNegative, Range, Rate, Whole, stored_value
from configs.base import Dense, as_json, paper, short, spell
from pruning.controls import CONTROLS
from pruning.iterate import rate_after
from pruning.scores import SCORERS

RETRAINED = ("lr", "weight_decay", "num_epochs", "save_at", "stop_after_gen")  # what can differ in retraining
# What decides the mask, besides the run that it is taken from; left out where the mask is a file.
MASK_FIELDS = ("pruner", "pruning_rate", "scope")
# These stand in a ticket's settings as what they come to: the mask's epoch or content, the start's epoch, the retraining.
RESOLVED = ("prune_at", "memorization_epoch", "generalization_epoch", "rewind_to", "mask", "use_mask")
# A path; in a sweep or a config file also a Ticket, whose mask it is.
MaskFile = Annotated[Any, PrimitiveConstructorSpec(1, "PATH", lambda words: words[0], bool, lambda value: [str(value)])]


@dataclass(frozen=True, kw_only=True)
class Ticket(Dense):
    """The dense run, then what makes a ticket of it: the mask, the start, and the retraining."""

    pruning_rate: Rate = 0.6
    """Fraction of the prunable weights that is removed."""
    prune_at: Annotated[str, arg(aliases=("--checkpoint",))] = "generalization"
    """Where in the dense run the mask is taken: init, memorization, generalization, a saved epoch, or, as t_gen-2000 or t_gen+500,
    the last saved one before or at so many epochs from the dense run's own t_gen."""
    pruner: choice(SCORERS) = "magnitude"
    """How weights are scored; the lowest go."""
    mask_waves: Suppress[Count] = 6
    """How many waves --pruner waves takes."""
    scope: Literal["global", "local"] = "global"
    """global: one ranking over all matrices; local: the same rate in each matrix."""
    control: choice(CONTROLS) | None = None
    """What is trained instead of the ticket, to compare it with (pruning/controls.py)."""
    mask: MaskFile | None = None
    """A mask that is there, in place of one that is taken from the dense run: a mask.pth, or the folder of a ticket."""
    use_mask: bool = True
    """False retrains the dense init without the mask, the control."""
    rewind_to: Whole | Literal["prune_at"] = 0
    """Epoch of the dense run, a saved one, whose weights are the start; prune_at, the mask's own, keeps the trained weights."""
    retrain_lr: NonNegative | None = None
    """Learning rate in retraining; None: as the dense run."""
    retrain_weight_decay: NonNegative | None = None
    """Weight decay in retraining; None: as the dense run."""
    retrain_num_epochs: Count | None = None
    """Epochs of retraining; None: as the dense run."""
    retrain_save_at: tuple[Whole, ...] | None = None
    """More epochs of retraining to save; None: as the dense run."""
    retrain_stop_after_gen: bool | None = None
    """Stop retraining once t_gen is certain; None: as the dense run."""
    memorization_epoch: Whole | Literal["auto"] = 2_000
    """What memorization means: the last checkpoint at or before this epoch; auto: the first at or after t_mem."""
    generalization_epoch: Whole | Literal["auto"] = 28_000
    """What generalization means: the last checkpoint at or before this epoch; auto: the first at or after t_gen."""
    pruning_iterations: Annotated[int, Range(least=1, most=100)] | None = None
    """Iterative pruning: train, prune a part, rewind and train again, so many times; each round is a run. None: once."""

    def __post_init__(self):
        super().__post_init__()
        if not re.fullmatch(r"init|memorization|generalization|[0-9]+|t_gen[+-][0-9]+", self.prune_at):
            known = "init, memorization, generalization or an epoch, 28000 or t_gen-2000"
            raise UserError(f"prune_at must be {known}, not {self.prune_at!r}")
        if self.rewind_to == "prune_at" and self.rounds > 1:
            raise UserError("rewind_to prune_at with pruning_iterations: give an epoch of the dense run")
        if self.control is not None and not self.use_mask:
            control = spelled(CONTROLS, self.control)
            raise UserError(f"the control {control} is made from a ticket's mask; leave --use_mask out")
        if self.rewind_to == "prune_at" and (self.mask is not None or not self.use_mask):
            raise UserError("rewind_to prune_at is the epoch where the mask is taken, and none is taken; give an epoch")
        if self.mask is None:
            return
        if not isinstance(self.mask, str | Ticket) or self.mask == "":
            raise UserError(f"mask must be a mask.pth or the folder of a ticket, not {self.mask!r}")
        for name in (*MASK_FIELDS, "prune_at", "use_mask", "pruning_iterations"):
            if getattr(self, name) != getattr(Ticket, name):
                raise UserError(f"--mask is a mask that is there, so --{name} has no meaning; leave one of the two out")

    @property
    def rounds(self) -> int:
        """How often it is pruned and trained again."""
        return self.pruning_iterations or 1

    def dense(self) -> Dense:
        return Dense(**{field.name: getattr(self, field.name) for field in fields(Dense)})

    def training(self) -> Dense:
        own = {name: getattr(self, f"retrain_{name}") for name in RETRAINED}
        return replace(self.dense(), **{name: value for name, value in own.items() if value is not None})

    def mask_from(self) -> Dense | None:
        """The run whose weights give the mask, or, where ``mask`` is a Ticket, that ticket; None where no run does."""
        if not self.use_mask or isinstance(self.mask, str):
            return None
        if self.mask is not None:
            return self.mask
        return self.dense() if self.rounds == 1 else self.earlier_round()

    def earlier_round(self) -> "Ticket":
        """The ticket of one iteration less: at its rate, and no control."""
        number = self.rounds - 1
        rate = round(rate_after(number / self.rounds, self.pruning_rate), 12)
        return self.but(pruning_iterations=number if number > 1 else None, pruning_rate=rate, control=None)

    def needs(self) -> tuple[Dense, ...]:
        return tuple(dict.fromkeys(run for run in (self.dense(), self.mask_from()) if run is not None))

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"mask": None if isinstance(self.mask, Ticket) else self.mask}

    def start_epoch(self, mask_epoch: int | None) -> int | None:
        """The epoch of the dense run whose weights are the start."""
        return mask_epoch if self.rewind_to == "prune_at" else self.rewind_to

    def settings(self, source: dict[str, Any] | None = None) -> dict[str, Any]:
        """By what a ticket is found, with its dense run's settings.

        ``source``: what its mask was found to be (experiments/parents.py), ``{"epoch": int}`` or ``{"file": hash}``, for an
        iteration also ``{"run": settings}``; None without a mask. ``retrain``: the settings of the training, where they differ
        from the dense run's.
        """
        dense, trained = self.dense().settings(), self.training().settings()
        left_out = {field.name for field in fields(Dense)} | {f"retrain_{name}" for name in RETRAINED} | {*RESOLVED}
        left_out |= set() if source is not None else {*MASK_FIELDS}
        own = {field.name: field.default for field in fields(self) if field.name not in left_out}
        own = {name: value for name, usual in own.items() if (value := stored_value(self, name)) != as_json(usual)}
        start = self.start_epoch(source and source.get("epoch"))
        own |= {"rewind_to": start} if start else {}
        changed = {name: value for name, value in trained.items() if dense.get(name) != value}
        changed |= {name: as_json(getattr(self.training(), name)) for name in dense if name not in trained}
        return {"dense": dense, "mask": source, "retrain": changed, "ticket": own}

    def run_name(self, source: dict[str, Any] | None = None) -> str:
        """The dense run's name, the mask, and every setting of the retraining that is not the dense run's."""
        mask = "no_mask"
        if source is not None and "file" in source:
            mask = f"mask_{source['file'][:8]}"
        elif source is not None:
            mask = f"{spelled(SCORERS, self.pruner)}{self.pruning_rate}_{self.scope}_at{source['epoch']}"
        settings = self.settings(source)
        own = {f"retrain_{name}": value for name, value in settings["retrain"].items()}
        own |= {name: value for name, value in settings["ticket"].items() if name not in MASK_FIELDS}
        return short(f"{self.dense().run_name()}__{mask}" + spell(own))


def ticket_of(dense: Dense, **given: Any) -> Ticket:
    """A ticket of a dense run, with what is usual for tickets of its task and model."""
    own = {field.name: getattr(dense, field.name) for field in fields(Dense)}
    return Ticket(**own).but(**dense.experiment.of_ticket | given)


def paper_ticket(task: str, model: str, /, **given: Any) -> Ticket:
    """A ticket of a task and a model, by their names, at the settings of the paper where it has such a pair."""
    return ticket_of(paper(task, model), **given)


MLPTicketConfig = partial(paper_ticket, "modular", "mlp")
TransformerTicketConfig = partial(paper_ticket, "modular", "transformer")
MnistTicketConfig = partial(paper_ticket, "mnist", "image_mlp")
