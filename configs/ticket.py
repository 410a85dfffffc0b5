"""What a ticket is: its dense run's config with a ticket's fields.

The plain fields describe the dense run, and ``retrain_*`` are all that differs in retraining, so the two cannot silently differ.
"""

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

from common.errors import UserError
from common.ranges import Count, NonNegative, Rate, Whole
from configs.base import NOT_IDENTITY, Dense, paper, short, spell
from configs.other_ticket import other_ticket
from configs.paper import EXPERIMENTS, kind_of
from pruning.controls import CONTROLS
from pruning.rounds import SCHEDULES, rate_after
from pruning.scores import SCORERS
from training.optimizer import OPTIMIZERS

MASK_FIELDS = ("pruner", "scope", "pruning_rate")  # these mean nothing where no mask is used
RETRAINED = ("lr", "weight_decay", "num_epochs", "save_at", "stop_after_gen")  # what can differ in retraining
SCORED = ("lr", "weight_decay", "optimizer", "num_epochs")  # what can differ where edge-popup learns scores
# These stand in a ticket's identity as what they come to: the mask's epoch or origin, the settings of the retraining, the dense run.
NAMED_FIELDS = (
    *("prune_at", "memorization_epoch", "generalization_epoch", "use_mask", "dense_run", "mask_from"),
    *(f"retrain_{name}" for name in RETRAINED),
)


@dataclass(frozen=True, kw_only=True)
class Ticket(Dense):
    """The dense run, then what makes a ticket of it: the mask, the start, and the retraining."""

    pruner: Literal[tuple(SCORERS)] = "magnitude"
    """How weights are scored; the lowest go."""
    pruning_rate: Rate = 0.6
    """Fraction of the prunable weights that is removed."""
    prune_at: Annotated[str, arg(aliases=("--checkpoint",))] = "generalization"
    """Where in the dense run the mask is taken: init, memorization, generalization, a saved epoch, or, as t_gen-2000 or t_gen+500,
    the last saved one before or at so many epochs from the dense run's own t_gen."""
    pruning_rounds: Count | None = None
    """Score and prune in so many rounds; None: in one, with synflow in 100."""
    pruning_schedule: Literal[SCHEDULES] = "exponential"
    """What the rounds remove: exponential, the same fraction of what is left; linear, the same number."""
    scope: Literal["global", "local"] = "global"
    """global: one ranking over all matrices; local, as always with edge_popup: the same rate in each matrix."""
    global_pruning: bool | None = None
    """Another name of --scope: True is global, False is local."""
    memorization_epoch: Whole | Literal["auto"] = 2_000
    """What memorization means: the last checkpoint at or before this epoch; auto: the first at or after t_mem."""
    generalization_epoch: Whole | Literal["auto"] = 28_000
    """What generalization means: the last checkpoint at or before this epoch; auto: the first at or after t_gen."""
    pruning_iterations: Count | None = None
    """Iterative pruning: train, prune a part, rewind and train again, so many times; each round is a run. None: once."""
    rewind_to: Whole | Literal["prune_at"] = 0
    """Epoch of the dense run, a saved one, whose weights are the start; prune_at, the mask's own, keeps the trained weights."""
    control: Literal[tuple(CONTROLS)] | None = None
    """What is trained instead of the ticket, to compare it with (pruning/controls.py)."""
    control_per_matrix: bool = False
    """same_l1, same_l2, same_l2_logits: the norm of each matrix is the ticket's, not the total alone."""
    use_mask: bool = True
    """False retrains the dense init without the mask, the control."""
    mask_from: str | None = None
    """The mask of another ticket: its folder, or in which fields it differs from this one, as seed=1 or fn_name=subtract."""
    learn: Literal["scores", "both"] | None = None
    """With --pruner edge_popup: only learn scores, from the weights at prune_at, which stay as they are; both trains those as
    well, with the settings of the scores. Norms are then of what is trained. None: retrain the mask that is learned as any other."""
    score_lr: NonNegative | None = None
    """Learning rate of edge-popup's scores; None: as the dense run."""
    score_weight_decay: NonNegative | None = None
    """Weight decay of scores; None: as the dense run."""
    score_optimizer: Literal[tuple(OPTIMIZERS)] | None = None
    """Optimizer of scores; None: as the dense run."""
    score_num_epochs: Count | None = None
    """Epochs for which scores are learned, saved twenty times on the way; None: as the dense run."""
    score_by_value: bool = False
    """Rank scores by s, as the paper's appendix has it, not by |s|."""
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
    dense_run: str | None = None
    """Folder of the dense run; None: found by its settings."""
    allow_other_code: bool = False
    """Take the mask of a dense run although the code that trains such runs has changed since."""

    def __post_init__(self):
        super().__post_init__()
        means = {}  # what is another name, or goes without saying
        if self.global_pruning is not None:
            means |= {"scope": "global" if self.global_pruning else "local", "global_pruning": None}
        if self.pruner == "synflow" and self.pruning_rounds is None:
            means["pruning_rounds"] = 100
        if self.pruner == "edge_popup":
            means["scope"] = "local"
        if self.learn and self.rewind_to == 0:
            means["rewind_to"] = "prune_at"
        for name, value in means.items():
            object.__setattr__(self, name, value)  # frozen, and still being made
        if not re.fullmatch(r"init|memorization|generalization|[0-9]+|t_gen[+-][0-9]+", self.prune_at):
            raise UserError(
                f"prune_at must be init, memorization, generalization or an epoch, 28000 or t_gen-2000, not {self.prune_at!r}"
            )
        if self.rewind_to == "prune_at" and not self.use_mask:
            raise UserError("rewind_to prune_at is the mask's epoch, and --use_mask False has none; give an epoch")
        if self.rewind_to == "prune_at" and (self.pruning_iterations or 1) > 1:
            raise UserError(
                "rewind_to prune_at with pruning_iterations: weights are the dense run's; give one of its epochs"
            )
        self._check_scores()
        if self.control is not None and not self.use_mask:
            raise UserError(f"the control {self.control} is made from a ticket's mask; leave --use_mask out")

    def _check_scores(self) -> None:
        names = [f"score_{name}" for name in SCORED] + ["score_by_value", "learn"]
        if self.pruner != "edge_popup" and (
            given := [name for name in names if getattr(self, name) not in (None, False)]
        ):
            raise UserError(f"{given[0]} is about learning scores: add --pruner edge_popup")
        if self.pruner == "edge_popup" and (self.pruning_rounds or self.pruning_iterations):
            raise UserError(
                "edge_popup learns its mask at the full rate: leave pruning_rounds and pruning_iterations out"
            )
        needless = {"control": self.control, "use_mask": not self.use_mask, "rewind_to": self.rewind_to != "prune_at"}
        needless |= {f"retrain_{name}": getattr(self, f"retrain_{name}") is not None for name in RETRAINED}
        if self.learn and (given := [name for name, is_given in needless.items() if is_given]):
            raise UserError(
                f"--learn {self.learn} begins at prune_at and retrains nothing: leave {given[0]} out, or --learn"
            )
        if self.mask_from is not None and (self.pruning_iterations or not self.use_mask or self.learn):
            raise UserError("mask_from takes a mask that is there: leave pruning_iterations, use_mask and learn out")

    def dense(self) -> Dense:
        return Dense(**{field.name: getattr(self, field.name) for field in fields(Dense)})

    def init_run(self) -> Dense:
        return self.dense()

    def mask_run(self) -> Dense | None:
        if not self.use_mask:
            return None
        if self.mask_from is not None:
            return self.other_ticket()
        if self.pruner == "edge_popup" and not self.learn:
            retraining = dict.fromkeys(f"retrain_{name}" for name in RETRAINED)
            return self.but(learn="scores", control=None, control_per_matrix=False, **retraining)
        return self.dense() if (self.pruning_iterations or 1) == 1 else self.earlier_round()

    @property
    def learns_scores(self) -> bool:
        return self.learn is not None

    def other_ticket(self) -> "Ticket":
        """The ticket that ``mask_from`` names. Raises UserError where it names none."""
        return other_ticket(self, self.mask_from)

    def earlier_round(self) -> "Ticket":
        """The ticket of one iteration less: at its rate, with none of what a control changes."""
        number = self.pruning_iterations - 1
        rate = round(rate_after(number / self.pruning_iterations, self.pruning_rate, "exponential"), 12)
        return self.but(
            pruning_iterations=number if number > 1 else None, pruning_rate=rate, control=None, control_per_matrix=False
        )

    def trained(self) -> Dense:
        settings = self.retraining()
        return (
            replace(self.dense(), **self.scoring())
            if self.learn
            else replace(self.dense(), **settings | {"save_at": tuple(settings["save_at"])})
        )

    def scoring(self) -> dict[str, Any]:
        """How scores are learned: as the dense run was trained, but for these."""
        given = {name: getattr(self, f"score_{name}") for name in SCORED}
        values = {name: getattr(self, name) if given[name] is None else given[name] for name in SCORED}
        return values | {"save_every": max(1, values["num_epochs"] // 20), "save_at": (), "stop_after_gen": False}

    def retraining(self) -> dict[str, Any]:
        """The settings of the retraining that can differ from the dense run's."""
        own = {name: getattr(self, f"retrain_{name}") for name in RETRAINED}
        values = {name: getattr(self, name) if value is None else value for name, value in own.items()}
        return values | {"save_at": list(values["save_at"])}

    def mask_settings(self, epoch: int) -> dict[str, Any] | None:
        """What decides the mask, besides the dense run; ``epoch`` is what prune_at was found to mean."""
        if not self.use_mask:
            return None
        if self.mask_from is not None:
            other = self.other_ticket().identity(epoch)
            return {name: other[name] for name in ("dense", "mask", "options")}
        return {name: getattr(self, name) for name in MASK_FIELDS} | {"epoch": epoch}

    def options(self, mask_epoch: int | None = None) -> dict[str, Any]:
        """Every other field of a ticket: what is added decides what a ticket is, unless NOT_IDENTITY says that it does not."""
        elsewhere = {*MASK_FIELDS, *NAMED_FIELDS, *NOT_IDENTITY, *(field.name for field in fields(Dense))}
        values = self.as_dict()
        values["rewind_to"] = self.start_epoch(mask_epoch)
        # A setting of the scores that is the dense run's goes without saying.
        values |= {f"score_{name}": None for name in SCORED if values[f"score_{name}"] == values[name]}
        return {field.name: values[field.name] for field in fields(self) if field.name not in elsewhere}

    def start_epoch(self, mask_epoch: int | None) -> int | None:
        """The epoch of the dense run whose weights are the start."""
        return mask_epoch if self.rewind_to == "prune_at" else self.rewind_to

    def identity(self, mask_epoch: int | None = None) -> dict[str, Any]:
        retraining = self.retraining()
        retraining["stop_after_gen"] = retraining["stop_after_gen"] and self.gen_threshold
        mask = self.mask_settings(mask_epoch)
        return {
            "dense": self.dense().identity(),
            "mask": mask,
            "retraining": retraining,
            "options": self.options(mask_epoch),
        }

    def run_name(self, mask_epoch: int | None = None) -> str:
        """The dense run's name, the mask, and every setting of the retraining that is not the dense run's."""
        mask = f"{self.pruner}{self.pruning_rate}_{self.scope}_at{mask_epoch}" if self.use_mask else "no_mask"
        if self.mask_from is not None:
            mask += f"_mask_from_{Path(self.mask_from).name.replace('=', '')}"
        identity, usual = self.identity(mask_epoch), self.dense().identity()
        own = {f"retrain_{name}": value for name, value in identity["retraining"].items() if value != usual[name]}
        defaults = {field.name: field.default for field in fields(self)}
        own |= {name: value for name, value in self.options(mask_epoch).items() if value != defaults[name]}
        return short(f"{self.dense().run_name()}__{mask}" + spell(own))


def ticket_of(dense: Dense, **given: Any) -> Ticket:
    """A ticket of a dense run, with what is usual for tickets of its task and model."""
    kind = kind_of(dense.task.name, dense.model.name)
    usual = EXPERIMENTS[kind].of_ticket if kind in EXPERIMENTS else {}
    own = {field.name: getattr(dense, field.name) for field in fields(Dense)}
    return Ticket(**own).but(**usual | given)


def MLPTicketConfig(**given: Any) -> Ticket:  # a class once
    """A ticket of the MLP on modular arithmetic."""
    return ticket_of(paper("modular", "mlp"), **given)


def TransformerTicketConfig(**given: Any) -> Ticket:
    """A ticket of the Transformer on modular arithmetic."""
    return ticket_of(paper("modular", "transformer"), **given)


def MnistTicketConfig(**given: Any) -> Ticket:
    """A ticket on MNIST."""
    return ticket_of(paper("mnist", "image_mlp"), **given)
