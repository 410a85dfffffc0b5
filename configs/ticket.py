"""What a ticket is: its dense run's config with a ticket's fields, one class for each kind of model.

The plain fields describe the dense run, and ``retrain_*`` are all that differs in retraining, so the two cannot silently differ.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import arg

from common.errors import UserError
from common.ranges import Count, NonNegative, Rate, Whole
from configs.base import NOT_IDENTITY, MLPConfig, MnistConfig, TransformerConfig, short, spell

MASK_FIELDS = ("pruner", "scope", "pruning_rate")  # these mean nothing where no mask is used
# These stand in a ticket's identity as what they come to: the mask's epoch, the settings of the retraining, the dense run.
NAMED_FIELDS = (
    *("prune_at", "memorization_epoch", "generalization_epoch", "use_mask", "dense_run"),
    *("retrain_lr", "retrain_weight_decay", "retrain_num_epochs"),
)


@dataclass(frozen=True, kw_only=True)
class TicketFields:
    """What makes a ticket from a dense run, and how it is retrained."""

    pruner: Literal["magnitude", "random"] = "magnitude"
    """How weights are scored; the lowest go."""
    pruning_rate: Rate = 0.6
    """Fraction of the prunable weights that is removed."""
    prune_at: Annotated[str, arg(aliases=("--checkpoint",))] = "generalization"
    """Where in the dense run the mask is taken: init, memorization, generalization, or a saved epoch."""
    scope: Literal["global", "local"] = "global"
    """global: one ranking over all matrices; local: the same rate in each matrix."""
    global_pruning: bool | None = None
    """Another name of --scope: True is global, False is local."""
    memorization_epoch: Whole | Literal["auto"] = 2_000
    """What memorization means: the last checkpoint at or before this epoch; auto: the first at or after t_mem."""
    generalization_epoch: Whole | Literal["auto"] = 28_000
    """What generalization means: the last checkpoint at or before this epoch; auto: the first at or after t_gen."""
    use_mask: bool = True
    """False retrains the dense init without the mask, the control."""
    retrain_lr: NonNegative | None = None
    """Learning rate in retraining; None: as the dense run."""
    retrain_weight_decay: NonNegative | None = None
    """Weight decay in retraining; None: as the dense run."""
    retrain_num_epochs: Count | None = None
    """Epochs of retraining; None: as the dense run."""
    dense_run: str | None = None
    """Folder of the dense run; None: found by its settings."""
    allow_other_code: bool = False
    """Take the mask of a dense run although the code that trains such runs has changed since."""

    def __post_init__(self):
        super().__post_init__()
        if self.global_pruning is not None:
            scope = "global" if self.global_pruning else "local"
            for name, value in (("scope", scope), ("global_pruning", None)):
                object.__setattr__(self, name, value)  # frozen, and still being made
        if self.prune_at not in ("init", "memorization", "generalization") and not self.prune_at.isdecimal():
            raise UserError(f"prune_at must be init, memorization, generalization or an epoch, not {self.prune_at!r}")

    def mask_settings(self, epoch: int) -> dict[str, Any] | None:
        """What decides the mask, besides the dense run; ``epoch`` is what prune_at was found to mean."""
        if not self.use_mask:
            return None
        return {name: getattr(self, name) for name in MASK_FIELDS} | {"epoch": epoch}

    def options(self) -> dict[str, Any]:
        """Every other field of a ticket: what is added decides what a ticket is, unless NOT_IDENTITY says that it does not."""
        elsewhere = {*MASK_FIELDS, *NAMED_FIELDS, *NOT_IDENTITY}
        values = self.as_dict()
        return {field.name: values[field.name] for field in fields(TicketFields) if field.name not in elsewhere}

    def ticket_identity(self, epoch: int) -> dict[str, Any]:
        """The settings that decide what a ticket's folder holds."""
        return {
            "kind": self.kind,
            "dense": self.identity(),
            "mask": self.mask_settings(epoch),
            "retraining": self.retraining(),
            "options": self.options(),
        }

    def ticket_name(self, epoch: int) -> str:
        """The dense run's name, the mask, and every setting of the retraining that is not the dense run's."""
        mask = f"{self.pruner}{self.pruning_rate}_{self.scope}_at{epoch}" if self.use_mask else "no_mask"
        own = {f"retrain_{name}": value for name, value in self.retraining().items() if value != getattr(self, name)}
        defaults = {field.name: field.default for field in fields(self)}
        own |= {name: value for name, value in self.options().items() if value != defaults[name]}
        return short(f"{self.run_name()}__{mask}" + spell(own))

    def retraining(self) -> dict[str, Any]:
        """The settings of the retraining that can differ from the dense run's: lr, weight_decay, num_epochs."""
        own = {name: getattr(self, f"retrain_{name}") for name in ("lr", "weight_decay", "num_epochs")}
        return {name: getattr(self, name) if value is None else value for name, value in own.items()}


@dataclass(frozen=True, kw_only=True)
class MLPTicketConfig(TicketFields, MLPConfig):
    """A ticket of the MLP on modular arithmetic."""

    module: ClassVar[str] = "configs/config_pruning.py"


@dataclass(frozen=True, kw_only=True)
class TransformerTicketConfig(TicketFields, TransformerConfig):
    """A ticket of the Transformer on modular arithmetic."""

    module: ClassVar[str] = "configs/config_pruning_transformer.py"


@dataclass(frozen=True, kw_only=True)
class MnistTicketConfig(TicketFields, MnistConfig):
    """A ticket on MNIST."""

    module: ClassVar[str] = "configs/config_pruning_mnist.py"

    memorization_epoch: Whole | Literal["auto"] = 1_000
    """What memorization means: the last checkpoint at or before this epoch; auto: the first at or after t_mem."""
    generalization_epoch: Whole | Literal["auto"] = 100_000
    """What generalization means: the last checkpoint at or before this epoch; auto: the first at or after t_gen."""


TICKET = {cls.kind: cls for cls in (MLPTicketConfig, TransformerTicketConfig, MnistTicketConfig)}
